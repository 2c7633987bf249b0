"""Samples of any type and depth become 8 or 16 bits: exactly where they fit, else by their range, and that is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.errors import UnreadablePictureError, UnsupportedPictureError
from vaecodec.picture.picture import Picture, Samples

MAX_16_BIT = 65535
DIVIDED = "its colours were divided by their alpha"
"""What is said about a picture whose colours were multiplied by it."""
_Numbers = npt.NDArray[Any]


def sixteen_bits(values: _Numbers) -> tuple[Samples, tuple[str, ...]]:
    """Any real numbers -> uint16 of the same shape, and a word about it where the numbers were changed.

    Whole numbers of 0 to 65535 stay as they are. Others become fractions of 65535: floats of 0 to 1 by that scale,
    all else by the range from its smallest to its largest number.

    Raises:
        UnreadablePictureError: there is no number among them.
        UnsupportedPictureError: complex numbers.
    """
    if values.dtype.kind == "c":
        raise UnsupportedPictureError("its samples are complex numbers: save their magnitude, or their phase")
    if values.dtype == np.uint16:
        return values.astype(np.uint16, copy=False), ()
    wide = values.astype(np.float64)
    finite = np.isfinite(wide)
    if not finite.any():
        raise UnreadablePictureError("its samples are no numbers")
    low, high = float(wide[finite].min()), float(wide[finite].max())
    if values.dtype.kind in "iub" and low >= 0 and high <= MAX_16_BIT:
        return values.astype(np.uint16), ()
    notes = () if finite.all() else ("samples that are no finite numbers became the nearest that are",)
    wide = np.nan_to_num(wide, nan=low, posinf=high, neginf=low)
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        whole = np.rint(wide * MAX_16_BIT).astype(np.uint16)
        if not np.array_equal((whole / MAX_16_BIT).astype(values.dtype)[finite], values[finite]):
            notes = ("its floats were rounded to 16 bits", *notes)
        return whole, notes
    scale = MAX_16_BIT / (high - low) if high > low else 0.0
    notes = (f"its samples, {low:g} to {high:g}, became 0 to {MAX_16_BIT}", *notes)
    return np.rint((wide - low) * scale).astype(np.uint16), notes


def scaled(values: _Numbers, maxval: int) -> Samples:
    """Whole numbers of 0 to ``maxval`` -> uint8 of 0 to 255 where 8 bits are enough, else uint16 of 0 to 65535."""
    full = 255 if maxval <= 255 else MAX_16_BIT
    if maxval == full:
        return values.astype(np.uint8 if full == 255 else np.uint16, copy=False)
    wide = np.minimum(values.astype(np.uint32), maxval)
    return ((wide * full + maxval // 2) // maxval).astype(np.uint8 if full == 255 else np.uint16)


def to_8_bit(picture: Picture) -> Picture:
    """The same picture with samples of 8 bits, rounded to the nearest."""
    if picture.bit_depth == 8:
        return picture
    alpha = picture.alpha
    if alpha is not None and alpha.dtype != np.uint8:
        alpha = rounded_to_8_bit(alpha)
    return picture.with_samples(rounded_to_8_bit(picture.samples), alpha)


def rounded_to_8_bit(samples: Samples) -> Samples:
    """uint16 -> uint8 of the same shape, rounded to the nearest."""
    return ((samples.astype(np.uint32) * 255 + MAX_16_BIT // 2) // MAX_16_BIT).astype(np.uint8)


def split_alpha(planes: Samples) -> tuple[Samples, Samples | None]:
    """uint8 or uint16 [H, W, 1 to 4] -> samples, and alpha of the same type where there are two or four channels."""
    return (planes, None) if planes.shape[2] in (1, 3) else (planes[:, :, :-1], planes[:, :, -1])


def straight(colours: _Numbers, alpha: _Numbers) -> _Numbers:
    """Colours that were multiplied by alpha -> colours, of the same whole numbers; [H, W, C] and [H, W]."""
    full = np.iinfo(colours.dtype).max
    weight = np.maximum(alpha, 1).astype(np.uint64)[:, :, np.newaxis]
    divided: _Numbers = np.minimum((colours.astype(np.uint64) * full + weight // 2) // weight, full)
    return divided.astype(colours.dtype)
