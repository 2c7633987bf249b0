from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vaecodec.bitstream import tables as t
from vaecodec.errors import DamagedWeightsError


def bits_of(histogram: np.ndarray, tables: t.FrozenTables, index: int) -> float:
    values = np.repeat(np.arange(len(histogram)) - len(histogram) // 2, histogram).astype(np.int32)
    return tables.bits(values, np.full(len(values), index, dtype=np.uint8))


def histogram_of(values: np.ndarray, reach: int = 3000) -> np.ndarray:
    return np.bincount(np.clip(np.round(values).astype(int), -reach, reach) + reach, minlength=2 * reach + 1)


# --- frozen tables ---------------------------------------------------------------------------------------------------


def test_the_arrays_of_a_weights_file_give_the_same_tables(narrow: t.FrozenTables) -> None:
    half_widths, counts = narrow.to_arrays()
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
    with pytest.raises(DamagedWeightsError, match="get the weights again"):
        t.FrozenTables.from_arrays(*damaged(name, *narrow.to_arrays()))


def test_a_table_that_is_wider_than_the_format_allows_is_refused(narrow: t.FrozenTables) -> None:
    half_widths, _ = narrow.to_arrays()
    half_widths[0] = t.MAX_HALF_WIDTH + 1
    counts = [narrow.counts(index) for index in range(1, 64)]
    counts[0] = t.quantise_counts(np.ones(2 * t.MAX_HALF_WIDTH + 4))
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


# --- scales ----------------------------------------------------------------------------------------------------------


def test_the_levels_are_64_log_spaced_sigmas() -> None:
    levels = t.sigmas()
    assert len(levels) == 64
    assert (levels[0], levels[-1]) == pytest.approx((0.08, 600.0))
    assert np.allclose(levels[1:] / levels[:-1], (600 / 0.08) ** (1 / 63))


def test_each_level_lies_between_its_thresholds() -> None:
    assert np.searchsorted(t.sigma_thresholds(), t.sigmas()).tolist() == list(range(64))


# --- fitting ---------------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.float64, st.integers(2, 300), elements=st.floats(0, 1e6)).filter(lambda p: p.sum() > 0))
def test_quantised_counts_are_positive_and_sum_to_the_total(probabilities: np.ndarray) -> None:
    counts = t.quantise_counts(probabilities)
    assert counts.min() >= 1
    assert int(counts.sum(dtype=np.int64)) == 2**24
    share = probabilities / probabilities.sum() * 2**24
    assert np.abs(counts - np.maximum(share, 1)).max() <= 1 + len(counts)


def test_quantised_counts_keep_exact_counts() -> None:
    exact = np.array([2**23, 2**22, 2**22 - 1, 1], dtype=np.uint32)
    assert t.quantise_counts(exact / 2**24).tolist() == exact.tolist()


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, -0.1], [1.0, math.nan], [1.0, math.inf]])
def test_what_is_no_distribution_is_not_quantised(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        t.quantise_counts(np.array(bad))


def test_gaussian_tables_are_symmetric_up_to_rounding_and_small(gaussian: t.FrozenTables) -> None:
    for index in range(1, 64):
        values = gaussian.counts(index)[:-1].astype(np.int64)
        assert np.abs(values - values[::-1]).max() <= 1
    assert gaussian.to_arrays()[1].nbytes < 300_000


def test_gaussian_tables_cost_the_entropy_of_the_gaussian_and_hardly_escape(gaussian: t.FrozenTables) -> None:
    rng = np.random.default_rng(3)
    for index in (5, 20, 40, 55):
        sigma = t.sigmas()[index]
        histogram = histogram_of(rng.normal(size=200_000) * sigma)
        seen = histogram[histogram > 0] / histogram.sum()
        entropy = -(seen @ np.log2(seen)) * histogram.sum()
        assert entropy <= bits_of(histogram, gaussian, index) < entropy + 20 + len(seen)


@pytest.fixture(scope="module")
def real_like() -> list[np.ndarray | None]:
    """Residuals with heavier tails than a Gaussian, few of them at the highest and the lowest levels."""
    rng = np.random.default_rng(5)
    amounts = np.concatenate([[0, 3, 50], np.full(50, 20_000), np.geomspace(5000, 1, 10).astype(int)])
    return [
        histogram_of(rng.laplace(size=amount) * sigma / math.sqrt(2)) if amount else None
        for amount, sigma in zip(amounts.tolist(), t.sigmas()[1:].tolist(), strict=True)
    ]


def test_fitted_tables_are_never_worse_than_gaussians_on_their_data(real_like, gaussian) -> None:
    fitted = t.fit_tables(real_like)
    for index, histogram in enumerate(real_like, start=1):
        if histogram is not None:
            assert bits_of(histogram, fitted, index) <= bits_of(histogram, gaussian, index) + 1e-6


def test_fitted_tables_are_better_than_gaussians_on_new_data_of_the_same_kind(real_like, gaussian) -> None:
    fitted = t.fit_tables(real_like)
    rng = np.random.default_rng(6)
    for index in range(8, 53, 4):
        fresh = histogram_of(rng.laplace(size=20_000) * t.sigmas()[index] / math.sqrt(2))
        assert bits_of(fresh, fitted, index) < 0.99 * bits_of(fresh, gaussian, index)


def test_tables_fitted_to_a_handful_of_residuals_stay_close_to_the_gaussian_on_new_ones(gaussian) -> None:
    rng = np.random.default_rng(9)
    histograms: list[np.ndarray | None] = [None] * 63
    for index in (6, 20, 35, 50, 63):
        histograms[index - 1] = histogram_of(rng.normal(size=12) * t.sigmas()[index])
    fitted = t.fit_tables(histograms)
    for index in (6, 20, 35, 50, 63):
        fresh = histogram_of(rng.normal(size=20_000) * t.sigmas()[index])
        excess = bits_of(fresh, fitted, index) - bits_of(fresh, gaussian, index)
        assert excess / 20_000 < 0.25


def test_fitted_tables_cost_nothing_where_residuals_are_gaussian(gaussian: t.FrozenTables) -> None:
    rng = np.random.default_rng(8)
    histograms: list[np.ndarray | None] = [None] * 63
    for index in (10, 30, 50):
        histograms[index - 1] = histogram_of(rng.normal(size=3000) * t.sigmas()[index])
    fitted = t.fit_tables(histograms)
    for index in (10, 30, 50):
        fresh = histogram_of(rng.normal(size=100_000) * t.sigmas()[index])
        assert bits_of(fresh, fitted, index) < 1.005 * bits_of(fresh, gaussian, index)


def test_fitted_tables_follow_a_shape_that_no_family_has() -> None:
    histogram = np.zeros(41, dtype=np.int64)
    histogram[[10, 30]] = 50_000
    histograms: list[np.ndarray | None] = [None] * 63
    histograms[45] = histogram
    fitted = t.fit_tables(histograms)
    assert bits_of(histogram, fitted, 46) < 1.01 * 100_000


def test_a_table_without_data_is_the_gaussian(gaussian: t.FrozenTables) -> None:
    fitted = t.fit_tables([None, np.zeros(3, dtype=np.int64), *[None] * 61])
    assert np.array_equal(fitted.to_arrays()[1], gaussian.to_arrays()[1])


def test_a_cap_keeps_tables_narrow_and_the_rest_escapes(real_like) -> None:
    fitted = t.fit_tables(real_like, half_width_cap=20)
    assert max(fitted.half_width(index) for index in range(1, 64)) == 20


@pytest.mark.parametrize("bad", [[None] * 62, [np.ones(4, dtype=int)] * 63, [np.array([1, -1, 3])] * 63])
def test_what_is_no_histogram_is_refused(bad) -> None:
    with pytest.raises(ValueError, match="histogram"):
        t.fit_tables(bad)
