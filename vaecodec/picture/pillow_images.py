"""Pillow images: what their modes and ``info`` say, once they are loaded. What is in memory counts, whatever file lies behind it."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from vaecodec.errors import UnsupportedPictureError
from vaecodec.picture.colour import INKS_CONVERTED, to_srgb
from vaecodec.picture.metadata import Density, density
from vaecodec.picture.picture import Planes
from vaecodec.picture.png_chunks import PngColour
from vaecodec.picture.wide_numbers import sixteen_bits

GREY_MODES = ("1", "L", "LA", "La")
SHALLOW_MODES = (*GREY_MODES, "P", "PA", "RGB", "RGBA", "RGBa")
"""Those that are 8 bit grey or RGB, with or without alpha, and lose nothing as such."""
WIDE_MODES = ("I", "F")
_PNG_DEPTH_BYTE = 24
_EXIF_PREFIX = b"Exif\0\0"


def is_untouched(image: Image.Image) -> bool:
    """Whether an image was opened and not loaded yet, so that its file says all about it, and more than its mode can."""
    if not isinstance(image, ImageFile.ImageFile) or not image.tile or getattr(image, "_im", None) is not None:
        return False
    file = image.fp
    return file is not None and not getattr(file, "closed", False)


def check_mode(image: Image.Image, name: str) -> None:
    """Refuses modes whose colours are not known.

    Raises:
        UnsupportedPictureError: such a mode.
    """
    if image.mode == "CMYK" and not image.info.get("icc_profile"):
        raise UnsupportedPictureError(
            f"{name}: CMYK without an ICC profile, so its colours are not known: convert it to RGB first"
        )
    known = (*SHALLOW_MODES, *WIDE_MODES, "CMYK")
    if image.mode not in known and not image.mode.startswith("I;16"):
        raise UnsupportedPictureError(f"{name}: colour mode {image.mode} is not supported: convert it to RGB first")


def planes_in_memory(image: Image.Image) -> Planes:
    """The samples of a loaded image, of any mode that `check_mode` lets through."""
    if image.mode == "CMYK":
        return to_srgb(image, image.info["icc_profile"]), None, (INKS_CONVERTED,)
    if image.mode.startswith("I;16") or image.mode in WIDE_MODES:
        return _wide_planes(image)
    grey = image.mode in GREY_MODES
    if not image.has_transparency_data:
        planes = np.array(image.convert("L" if grey else "RGB"), dtype=np.uint8)
        return planes.reshape(image.height, image.width, -1), None, ()
    image = _with_transparency_in_8_bit(image)
    planes = np.array(image.convert("LA" if grey else "RGBA"), dtype=np.uint8)
    return planes[:, :, :-1], planes[:, :, -1], ()


def _wide_planes(image: Image.Image) -> Planes:
    values = np.asarray(image)[:, :, np.newaxis]
    native = values.astype(values.dtype.newbyteorder("="))
    samples, notes = sixteen_bits(native)
    clear = image.info.get("transparency")
    alpha = np.where(native[:, :, 0] == clear, 0, 255).astype(np.uint8) if isinstance(clear, int) else None
    return samples, alpha, notes


def _with_transparency_in_8_bit(image: Image.Image) -> Image.Image:
    """Of PNG with 1, 2, 4 or 16 bits Pillow brings the samples to 8, but not the one that is declared transparent."""
    clear = image.info.get("transparency")
    if image.format != "PNG" or image.mode not in ("L", "RGB") or not isinstance(clear, (int, tuple)):
        return image
    image = image.copy()
    if isinstance(clear, int):
        image.info["transparency"] = clear * {2: 0x55, 4: 0x11}.get(_png_bits(image, clear), 1)
    elif max(clear) > 255:
        # Pillow keeps the upper 8 bits of 16.
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _png_bits(image: Image.Image, clear: int) -> int:
    """The depth of a grey PNG: as its header says, or as its samples, all of which are multiples."""
    for source in (getattr(image, "fp", None), getattr(image, "filename", None)):
        head = head_of(source, _PNG_DEPTH_BYTE + 1)
        if len(head) > _PNG_DEPTH_BYTE and head.startswith(b"\x89PNG"):
            return head[_PNG_DEPTH_BYTE]
    samples = np.asarray(image)
    for bits, step in ((2, 0x55), (4, 0x11)):
        if clear < 1 << bits and not (samples % step).any():
            return bits
    return 8


def head_of(source: Any, length: int) -> bytes:
    """The first bytes of an open file, whose position stays, or of a path; b"" where there are none."""
    if isinstance(source, (str, bytes)) and source:
        try:
            with Path(source.decode() if isinstance(source, bytes) else source).open("rb") as file:
                return file.read(length)
        except (OSError, ValueError):
            return b""
    if source is None or not hasattr(source, "seek") or getattr(source, "closed", False):
        return b""
    position = source.tell()
    source.seek(0)
    head: bytes = source.read(length)
    source.seek(position)
    return head


def exif_in_info(image: Image.Image) -> bytes | None:
    """The EXIF block that Pillow has found, from its TIFF header on."""
    exif = as_bytes(image.info.get("exif"))
    return (exif.removeprefix(_EXIF_PREFIX) or None) if exif else None


def as_bytes(value: str | bytes | None) -> bytes | None:
    """Bytes, of text its UTF-8; None where it is empty."""
    return value.encode() if isinstance(value, str) else value or None


def density_in_info(image: Image.Image) -> Density | None:
    """What ``info["dpi"]`` says, per inch."""
    said: Any = image.info.get("dpi")
    try:
        x, y = (Fraction(float(value)).limit_denominator(1 << 16) for value in said)
    except (TypeError, ValueError, OverflowError):
        return None
    return density(x.as_integer_ratio(), y.as_integer_ratio(), "inch")


def png_colour_in_info(image: Image.Image) -> PngColour:
    """What Pillow keeps of a PNG's chunks about colour."""
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    try:
        packed = struct.pack(">8I", *(round(value * 100_000) for value in points)) if points else None
        exponent = struct.pack(">I", round(gamma * 100_000)) if gamma else None
    except (TypeError, struct.error):
        return PngColour()
    return PngColour(None, exponent, packed, "srgb" in image.info, "icc_profile" in image.info)
