"""The coder, the specification and plain integer arithmetic agree, word for word."""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaecodec.bitstream import coder
from vaecodec.bitstream.coder import SymbolDecoder, SymbolEncoder
from vaecodec.bitstream.tables import TOTAL, FrozenTables
from vaecodec.errors import DamagedFileError
from vaecodec.exact.tables import gaussian_tables, quantise_counts


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = load("range_decoder")
writer = load("range_encoder")


def wild_tables() -> FrozenTables:
    """Tables of every character: tiny, wide, random, nearly sure of one entry, with counts of 1 everywhere else."""
    rng = np.random.default_rng(11)
    half_widths, counts = [], []
    for index in range(63):
        half_width = [0, 1, 2, 7, 40, 300][index % 6]
        size = 2 * half_width + 2
        table = quantise_counts(rng.random(size) ** (1 + index % 9))
        if index % 4 == 3:
            table = np.ones(size, dtype=np.uint32)
            table[rng.integers(size)] = TOTAL - size + 1
        half_widths.append(half_width)
        counts.append(table)
    return FrozenTables(np.array(half_widths, dtype=np.int32), counts)


WILD = wild_tables()
GAUSSIAN = FrozenTables.from_arrays(*gaussian_tables(half_width_cap=100))


def plain(tables: FrozenTables) -> dict[int, list[int]]:
    return {index: tables.counts(index).tolist() for index in range(1, 64)}


PLAIN = {id(tables): plain(tables) for tables in (WILD, GAUSSIAN)}

pairs = st.one_of(
    st.just((0, 0)),
    st.tuples(
        st.one_of(st.integers(-3, 3), st.integers(-350, 350), st.integers(-(2**21) + 1, 2**21 - 1)), st.integers(1, 63)
    ),
)


@pytest.fixture(params=["C", "constriction"], autouse=True)
def coders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both implementations of the range coder; where C was not built there is one."""
    if request.param == "constriction":
        monkeypatch.setattr("vaecodec.bitstream.coder.in_c", None)
    elif coder.in_c is None:
        pytest.skip("the range coder in C was not built")


@pytest.mark.parametrize("tables", [WILD, GAUSSIAN], ids=["wild", "gaussian"])
@settings(max_examples=50, deadline=None)
@given(groups=st.lists(st.lists(pairs, max_size=25), max_size=4))
def test_the_stream_is_that_of_plain_integers_and_the_specified_decoder_reads_it(tables, groups) -> None:
    encoder, integer_encoder = SymbolEncoder(tables), writer.RangeEncoder()
    for group in groups:
        symbols, indices = [s for s, _ in group], [i for _, i in group]
        encoder.push(np.array(symbols, np.int32), np.array(indices, np.uint8))
        writer.encode_group(integer_encoder, PLAIN[id(tables)], symbols, indices)
    data = encoder.finish()
    assert data == integer_encoder.finish()

    decoder = reader.RangeDecoder(data)
    for group in groups:
        assert reader.decode_group(decoder, PLAIN[id(tables)], [i for _, i in group]) == [s for s, _ in group]
    decoder.close()


def test_long_streams_with_carries_agree() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        indices = rng.integers(0, 64, 400).astype(np.uint8)
        symbols = np.where(indices == 0, 0, rng.integers(-60, 61, 400)).astype(np.int32)
        encoder, integer_encoder = SymbolEncoder(WILD), writer.RangeEncoder()
        encoder.push(symbols, indices)
        writer.encode_group(integer_encoder, PLAIN[id(WILD)], symbols.tolist(), indices.tolist())
        assert encoder.finish() == integer_encoder.finish()


def test_every_count_of_every_table_is_reproduced_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each entry alone takes the interval that its integer counts give: the state of constriction's coder shows it."""
    monkeypatch.setattr("vaecodec.bitstream.coder.in_c", None)
    for tables in (WILD, GAUSSIAN):
        for index in range(1, 64):
            counts = tables.counts(index).tolist()
            for value in range(-tables.half_width(index), tables.half_width(index) + 1):
                encoder = SymbolEncoder(tables)
                encoder.push(np.array([value, value], np.int32), np.array([index, index], np.uint8))
                left = sum(counts[: value + tables.half_width(index)]) if value > -tables.half_width(index) else 0
                count = counts[value + tables.half_width(index)]
                assert encoder._coder.pos()[1] == interval(left, count), (index, value)


def interval(left: int, count: int) -> tuple[int, int]:
    """Return (lower, range) modulo 2^64 after the same entry twice."""
    lower, width = 0, 2**64 - 1
    for _ in range(2):
        scale = width >> 24
        lower, width = (lower + scale * left) % 2**64, scale * count
        if width < 2**32:
            lower, width = (lower << 32) % 2**64, width << 32
    return lower, width


@settings(max_examples=200, deadline=None)
@given(
    words=st.lists(st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0, 2**32 - 1])), max_size=8),
    indices=st.lists(st.integers(0, 63), max_size=12),
)
def test_on_arbitrary_words_both_decoders_give_the_same_symbols_or_both_refuse(words, indices) -> None:
    data = struct.pack(f"<{len(words)}I", *words)

    def real() -> list[int] | None:
        try:
            decoder = SymbolDecoder(WILD, data)
            symbols = decoder.pop(np.array(indices, np.uint8)).tolist()
            decoder.close()
        except DamagedFileError:
            return None
        return symbols

    def specified() -> list[int] | None:
        try:
            decoder = reader.RangeDecoder(data)
            symbols = reader.decode_group(decoder, PLAIN[id(WILD)], indices)
            decoder.close()
        except reader.DamagedStreamError:
            return None
        return symbols

    assert real() == specified()


def test_the_reference_decoder_imports_nothing() -> None:
    source = Path(__file__).with_name("range_decoder.py").read_text(encoding="utf-8")
    lines = [line for line in source.splitlines() if line.startswith(("import", "from"))]
    assert lines == ["from __future__ import annotations"]
