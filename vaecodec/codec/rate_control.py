"""Looks for the quality at which a file just meets a target: a size, a rate, a SSIMULACRA2 score, a PSNR, an MS-SSIM.

Along quality, the logarithm of the size, the score, PSNR, and −log10(1 − MS-SSIM) are nearly straight lines, so a line through the last
two points on either side of the target soon meets it; each point is a real file.

To add a target, add a `Measure` to `MEASURES`: the functions, the command line and the cluster take their names from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from vaecodec.errors import TargetError, UsageError

if TYPE_CHECKING:
    from vaecodec.picture.picture import Samples

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
    """A quantity that rises with quality, and can be a target.

    Attributes:
        aim: names it in messages, with a place for the target; ``bpp`` is the same in bits per pixel.
        reached: the same for a value that was reached.
        help: for the command line.
        at_most: the target is a limit, as for sizes; else it is to be reached, as for PSNR.
        straight: makes a nearly straight line of it.
        slope: of that line for photographs, in a sixteenth of quality; where to look second.
        of_samples: measures decoded samples against the source's; None where it is the size of the file.
        target: from a target as given, and the picture's width and height, the value to search for.
        digits: behind the point, in messages.
        below_0: whether there are targets of 0 and less.
        pixels: of the picture.
    """

    aim: str
    reached: str
    help: str
    at_most: bool
    straight: Callable[[float], float]
    slope: float
    of_samples: Callable[[Samples, Samples], float] | None = None
    target: Callable[[float, int, int], float] = lambda value, width, height: float(value)
    digits: int = 2
    below_0: bool = False
    pixels: int = 1

    def meets(self, value: float, target: float) -> bool:
        """Tells whether a value is on the right side of the target."""
        return value <= target if self.at_most else value >= target

    def told(self, value: float) -> str:
        """`reached` for the least or the most, rounded so that what is told can be asked for: rates up, scores down."""
        if not self.at_most:
            value = math.floor(value * 10**self.digits) / 10**self.digits
        return self.reached.format(value, bpp=math.ceil(8e4 * value / self.pixels - 1e-6) / 1e4)


def _psnr(source: Samples, decoded: Samples) -> float:
    from vaecodec.metrics.fidelity import psnr

    return min(psnr(source, decoded), _NO_ERROR)


def _score(name: str) -> Callable[[Samples, Samples], float]:
    """The metric of this name in ``vaecodec.metrics``, which asks pictures for some size."""

    def score(source: Samples, decoded: Samples) -> float:
        from vaecodec import metrics

        value: float | None = getattr(metrics, name)(source, decoded)
        assert value is not None  # the size was checked
        return value

    return score


def _target(name: str, metric: str, highest: int) -> Callable[[float, int, int], float]:
    """Checks a target for the metric of this name, called ``metric`` in messages."""

    def target(value: float, width: int, height: int) -> float:
        from vaecodec.metrics import SHORTEST_SIDES

        if value > highest:
            raise UsageError(f"{metric} {value:g} is out of range: it is at most {highest}")
        if min(width, height) < SHORTEST_SIDES[name]:
            raise TargetError(
                f"{metric} is not defined for {width} × {height} pixels: the shorter side needs {SHORTEST_SIDES[name]}"
            )
        return value

    return target


SIZE = Measure(
    "a size of {:,.0f} bytes", "{:,.0f} bytes", "The best file of at most so many bytes: 100kB, 1.5MB, 64KiB, 2000.",
    True, math.log, 0.0018,
)  # fmt: skip
BPP = replace(
    SIZE,
    aim="a rate of {bpp:g} bits per pixel",
    reached="{bpp:g} bits per pixel ({:,.0f} bytes)",
    help="The best file of at most so many bits per pixel.",
    target=lambda value, width, height: max(1e-9, value * width * height / 8),
)
PSNR = Measure(
    "a PSNR of {:.2f} dB", "{:.2f} dB", "The smallest file of at least so many dB.", False, float, 0.0084, _psnr
)
SSIMULACRA2 = Measure(
    "an SSIMULACRA2 score of {:.2f}", "{:.2f}", "The smallest file of at least this SSIMULACRA2 score: 90 hardly to be told apart, 70 high, 50 medium.",
    False, float, 0.05, _score("ssimulacra2"), _target("ssimulacra2", "SSIMULACRA2", 100), below_0=True,
)  # fmt: skip
MS_SSIM = Measure(
    "an MS-SSIM of {:.5f}", "{:.5f}", "The smallest file of at least this MS-SSIM.",
    False, lambda value: -math.log10(max(1e-9, 1 - value)), 0.0009, _score("ms_ssim"), _target("ms_ssim", "MS-SSIM", 1), digits=5,
)  # fmt: skip

MEASURES: Final[Mapping[str, Measure]] = {
    "size": SIZE, "bpp": BPP, "ssimulacra2": SSIMULACRA2, "psnr": PSNR, "ms_ssim": MS_SSIM,
}  # fmt: skip
"""What can be a target, by the name of its argument; on the command line ``_`` is ``-``."""


def one_target(target: Mapping[str, float], width: int, height: int) -> tuple[Measure, float]:
    """Returns the measure and the value to search for, for the one target that is given.

    Raises:
        UsageError: none or several are given, or one that makes no sense.
    """
    if len(target) != 1:
        *names, last = MEASURES
        raise UsageError(f"give exactly one target: {', '.join(names)} or {last}")
    ((name, value),) = target.items()
    measure = MEASURES[name]
    if not (math.isfinite(value) and (value > 0 or measure.below_0)):
        raise UsageError(f"{name} {value:g} is out of range: give a number{'' if measure.below_0 else ' above 0'}")
    return replace(measure, pixels=max(1, width * height)), measure.target(value, width, height)


def search(measure: Measure, target: float, value_at: Callable[[int], float]) -> int:
    """Finds the quality in sixteenths, 0..1600, whose value meets the target most closely.

    Args:
        measure: what is aimed at.
        target: its value.
        value_at: makes the file of a quality and measures it.

    Raises:
        TargetError: no quality meets the target; the message says what can be reached.
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
            best, ask = ("takes at least", "less") if measure.at_most else ("reaches at most", "more")
            lossless = "" if measure.at_most else ", or compress it without loss"
            raise TargetError(
                f"{measure.aim.format(target, bpp=8 * target / measure.pixels)} cannot be reached: this picture {best} "
                f"{measure.told(value)}, "
                f"ask for no {ask}{lossless}"
            )
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
