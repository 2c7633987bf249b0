"""Where one curve lies below another."""

from __future__ import annotations

import numpy as np

from bench.show.analysis import Point
from bench.show.below import differences


def curve(*points: tuple[float, float]) -> list[Point]:
    return [Point(0, bpp, quality) for bpp, quality in points]


def test_the_gap_is_taken_at_equal_bits_over_the_rates_that_both_cover() -> None:
    ours = curve((0.25, 30), (0.5, 33), (1, 36), (2, 39))
    theirs = curve((0.5, 32), (1, 36), (2, 40), (4, 44))
    found = differences(ours, theirs)
    assert found is not None
    rates, gap = found
    assert np.isclose(rates[0], 0.5) and np.isclose(rates[-1], 2)
    assert np.isclose(gap[0], 1) and np.isclose(gap[-1], -1)
    assert abs(float(np.interp(1.0, rates, gap))) < 0.02


def test_curves_that_share_no_rate_are_not_compared() -> None:
    assert differences(curve((0.1, 30), (0.2, 31)), curve((0.5, 32), (1, 36))) is None
