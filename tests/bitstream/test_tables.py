from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaecodec.bitstream import tables as t
from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.tables import quantise_counts


def arrays_of(tables: t.FrozenTables) -> tuple[np.ndarray, np.ndarray]:
    """What a weights file has of them."""
    indices = range(1, 64)
    half_widths = np.array([tables.half_width(i) for i in indices], np.int32)
    return half_widths, np.concatenate([tables.counts(i) for i in indices])


def bits_of(histogram: np.ndarray, tables: t.FrozenTables, index: int) -> float:
    values = np.repeat(np.arange(len(histogram)) - len(histogram) // 2, histogram).astype(np.int32)
    return tables.bits(values, np.full(len(values), index, dtype=np.uint8))


# --- frozen tables ---------------------------------------------------------------------------------------------------


def test_the_arrays_of_a_weights_file_give_the_same_tables(narrow: t.FrozenTables) -> None:
    half_widths, counts = arrays_of(narrow)
    again = t.FrozenTables.from_arrays(half_widths, counts)
    assert half_widths.dtype == np.int32
    assert counts.dtype == np.uint32
    assert all(np.array_equal(again.counts(i), narrow.counts(i)) for i in range(1, 64))
    assert [again.half_width(i) for i in range(1, 64)] == half_widths.tolist()


def test_tables_cannot_be_changed_in_place(narrow: t.FrozenTables) -> None:
    with pytest.raises(ValueError, match="read-only"):
        narrow.counts(1)[0] = 5


def damaged(name: str, half_widths: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts, half_widths = counts.astype(np.int64), half_widths.copy()
    match name:
        case "a count of zero":
            counts[1] += counts[0]
            counts[0] = 0
        case "a sum that is one too large":
            counts[0] += 1
        case "a count too few":
            counts = counts[:-1]
        case "a count too many":
            counts = np.append(counts, 1)
        case "a negative half-width":
            half_widths[3] = -1
        case "a huge half-width":
            half_widths[3] = 2**31 - 1
        case "62 tables":
            half_widths = half_widths[:-1]
        case "float counts":
            counts = counts.astype(np.float64)
        case "float half-widths":
            half_widths = half_widths.astype(np.float32)
        case "counts in two rows":
            counts = counts.reshape(2, -1)
        case "widths of two tables swapped":
            half_widths[[1, 2]] = half_widths[[2, 1]]
    return half_widths, counts


@pytest.mark.parametrize(
    "name",
    [
        "a count of zero",
        "a sum that is one too large",
        "a count too few",
        "a count too many",
        "a negative half-width",
        "a huge half-width",
        "62 tables",
        "float counts",
        "float half-widths",
        "counts in two rows",
        "widths of two tables swapped",
    ],
)
def test_arrays_that_are_no_frozen_tables_are_refused(narrow: t.FrozenTables, name: str) -> None:
    with pytest.raises(DamagedWeightsError, match="download the weights again"):
        t.FrozenTables.from_arrays(*damaged(name, *arrays_of(narrow)))


def test_a_table_that_is_wider_than_the_format_allows_is_refused(narrow: t.FrozenTables) -> None:
    half_widths, _ = arrays_of(narrow)
    half_widths[0] = t.MAX_HALF_WIDTH + 1
    counts = [narrow.counts(index) for index in range(1, 64)]
    counts[0] = quantise_counts(np.ones(2 * t.MAX_HALF_WIDTH + 4))
    with pytest.raises(DamagedWeightsError, match="half-width 4096"):
        t.FrozenTables(half_widths, counts)


def test_bits_are_the_sum_over_entries_and_escapes(narrow: t.FrozenTables) -> None:
    counts = narrow.counts(3)  # half-width 2
    symbols = np.array([1, -2, 0, 3, -10], dtype=np.int32)
    indices = np.array([3, 3, 0, 3, 3], dtype=np.uint8)
    entries = sum(24 - math.log2(counts[entry]) for entry in (3, 0, 5, 5))
    assert narrow.bits(symbols, indices) == pytest.approx(entries + (5 + 0 + 1) + (5 + 3 + 1))


@given(st.integers(0, 2**21 - 2))
def test_the_bits_of_an_escape_follow_the_bit_length(excess: int) -> None:
    assert t.escape_bits(np.array([excess])).tolist() == [5 + (excess + 1).bit_length() - 1 + 1]


@pytest.mark.skipif(t.in_c is None, reason="the range coder in C was not built")
def test_bits_are_the_same_to_the_last_digit_in_c_and_in_numpy(
    narrow: t.FrozenTables, gaussian: t.FrozenTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    cases = []
    for frozen in (narrow, gaussian):
        indices = rng.integers(0, 64, (7, 1501)).astype(np.uint8)
        symbols = (rng.standard_t(2, indices.shape) * 20).astype(np.int32)
        symbols.flat[:2] = np.iinfo(np.int32).max, -np.iinfo(np.int32).max
        cases.append((frozen, symbols, indices, frozen.bits(symbols, indices)))
    monkeypatch.setattr(t, "in_c", None)
    for frozen, symbols, indices, bits in cases:
        assert frozen.bits(symbols, indices) == bits


def test_indices_that_are_too_large_have_no_bits(narrow: t.FrozenTables) -> None:
    with pytest.raises(ValueError, match="over 63"):
        narrow.bits(np.zeros(3, np.int32), np.array([1, 64, 2], np.uint8))
