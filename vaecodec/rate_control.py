"""Looks for the quality at which a file just meets a target: a size, a rate, a PSNR, an MS-SSIM.

Along quality, the logarithm of the size, PSNR, and −log10(1 − MS-SSIM) are nearly straight lines, so a line through the last
two points on either side of the target soon meets it; each point is a real file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaecodec.errors import UsageError
from vaecodec.evaluation.metrics import MS_SSIM_SHORTEST_SIDE, ms_ssim, psnr

Samples = npt.NDArray[np.uint8]

LAST = 1600
"""The highest quality, in sixteenths."""
_FIRST_GUESS = 800
_MOST_POINTS = 28
# Where the curve bends too much for lines, the interval is halved at these points.
_HALVED = frozenset({4, *range(6, _MOST_POINTS, 2)})
# After so many points on one side of the target an end is tried: the picture may have few sizes.
_ONE_SIDED_POINTS = 4
# A picture without error has no PSNR; for the search it has this.
_NO_ERROR = 100.0


@dataclass(frozen=True)
class Measure:
    """A quantity that rises with quality.

    Attributes:
        name: in messages, with a place for the value.
        at_most: the target is a limit, as for sizes; else it is to be reached, as for PSNR.
        of_samples: it is measured on the decoded samples; else it is the size of the file.
        straight: makes a nearly straight line of it.
        slope: of that line for photographs, in a sixteenth of quality; where to look second.
    """

    name: str
    at_most: bool
    of_samples: bool
    straight: Callable[[float], float]
    slope: float

    def meets(self, value: float, target: float) -> bool:
        """Tells whether a value is on the right side of the target."""
        return value <= target if self.at_most else value >= target


SIZE = Measure("a size of {:,.0f} bytes", True, False, math.log, 0.0018)
PSNR = Measure("a PSNR of {:.2f} dB", False, True, float, 0.0084)
MS_SSIM = Measure("an MS-SSIM of {:.5f}", False, True, lambda value: -math.log10(max(1e-9, 1 - value)), 0.0009)


def one_target(
    width: int, height: int, *, size: int | None, bpp: float | None, psnr: float | None, ms_ssim: float | None
) -> tuple[Measure, float]:
    """Returns the measure and the value of the one target that is given.

    Raises:
        UsageError: none or several are given, or one that makes no sense.
    """
    given = {"size": size, "bpp": bpp, "psnr": psnr, "ms_ssim": ms_ssim}
    chosen = [(name, value) for name, value in given.items() if value is not None]
    if len(chosen) != 1:
        raise UsageError("give exactly one target: size, bpp, psnr or ms_ssim")
    name, value = chosen[0]
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{name} {value} makes no sense: give a number above 0")
    match name:
        case "size":
            return SIZE, float(value)
        case "bpp":
            return SIZE, max(1.0, value * width * height / 8)
        case "psnr":
            return PSNR, value
        case _:
            if value > 1:
                raise UsageError(f"ms_ssim {value} makes no sense: it is at most 1")
            if min(width, height) < MS_SSIM_SHORTEST_SIDE:
                raise UsageError(
                    f"MS-SSIM is not defined for {width} × {height} pixels: the shorter side needs {MS_SSIM_SHORTEST_SIDE}"
                )
            return MS_SSIM, value


def quality_of_samples(measure: Measure, source: Samples, decoded: Samples) -> float:
    """PSNR or MS-SSIM, finite.

    Raises:
        MissingExtraError: MS-SSIM needs the extra ``metrics``.
    """
    if measure is PSNR:
        return min(psnr(source, decoded), _NO_ERROR)
    similarity = ms_ssim(source, decoded)
    assert similarity is not None  # the size was checked
    return similarity


def search(measure: Measure, target: float, value_at: Callable[[int], float]) -> int:
    """Finds the quality in sixteenths, 0..1600, whose value meets the target most closely.

    Args:
        measure: what is aimed at.
        target: its value.
        value_at: makes the file of a quality and measures it.

    Raises:
        UsageError: no quality meets the target; the message says what can be reached.
    """
    wanted = measure.straight(target)
    # The highest quality known to lie below the target, and the lowest known to lie above, with their straight values.
    below: tuple[int, float] | None = None
    above: tuple[int, float] | None = None
    quality = _FIRST_GUESS
    for points in range(1, _MOST_POINTS + 1):
        value = value_at(quality)
        point = (quality, measure.straight(value))
        if value < target or (measure.at_most and value == target):
            below = point
        else:
            above = point
        if not measure.meets(value, target) and quality == (0 if measure.at_most else LAST):
            best = "takes at least {}" if measure.at_most else "reaches at most {}"
            reached = (
                f"{value:,.0f} bytes" if measure is SIZE else f"{value:.2f} dB" if measure is PSNR else f"{value:.5f}"
            )
            raise UsageError(f"{measure.name.format(target)} cannot be reached: this picture {best.format(reached)}")
        low, high = below[0] if below else -1, above[0] if above else LAST + 1
        if high - low <= 1:
            break
        quality = min(max(_next(measure, wanted, below, above, point, points), low + 1), high - 1)
    met = below if measure.at_most else above
    assert met is not None  # an end is reached within a few points, and is on the right side or an error
    return met[0]


def _next(
    measure: Measure,
    wanted: float,
    below: tuple[int, float] | None,
    above: tuple[int, float] | None,
    last: tuple[int, float],
    points: int,
) -> int:
    """Where the line meets the target."""
    if below is None or above is None:
        if points >= _ONE_SIDED_POINTS:
            return LAST if above is None else 0
        # Half as far again each time, should the picture be flatter than others.
        return round(last[0] + (wanted - last[1]) / measure.slope * 1.5 ** (points - 1))
    (x0, y0), (x1, y1) = below, above
    if points in _HALVED or y1 <= y0:
        return (x0 + x1) // 2
    crossing = x0 + (wanted - y0) * (x1 - x0) / (y1 - y0)
    return math.floor(crossing) if last[0] > crossing else math.ceil(crossing)
