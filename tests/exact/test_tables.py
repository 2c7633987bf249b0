from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vaecodec.bitstream import tables as t
from vaecodec.exact import tables as fitting


def bits_of(histogram: np.ndarray, tables: t.FrozenTables, index: int) -> float:
    values = np.repeat(np.arange(len(histogram)) - len(histogram) // 2, histogram).astype(np.int32)
    return tables.bits(values, np.full(len(values), index, dtype=np.uint8))


def histogram_of(values: np.ndarray, reach: int = 3000) -> np.ndarray:
    return np.bincount(np.clip(np.round(values).astype(int), -reach, reach) + reach, minlength=2 * reach + 1)


def fit(histograms: Sequence[np.ndarray | None], half_width_cap: int = 2047) -> t.FrozenTables:
    return t.FrozenTables.from_arrays(*fitting.fit_tables(histograms, half_width_cap))


@pytest.fixture(scope="module")
def gaussian() -> t.FrozenTables:
    return t.FrozenTables.from_arrays(*fitting.gaussian_tables())


# --- scales ----------------------------------------------------------------------------------------------------------


def test_the_levels_are_64_log_spaced_sigmas() -> None:
    levels = fitting.sigmas()
    assert len(levels) == 64
    assert (levels[0], levels[-1]) == pytest.approx((0.08, 600.0))
    assert np.allclose(levels[1:] / levels[:-1], (600 / 0.08) ** (1 / 63))


# --- fitting ---------------------------------------------------------------------------------------------------------


@given(hnp.arrays(np.float64, st.integers(2, 300), elements=st.floats(0, 1e6)).filter(lambda p: p.sum() > 0))
def test_quantised_counts_are_positive_and_sum_to_the_total(probabilities: np.ndarray) -> None:
    counts = fitting.quantise_counts(probabilities)
    assert counts.min() >= 1
    assert int(counts.sum(dtype=np.int64)) == 2**24
    share = probabilities / probabilities.sum() * 2**24
    assert np.abs(counts - np.maximum(share, 1)).max() <= 1 + len(counts)


def test_quantised_counts_keep_exact_counts() -> None:
    exact = np.array([2**23, 2**22, 2**22 - 1, 1], dtype=np.uint32)
    assert fitting.quantise_counts(exact / 2**24).tolist() == exact.tolist()


@pytest.mark.parametrize("bad", [[0.0, 0.0], [1.0, -0.1], [1.0, math.nan], [1.0, math.inf]])
def test_what_is_no_distribution_is_not_quantised(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="probabilities"):
        fitting.quantise_counts(np.array(bad))


def test_gaussian_tables_are_symmetric_up_to_rounding_and_small(gaussian: t.FrozenTables) -> None:
    for index in range(1, 64):
        values = gaussian.counts(index)[:-1].astype(np.int64)
        assert np.abs(values - values[::-1]).max() <= 1
    assert sum(gaussian.counts(i).nbytes for i in range(1, 64)) < 300_000


def test_gaussian_tables_cost_the_entropy_of_the_gaussian_and_hardly_escape(gaussian: t.FrozenTables) -> None:
    rng = np.random.default_rng(3)
    for index in (5, 20, 40, 55):
        sigma = fitting.sigmas()[index]
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
        for amount, sigma in zip(amounts.tolist(), fitting.sigmas()[1:].tolist(), strict=True)
    ]


def test_fitted_tables_are_never_worse_than_gaussians_on_their_data(real_like, gaussian) -> None:
    fitted = fit(real_like)
    for index, histogram in enumerate(real_like, start=1):
        if histogram is not None:
            assert bits_of(histogram, fitted, index) <= bits_of(histogram, gaussian, index) + 1e-6


def test_fitted_tables_are_better_than_gaussians_on_new_data_of_the_same_kind(real_like, gaussian) -> None:
    fitted = fit(real_like)
    rng = np.random.default_rng(6)
    for index in range(8, 53, 4):
        fresh = histogram_of(rng.laplace(size=20_000) * fitting.sigmas()[index] / math.sqrt(2))
        assert bits_of(fresh, fitted, index) < 0.99 * bits_of(fresh, gaussian, index)


def test_tables_fitted_to_a_handful_of_residuals_stay_close_to_the_gaussian_on_new_ones(gaussian) -> None:
    rng = np.random.default_rng(9)
    histograms: list[np.ndarray | None] = [None] * 63
    for index in (6, 20, 35, 50, 63):
        histograms[index - 1] = histogram_of(rng.normal(size=12) * fitting.sigmas()[index])
    fitted = fit(histograms)
    for index in (6, 20, 35, 50, 63):
        fresh = histogram_of(rng.normal(size=20_000) * fitting.sigmas()[index])
        excess = bits_of(fresh, fitted, index) - bits_of(fresh, gaussian, index)
        assert excess / 20_000 < 0.25


def test_fitted_tables_cost_nothing_where_residuals_are_gaussian(gaussian: t.FrozenTables) -> None:
    rng = np.random.default_rng(8)
    histograms: list[np.ndarray | None] = [None] * 63
    for index in (10, 30, 50):
        histograms[index - 1] = histogram_of(rng.normal(size=3000) * fitting.sigmas()[index])
    fitted = fit(histograms)
    for index in (10, 30, 50):
        fresh = histogram_of(rng.normal(size=100_000) * fitting.sigmas()[index])
        assert bits_of(fresh, fitted, index) < 1.005 * bits_of(fresh, gaussian, index)


def test_fitted_tables_follow_a_shape_that_no_family_has() -> None:
    histogram = np.zeros(41, dtype=np.int64)
    histogram[[10, 30]] = 50_000
    histograms: list[np.ndarray | None] = [None] * 63
    histograms[45] = histogram
    fitted = fit(histograms)
    assert bits_of(histogram, fitted, 46) < 1.01 * 100_000


def test_a_table_without_data_is_the_gaussian(gaussian: t.FrozenTables) -> None:
    fitted = fit([None, np.zeros(3, dtype=np.int64), *[None] * 61])
    assert all(np.array_equal(fitted.counts(i), gaussian.counts(i)) for i in range(1, 64))


def test_a_cap_keeps_tables_narrow_and_the_rest_escapes(real_like) -> None:
    fitted = fit(real_like, half_width_cap=20)
    assert max(fitted.half_width(index) for index in range(1, 64)) == 20


@pytest.mark.parametrize("bad", [[None] * 62, [np.ones(4, dtype=int)] * 63, [np.array([1, -1, 3])] * 63])
def test_what_is_no_histogram_is_refused(bad) -> None:
    with pytest.raises(ValueError, match="histogram"):
        fit(bad)
