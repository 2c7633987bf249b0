from __future__ import annotations

import math

import pytest

from vaecodec.errors import UsageError
from vaecodec.evaluation import WINDOWS, bd_rate

pytest.importorskip("scipy")

# PSNR rises by 6 dB when the rate doubles.
CURVE = [(0.1 * 2 ** (k / 2), 22.0 + 3 * k) for k in range(9)]


def scaled(points: list[tuple[float, float]], factor: float) -> list[tuple[float, float | None]]:
    return [(rate * factor, quality) for rate, quality in points]


@pytest.mark.parametrize("window", [None, *WINDOWS.values()])
@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25])
def test_a_rate_scaled_by_a_factor_differs_by_that_factor(factor: float, window: tuple[float, float] | None) -> None:
    result = bd_rate(CURVE, scaled(CURVE, factor), window)
    assert result.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert result.covers


def test_points_may_lie_elsewhere_and_in_any_order() -> None:
    tested = [(0.8 * 0.1 * 2 ** (k / 3), 22.0 + 2 * k) for k in range(13)]
    assert bd_rate(CURVE, tested[::-1], WINDOWS["main"]).percent == pytest.approx(-20, abs=1e-6)


def test_the_mean_is_that_of_log_rate() -> None:
    """A factor that goes evenly from 1/2 to 2 in log rate is no difference on the average."""
    low, high = CURVE[0][1], CURVE[-1][1]
    tested = [(rate * 2 ** (2 * (quality - low) / (high - low) - 1), quality) for rate, quality in CURVE]
    assert bd_rate(CURVE, tested).percent == pytest.approx(0, abs=1e-9)


def test_the_opposite_comparison_is_the_inverse() -> None:
    tested = [(rate * (1 + 0.02 * k), quality) for k, (rate, quality) in enumerate(CURVE)]
    there, back = bd_rate(CURVE, tested).percent, bd_rate(tested, CURVE).percent
    assert there is not None and back is not None
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


def test_a_window_that_is_not_covered_is_said_so() -> None:
    result = bd_rate(CURVE, scaled(CURVE, 0.8), (20.0, 30.0))
    assert result.percent == pytest.approx(-20)
    assert (result.low, result.high, result.covers) == (22.0, 30.0, False)


def test_curves_without_overlap_have_no_bd_rate() -> None:
    result = bd_rate(CURVE, [(rate, quality + 100) for rate, quality in CURVE])
    assert result.percent is None
    assert not result.covers


def test_fewer_than_eight_points_are_refused() -> None:
    with pytest.raises(UsageError, match="7 points"):
        bd_rate(CURVE, CURVE[:7])


@pytest.mark.parametrize("point", [(1.0, None), (1.0, math.nan), (1.0, math.inf), (math.nan, 30.0), (0.0, 30.0)])
def test_points_that_are_no_numbers_are_refused(point: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError, match="needs numbers"):
        bd_rate(CURVE, [*CURVE[:-1], point])


def test_a_curve_that_falls_is_refused() -> None:
    with pytest.raises(UsageError, match="does not rise"):
        bd_rate(CURVE, [*CURVE[:4], (CURVE[4][0], CURVE[3][1] - 1), *CURVE[5:]])
