"""What comes with the samples of a picture: profile, EXIF, XMP, density; and a word about what is not kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

GAIN_MAP_NOTE = "the gain map, its HDR half, is not kept"

DensityUnit = Literal["none", "inch", "centimetre", "metre"]
_PER_METRE = {"inch": Fraction(10000, 254), "centimetre": Fraction(100), "metre": Fraction(1)}


@dataclass(frozen=True)
class Density:
    """Pixels per unit, as the file says it: 300 per inch stay 300 per inch.

    Attributes:
        x: across, above 0.
        y: down, above 0.
        unit: "none" where only the ratio of the two means something.
    """

    x: Fraction
    y: Fraction
    unit: DensityUnit = "inch"

    def per(self, unit: DensityUnit) -> tuple[Fraction, Fraction]:
        """The same in another unit; as it is where the unit is "none"."""
        if self.unit == "none" or unit == "none":
            return self.x, self.y
        factor = _PER_METRE[self.unit] / _PER_METRE[unit]
        return self.x * factor, self.y * factor


def density(x: tuple[int, int] | int, y: tuple[int, int] | int, unit: DensityUnit) -> Density | None:
    """A density from numbers of a file; None where they say nothing: zero, or a ratio of 1 without a unit."""
    parts = [(value, 1) if isinstance(value, int) else value for value in (x, y)]
    if any(top <= 0 or bottom <= 0 for top, bottom in parts):
        return None
    across, down = (Fraction(top, bottom) for top, bottom in parts)
    # Files have room for 32 bits in each.
    if any(number >> 32 for value in (across, down) for number in value.as_integer_ratio()):
        return None
    return None if unit == "none" and across == down else Density(across, down, unit)


@dataclass(frozen=True)
class Metadata:
    """As the attributes of the same names in `Picture`."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    extended_xmp: bytes | None = None
    density: Density | None = None
    notes: tuple[str, ...] = ()


def listed(values: Iterable[object], most: int = 6) -> str:
    """Several words in one line: "a, b, c and 3 more"."""
    words = list(dict.fromkeys(map(str, values)))
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
