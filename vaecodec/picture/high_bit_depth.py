"""Samples of more than 8 bits, which Pillow reduces to 8 or refuses: read by libraries that do not."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from vaecodec.errors import MissingExtraError, UnreadablePictureError
from vaecodec.picture.picture import Planes
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.wide_numbers import scaled, sixteen_bits, split_alpha

_PNM_HEADER = re.compile(rb"P([2356])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
_COMMENT = re.compile(rb"#[^\n]*")
_PFM_HEADER = re.compile(rb"P([Ff])\s+(\d+)\s+(\d+)\s+([-+.\deE]+)\s")


def read_high_bit_depth(format: str, file: BinaryIO, name: str, size: tuple[int, int], bits: int) -> Planes | None:
    """Reads samples of 9 to 16 bits without loss.

    Args:
        format: as Pillow calls it.
        file: its bytes.
        name: in messages.
        size: width and height as Pillow has read them; what another library says must be the same.
        bits: of the sample that has most.

    Returns:
        None for formats that are not read with more than 8 bits.

    Raises:
        MissingExtraError: all but PNM need the extra ``formats``.
    """
    file.seek(0)
    data = file.read()
    if format == "PPM":
        return _read_pnm(data)
    decoder = {"PNG": "png_decode", "JPEG2000": "jpeg2k_decode", "AVIF": "avif_decode", "JPEG": "jpeg8_decode"}.get(
        format
    )
    if decoder is None:
        return None
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: {bits} bits per sample need the packages imagecodecs and tifffile: pip install 'vaecodec[formats]'"
        ) from error
    planes = getattr(imagecodecs, decoder)(data)
    width, height = size
    if planes.ndim == 4:
        # Of several frames, the first.
        planes = planes[0]
    if planes.shape[:2] != (height, width) or planes.dtype != np.uint16:
        raise UnreadablePictureError(f"{name}: two readers disagree about its samples")
    planes = planes.reshape(height, width, -1)
    if planes.shape[2] > 4:
        return None
    return *split_alpha(scaled(planes, 65535 if format == "PNG" else 2**bits - 1)), ()


def _read_pnm(data: bytes) -> Planes | None:
    """PGM and PPM of any depth, binary or in digits, scaled to 16 bits."""
    header = _PNM_HEADER.match(data)
    if header is None:
        return None
    channels, maxval = {b"5": 1, b"6": 3, b"2": 1, b"3": 3}[header[1]], int(header[4])
    width, height = int(header[2]), int(header[3])
    count = height * width * channels
    if header[1] in b"56":
        values = np.frombuffer(data, ">u2", count, header.end())
    else:
        digits = _COMMENT.sub(b" ", data[header.end() :]).split(maxsplit=count)[:count]
        values = np.array(digits, dtype=np.int64).astype(np.uint32)
    return scaled(values.reshape(height, width, channels), maxval), None, ()


def read_pfm(data: bytes, name: str, max_pixels: int) -> Planes | None:
    """Portable float map, grey or RGB, whose rows go from the bottom up; None where it is none."""
    header = _PFM_HEADER.match(data)
    if header is None:
        return None
    channels, width, height = {b"f": 1, b"F": 3}[header[1]], int(header[2]), int(header[3])
    check_size(width, height, max_pixels, name)
    try:
        order = "<" if float(header[4]) < 0 else ">"
        values = np.frombuffer(data, f"{order}f4", height * width * channels, header.end())
    except ValueError as error:
        raise UnreadablePictureError(f"{name}: damaged or cut short") from error
    samples, notes = sixteen_bits(values.reshape(height, width, channels)[::-1])
    return samples, None, notes
