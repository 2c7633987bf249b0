"""What was added to format version 1 later: features that a file needs, in a critical section, and its density.

A reader of before refuses the section FEATURES by its tag and tells its user to update; a reader of today refuses the
features that it does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from vaecodec.bitstream.varint import read_varint, write_varint
from vaecodec.errors import TruncatedFileError, UnknownSectionError

JPEG_XL_TILES: Final = 1
LOSSLESS_TILES_16_BIT: Final = 2
ALPHA_16_BIT: Final = 3
NO_MODEL: Final = 4
JPEG_XL_ALPHA: Final = 5
ALPHA_WITH_SAMPLES: Final = 6
_KNOWN: Final = (JPEG_XL_TILES, LOSSLESS_TILES_16_BIT, ALPHA_16_BIT, NO_MODEL, JPEG_XL_ALPHA, ALPHA_WITH_SAMPLES)

_LARGEST: Final = 2**32 - 1
_UNITS: Final = 4


class DensityFields(NamedTuple):
    """The DENSITY section: pixels per unit across and down, as fractions; unit 0 none, 1 inch, 2 centimetre, 3 metre."""

    unit: int
    x: tuple[int, int]
    y: tuple[int, int]


def features_payload(features: Iterable[int]) -> bytes:
    """FEATURES: one byte for each, ascending."""
    return bytes(sorted(set(features)))


def check_features(payload: memoryview | None, wrong: Callable[[str], Exception]) -> frozenset[int]:
    """Reads FEATURES; None where there is no such section.

    Raises:
        UnknownSectionError: a feature that this reader does not know.
    """
    if payload is None:
        return frozenset()
    if not len(payload) or list(payload) != sorted(set(payload)):
        raise wrong("the FEATURES section is not a list of ascending numbers")
    unknown = [number for number in payload if number not in _KNOWN]
    if unknown:
        raise UnknownSectionError(f"the file needs feature {unknown[0]}, which this vaecodec does not know: update it")
    return frozenset(payload)


def density_payload(density: DensityFields) -> bytes:
    """DENSITY: unit(1), then four varints.

    Raises:
        ValueError: a number that is out of range.
    """
    numbers = (*density.x, *density.y)
    if not 0 <= density.unit < _UNITS or not all(1 <= number <= _LARGEST for number in numbers):
        raise ValueError(f"{density} is no density")
    return bytes((density.unit,)) + b"".join(map(write_varint, numbers))


def read_density(payload: memoryview, wrong: Callable[[str], Exception]) -> DensityFields:
    """The inverse of `density_payload`, for bytes from anywhere."""
    numbers, position = [], 1
    try:
        for _ in range(4):
            number, position = read_varint(payload, position)
            numbers.append(number)
    except (TruncatedFileError, IndexError):
        raise wrong("the DENSITY section is too short") from None
    if position != len(payload) or payload[0] >= _UNITS or not all(1 <= number <= _LARGEST for number in numbers):
        raise wrong("the DENSITY section says no density")
    return DensityFields(payload[0], (numbers[0], numbers[1]), (numbers[2], numbers[3]))
