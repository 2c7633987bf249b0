"""Samples of 16 bits, which Pillow reduces to 8 in colour: read by libraries that do not."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import BitDepthError, LimitError, MissingExtraError
from vaecodec.picture.picture import DEEP_SCALE, Picture, Samples
from vaecodec.picture.rows import tiff_rows

_PNM_HEADER = re.compile(rb"P([56])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
_DEEPEST = 65535


def read_deep(image: Image.Image, file: BinaryIO | None, name: str) -> Picture | None:
    """Reads samples of 16 bits without loss.

    Args:
        image: as Pillow has opened it; its size has been checked.
        file: which it was opened from.
        name: in messages.

    Returns:
        Samples and alpha, of TIFF with its metadata; None for formats that are not read with 16 bits.

    Raises:
        BitDepthError: alpha of more than 8 bits.
        MissingExtraError: PNG and TIFF need the extra ``formats``.
    """
    if file is None:
        # A Pillow image without a file has what its mode says.
        return Picture(np.asarray(image)[:, :, np.newaxis].astype(np.uint16)) if image.mode.startswith("I;16") else None
    file.seek(0)
    match image.format:
        case "TIFF":
            rows = tiff_rows(file, name, image.width * image.height, first_frame=True)
            return rows.picture() if rows is not None and rows.bit_depth > 8 else None
        case "PNG":
            return _read_png(image, file, name)
        case "PPM":
            return _read_pnm(image, file.read())
    return None


def to_8_bit(picture: Picture) -> Picture:
    """The same picture with samples of 8 bits, rounded to the nearest."""
    if picture.bit_depth == 8:
        return picture
    samples = rounded_to_8_bit(picture.samples)
    return Picture(samples, icc=picture.icc, exif=picture.exif, xmp=picture.xmp, alpha=picture.alpha)


def rounded_to_8_bit(samples: Samples) -> Samples:
    """uint16 -> uint8 of the same shape, rounded to the nearest."""
    return ((samples.astype(np.uint32) * 255 + _DEEPEST // 2) // _DEEPEST).astype(np.uint8)


def alpha_in_8_bit(alpha: npt.NDArray[Any], name: str) -> Samples:
    """uint16 [H, W] -> uint8, where nothing is lost by it.

    Raises:
        BitDepthError: it has more than 8 bits.
    """
    if (alpha % DEEP_SCALE).any():
        raise BitDepthError(
            f"{name}: transparency of more than 8 bits is not supported: use --to-8-bit, or remove the transparency"
        )
    return (alpha // DEEP_SCALE).astype(np.uint8)


def _read_png(image: Image.Image, file: BinaryIO, name: str) -> Picture:
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: 16 bits per sample need the packages imagecodecs and tifffile: "
            "pip install 'vaecodec[formats]', or use --to-8-bit"
        ) from error
    planes = imagecodecs.png_decode(file.read())
    if planes.shape[:2] != (image.height, image.width):
        raise LimitError(f"{name}: two readers disagree about its size")
    planes = planes.reshape(image.height, image.width, -1)
    if planes.shape[2] in (1, 3):
        return Picture(planes)
    alpha = planes[:, :, -1]
    return Picture(planes[:, :, :-1], alpha=alpha_in_8_bit(alpha, name))


def _read_pnm(image: Image.Image, data: bytes) -> Picture | None:
    """Binary PGM and PPM of any depth, scaled to 16 bits."""
    header = _PNM_HEADER.match(data)
    if header is None:
        return None
    channels, deepest = {b"5": 1, b"6": 3}[header[1]], int(header[4])
    shape = (image.height, image.width, channels)
    count = image.height * image.width * channels
    values = np.frombuffer(data, ">u2", count, header.end()).reshape(shape).astype(np.uint32)
    return Picture(((np.minimum(values, deepest) * _DEEPEST + deepest // 2) // deepest).astype(np.uint16))
