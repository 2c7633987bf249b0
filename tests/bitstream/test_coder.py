from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaecodec.bitstream import coder
from vaecodec.bitstream.coder import StackCoder, SymbolDecoder, SymbolEncoder, SymbolModels
from vaecodec.bitstream.tables import FrozenTables, largest_symbol
from vaecodec.errors import DamagedFileError

Group = tuple[list[int], list[int]]


@pytest.fixture(params=["C", "constriction"], autouse=True)
def coders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both implementations of the range coder; where C was not built there is one."""
    if request.param == "constriction":
        monkeypatch.setattr("vaecodec.bitstream.coder.in_c", None)
    elif coder.in_c is None:
        pytest.skip("the range coder in C was not built")


@st.composite
def groups(draw: st.DrawFn, max_groups: int = 4) -> list[Group]:
    """Groups of (symbols, indices) that any tables can code: large values are escapes in each of them."""
    small, large = st.integers(-12, 12), st.integers(-(2**21) + 1, 2**21 - 1)
    pair = st.one_of(st.just((0, 0)), st.tuples(st.one_of(small, small, small, large), st.integers(1, 63)))
    drawn = draw(st.lists(st.lists(pair, max_size=60), max_size=max_groups))
    return [([symbol for symbol, _ in group], [index for _, index in group]) for group in drawn]


def symbols_of(group: Group) -> np.ndarray:
    return np.array(group[0], dtype=np.int32)


def indices_of(group: Group) -> np.ndarray:
    return np.array(group[1], dtype=np.uint8)


def encode(tables: FrozenTables, coded: list[Group]) -> bytes:
    encoder = SymbolEncoder(tables)
    for group in coded:
        encoder.push(symbols_of(group), indices_of(group))
    return encoder.finish()


def decode(tables: FrozenTables, data: bytes, indices: list[np.ndarray]) -> list[list[int]]:
    decoder = SymbolDecoder(tables, data)
    symbols = [decoder.pop(group).tolist() for group in indices]
    decoder.close()
    return symbols


# --- the queue -------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(coded=groups())
def test_what_is_pushed_is_popped(narrow: FrozenTables, coded: list[Group]) -> None:
    data = encode(narrow, coded)
    assert decode(narrow, data, [indices_of(group) for group in coded]) == [group[0] for group in coded]


def test_a_long_stream_comes_back_and_takes_what_the_tables_say(gaussian: FrozenTables) -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 64, 50_000).astype(np.uint8)
    symbols = (rng.normal(size=50_000) * 0.08 * 1.152 ** indices.astype(np.float64)).round().astype(np.int32)
    symbols[indices == 0] = 0
    encoder = SymbolEncoder(gaussian)
    encoder.push(symbols, indices)
    data = encoder.finish()
    assert np.array_equal(SymbolDecoder(gaussian, data).pop(indices), symbols)
    assert abs(len(data) - gaussian.bits(symbols, indices) / 8) < 16


@settings(max_examples=50)
@given(coded=groups())
def test_an_encoder_knows_what_the_tables_say(narrow: FrozenTables, coded: list[Group]) -> None:
    encoder, bits = SymbolEncoder(narrow), 0.0
    for group in coded:
        symbols, indices = np.array(group[0], np.int32), indices_of(group)
        encoder.push(symbols, indices)
        bits += narrow.bits(symbols, indices)
        assert encoder.bits == pytest.approx(bits)


@pytest.mark.parametrize("index", [1, 9, 63])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_symbol_comes_back_and_one_more_is_refused(narrow: FrozenTables, index: int, sign: int) -> None:
    largest = largest_symbol(narrow.half_width(index))
    assert decode(narrow, encode(narrow, [([sign * largest], [index])]), [np.array([index])]) == [[sign * largest]]
    with pytest.raises(ValueError, match="beyond"):
        encode(narrow, [([sign * (largest + 1)], [index])])


@pytest.mark.parametrize("symbol", [2**31 - 1, -(2**31)])
def test_symbols_at_the_ends_of_int32_are_refused_and_do_not_wrap_around(narrow: FrozenTables, symbol: int) -> None:
    with pytest.raises(ValueError, match="beyond"):
        encode(narrow, [([symbol], [9])])


def test_certain_symbols_and_empty_groups_take_no_bytes(narrow: FrozenTables) -> None:
    assert encode(narrow, []) == b""
    assert encode(narrow, [([], []), ([0] * 100, [0] * 100)]) == b""
    assert decode(narrow, b"", [indices_of(([], [])), np.zeros(5, np.uint8)]) == [[], [0] * 5]


def test_groups_among_which_some_are_empty_come_back(narrow: FrozenTables) -> None:
    coded: list[Group] = [([], []), ([3, 0, -40], [9, 0, 9]), ([0], [0]), ([2], [1])]
    assert decode(narrow, encode(narrow, coded), [indices_of(group) for group in coded]) == [g[0] for g in coded]


def test_finishing_twice_gives_the_same_bytes(narrow: FrozenTables) -> None:
    encoder = SymbolEncoder(narrow)
    encoder.push(np.array([1, 2, 300], np.int32), np.array([8, 9, 10], np.uint8))
    assert encoder.finish() == encoder.finish() != b""


def test_coders_that_share_models_write_the_same_bytes(narrow: FrozenTables) -> None:
    shared = SymbolModels(narrow)
    group = ([1, -2, 300, 0], [8, 9, 10, 0])
    for _ in range(2):
        encoder = SymbolEncoder(shared)
        encoder.push(symbols_of(group), indices_of(group))
        assert encoder.finish() == encode(narrow, [group])


@pytest.mark.parametrize(
    ("symbols", "indices", "error"),
    [
        (np.zeros(2, np.float32), np.ones(2, np.uint8), TypeError),
        (np.zeros(2, np.int32), np.ones(2, np.float32), TypeError),
        (np.zeros(3, np.int32), np.ones(2, np.uint8), ValueError),
        (np.zeros((1, 2), np.int32), np.ones((1, 2), np.uint8), ValueError),
        (np.zeros(2, np.int32), np.full(2, 64, np.uint8), ValueError),
        (np.zeros(2, np.int32), np.full(2, 64, np.int64), ValueError),
        (np.zeros(2, np.int32), np.full(2, -1, np.int8), ValueError),
        (np.array([0, 1], np.int32), np.zeros(2, np.uint8), ValueError),
    ],
)
def test_arguments_that_cannot_be_coded_are_refused_before_the_coder_sees_them(narrow, symbols, indices, error) -> None:
    encoder = SymbolEncoder(narrow)
    with pytest.raises(error):
        encoder.push(symbols, indices)
    assert encoder.finish() == b""


@pytest.mark.parametrize("symbol", [2**32 + 1, -(2**40), 2**63 - 1, -(2**63)])
def test_symbols_beyond_int32_are_refused_and_not_cut_to_it(narrow: FrozenTables, symbol: int) -> None:
    with pytest.raises(ValueError, match="beyond"):
        SymbolEncoder(narrow).push(np.array([symbol], np.int64), np.array([9], np.uint8))


def test_other_integer_types_are_taken(narrow: FrozenTables) -> None:
    encoder = SymbolEncoder(narrow)
    encoder.push(np.array([1, -300], np.int64), np.array([9, 10], np.int64))
    assert encoder.finish() == encode(narrow, [([1, -300], [9, 10])])


# --- damaged streams -------------------------------------------------------------------------------------------------


def test_a_stream_that_is_no_whole_number_of_words_is_damage(narrow: FrozenTables) -> None:
    with pytest.raises(DamagedFileError, match="multiple of 4"):
        SymbolDecoder(narrow, b"12345")


@pytest.mark.parametrize("words", [1, 2, 3])
def test_words_without_symbols_are_damage(narrow: FrozenTables, words: int) -> None:
    decoder = SymbolDecoder(narrow, bytes(4 * words))
    decoder.pop(np.zeros(5, np.uint8))
    with pytest.raises(DamagedFileError, match="last symbol"):
        decoder.close()


def test_a_stream_with_symbols_left_is_damage(gaussian: FrozenTables) -> None:
    indices = np.full(100, 30, np.uint8)
    data = encode(gaussian, [(list(range(-20, 20)) * 2 + [0] * 20, indices.tolist())])
    decoder = SymbolDecoder(gaussian, data)
    decoder.pop(indices[:90])
    with pytest.raises(DamagedFileError, match="last symbol"):
        decoder.close()


def test_a_word_more_is_damage(gaussian: FrozenTables) -> None:
    group = ([5, -3, 8, 0], [30] * 4)
    decoder = SymbolDecoder(gaussian, encode(gaussian, [group]) + b"\0\0\0\0\0\0\0\0")
    decoder.pop(indices_of(group))
    with pytest.raises(DamagedFileError, match="last symbol"):
        decoder.close()


def test_an_escape_that_is_too_long_is_damage(narrow: FrozenTables) -> None:
    # Table 6 is nearly sure of its escape: the highest quantile, then a length of 31.
    with pytest.raises(DamagedFileError, match=r"escape is \d+ bits"):
        SymbolDecoder(narrow, b"\0\0\0\x80" + b"\xff\xff\xff\x7f" * 3).pop(np.full(8, 6, np.uint8))


def test_a_stream_in_a_state_that_no_encoder_reaches_is_damage(gaussian: FrozenTables) -> None:
    with pytest.raises(DamagedFileError, match="impossible state"):
        SymbolDecoder(gaussian, b"\xff" * 12).pop(np.full(5, 30, np.uint8))


@settings(max_examples=150)
@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=12), indices=st.lists(st.integers(0, 63), max_size=40))
def test_any_words_give_symbols_that_write_a_stream_again_or_damage(narrow, words, indices) -> None:
    data = np.array(words, dtype="<u4").tobytes()
    try:
        symbols = decode(narrow, data, [np.array(indices, np.uint8)])[0]
    except DamagedFileError:
        return
    again = encode(narrow, [(symbols, indices)])
    assert decode(narrow, again, [np.array(indices, np.uint8)]) == [symbols]


# --- the stack -------------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=30), indices=st.lists(st.lists(st.integers(0, 63))))
def test_popping_arbitrary_bits_and_pushing_the_symbols_gives_the_bits_back(narrow, words, indices) -> None:
    bits = np.array(words, dtype="<u4").tobytes()
    stack = StackCoder.from_bits(narrow, bits)
    taken = [(stack.pop(np.array(group, np.uint8)), np.array(group, np.uint8)) for group in indices]
    for symbols, group in reversed(taken):
        stack.push(symbols, group)
    assert stack.to_bits() == bits


@settings(max_examples=100)
@given(coded=groups(), words=st.lists(st.integers(0, 2**32 - 1), max_size=5))
def test_popping_takes_off_what_was_pushed_last(narrow, coded: list[Group], words: list[int]) -> None:
    bits = np.array(words, dtype="<u4").tobytes()
    stack = StackCoder.from_bits(narrow, bits)
    for group in coded:
        stack.push(symbols_of(group), indices_of(group))
    for group in reversed(coded):
        assert stack.pop(indices_of(group)).tolist() == group[0]
    assert stack.to_bits() == bits


@given(coded=groups())
def test_a_stack_is_stored_and_taken_up_again(narrow: FrozenTables, coded: list[Group]) -> None:
    stack = StackCoder(narrow)
    for group in coded:
        stack.push(symbols_of(group), indices_of(group))
    again = StackCoder(narrow, stack.finish())
    for group in reversed(coded):
        assert again.pop(indices_of(group)).tolist() == group[0]
    assert again.words() == 0


def test_popping_takes_as_many_bits_as_the_tables_say(gaussian: FrozenTables) -> None:
    stack = StackCoder.from_bits(gaussian, np.random.default_rng(4).bytes(40_000))
    indices = np.full(10_000, 40, np.uint8)
    symbols = stack.pop(indices)
    assert abs((40_000 - len(stack.finish())) * 8 - gaussian.bits(symbols, indices)) < 100


def test_bits_that_never_were_whole_words_are_not_given_back(narrow: FrozenTables) -> None:
    stack = StackCoder.from_bits(narrow, b"12345678")
    stack.pop(np.array([9], np.uint8))
    with pytest.raises(DamagedFileError, match="whole words"):
        stack.to_bits()


def test_a_stored_stack_that_ends_in_a_zero_word_is_damage(narrow: FrozenTables) -> None:
    with pytest.raises(DamagedFileError, match="zero word"):
        StackCoder(narrow, bytes(8))
