"""BD-rate: how many more or fewer bits one codec takes than another for the same quality, averaged over a range of quality.

Source: Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, with the interpolation that
replaced its polynomial, PCHIP (JVET-J1010 and later): log rate over quality.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vaecodec.errors import MissingExtraError, UsageError

# Fewer points leave the shape of a curve to the interpolation.
FEWEST_POINTS = 8

# Ranges of quality that are reported, in dB of RGB PSNR.
WINDOWS: dict[str, tuple[float, float]] = {
    "main": (27.5, 36.5),
    "wide": (27.5, 39.5),
    "low": (25.0, 32.0),
    "high": (32.0, 40.0),
}

# Same, in scores of SSIMULACRA2: all that is worth a look, and what people use.
EYE_WINDOWS: dict[str, tuple[float, float]] = {"eye": (30.0, 90.0), "eye, middle": (50.0, 85.0)}

RatePoint = tuple[float, float | None]


@dataclass(frozen=True)
class BDRate:
    """The outcome of one comparison.

    Attributes:
        percent: the mean difference of rate at equal quality, in per cent; negative: the tested codec needs fewer bits.
            None where the curves do not overlap inside the window.
        low: where the integration starts, in the unit of quality.
        high: where it ends.
        covers: whether both curves cover the whole window; where not, percent holds for low..high only.
    """

    percent: float | None
    low: float
    high: float
    covers: bool


def bd_rate(
    reference: Sequence[RatePoint], tested: Sequence[RatePoint], window: tuple[float, float] | None = None
) -> BDRate:
    """Compares two rate–quality curves.

    Args:
        reference: at least FEWEST_POINTS pairs (rate, quality), rate in any unit, in any order.
        tested: the same, in the same units.
        window: the range of quality to integrate over, or None for the whole overlap of the two curves.

    Raises:
        UsageError: too few points; a rate or quality that is missing, not finite, or a rate that is not positive; or a
            curve on which quality does not rise strictly with rate, so that it is no function of quality.
        MissingExtraError: scipy is not installed.
    """
    named = (("reference", reference), ("tested", tested))
    for name, points in named:
        if len(points) < FEWEST_POINTS:
            raise UsageError(
                f"the {name} curve has {len(points)} point{'' if len(points) == 1 else 's'}: BD-rate needs at least {FEWEST_POINTS}"
            )
    curves = [_prepare(points, name) for name, points in named]
    lowest = max(float(quality[0]) for quality, _ in curves)
    highest = min(float(quality[-1]) for quality, _ in curves)
    low, high = (lowest, highest) if window is None else (max(lowest, window[0]), min(highest, window[1]))
    covers = window is None or (low, high) == tuple(window)
    if low >= high:
        return BDRate(None, low, high, covers=False)
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise MissingExtraError("BD-rate needs the package scipy: pip install 'vaecodec[metrics]'") from error
    areas = [float(PchipInterpolator(quality, log_rate).integrate(low, high)) for quality, log_rate in curves]
    difference = (areas[1] - areas[0]) / (high - low)
    return BDRate(100 * math.expm1(difference), low, high, covers)


def _prepare(points: Sequence[RatePoint], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns quality, ascending, and log rate, both float64 [N]."""
    checked: list[tuple[float, float]] = []
    for rate, quality in points:
        if quality is None or not math.isfinite(quality) or not math.isfinite(rate) or rate <= 0:
            raise UsageError(
                f"the {name} curve has a point of rate {rate} and quality {quality}: BD-rate needs numbers"
            )
        checked.append((rate, quality))
    ordered = sorted(checked)
    for (rate, quality), (next_rate, next_quality) in itertools.pairwise(ordered):
        if next_quality <= quality or next_rate <= rate:
            raise UsageError(
                f"the {name} curve does not rise: quality {quality:.4f} at rate {rate:.4f}, {next_quality:.4f} at {next_rate:.4f}"
            )
    rates, qualities = np.array(ordered).T
    return qualities, np.log(rates)
