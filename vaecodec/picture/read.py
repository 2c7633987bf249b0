"""Reads what people have into a `Picture`: paths, bytes, open files, Pillow images and arrays.

::

    path ─┐            ┌─► TIFF, HEIC, JPEG XL, .npy, PFM: readers of their own ──┐
    bytes ├─► kind? ───┼─► Pillow ─► checks: frames, depth, mode ─► samples, alpha ├─► Picture
    file ─┘            └─► a line of its own                                       │
    Pillow image: what is in memory ──────────────────────────────────────────────┤
                              icc, exif, xmp, density: as they lie ────────────────┘
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import UnreadablePictureError, UnsupportedPictureError
from vaecodec.picture.picture import Picture
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.read_files import may_be_picture, read_file
from vaecodec.picture.read_images import read_image
from vaecodec.picture.wide_numbers import split_alpha, to_8_bit
from vaecodec.sources import has_end, opened, path_of, taken_in

PictureSource = (
    str
    | os.PathLike[str]
    | os.PathLike[bytes]
    | bytes
    | bytearray
    | memoryview
    | BinaryIO
    | Image.Image
    | npt.NDArray[Any]
    | Picture
)

# Above twice Image.MAX_IMAGE_PIXELS Pillow refuses by itself; this is that number, so that one limit is met, not two.
DEFAULT_MAX_PIXELS = 178_956_970

__all__ = ["DEFAULT_MAX_PIXELS", "PictureSource", "picture_of_stream", "read_picture"]


def read_picture(
    source: PictureSource,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    first_frame: bool = False,
    reduce_to_8_bit: bool = False,
) -> Picture:
    """Reads a picture of 8 or 16 bits, grey or RGB, with or without transparency.

    Palettes become RGB, black and white becomes grey; a colour that is declared transparent becomes alpha 0. Samples of other
    depths, signed and floating ones become 16 bits. CMYK becomes sRGB by the ICC profile that the file brings, which is
    then dropped: it no longer holds. Colour that a file describes without an ICC profile becomes one. Orientation is not
    applied, but for HEIC and JPEG XL, whose decoders do it. Of an MPO file (a JPEG with further views behind it) the first
    view is read. TIFF has no EXIF block of its own: one is built from its tags, value by value. Of a Pillow image what
    is in memory counts, once it is loaded.

    What was changed, and what of the source is not here, is said by the picture's ``notes``.

    Args:
        source: a path, the bytes of a file, a binary file, a Pillow image, or a uint8 or uint16 array (H, W) or (H, W, C) with C = 1 grey,
            2 grey and alpha, 3 RGB, 4 RGB and alpha. A `Picture` is given back as it is.
        max_pixels: the largest width × height that is taken. Checked before samples are decoded.
        first_frame: take the first of several frames or pages, and let the others go.
        reduce_to_8_bit: round samples of more than 8 bits to 8.

    Raises:
        PictureNotFoundError: there is no such file, or it cannot be opened.
        PermissionError: it may not be read.
        UnreadablePictureError: not a picture, or a broken one.
        AnimatedPictureError: several frames or pages, unless the first is asked for.
        BitDepthError: more than 8 bits per sample in a format that is read with 8 only, and not ``reduce_to_8_bit``.
        MissingExtraError: more than 8 bits, rare TIFF and HEIC need the extra ``formats``.
        UnsupportedPictureError: CMYK without a profile, HDR, a camera's raw file, or another kind that is not supported.
        LimitError: more than max_pixels.
    """
    picture = _read(source, max_pixels, first_frame, reduce_to_8_bit)
    return to_8_bit(picture) if reduce_to_8_bit else picture


def _read(source: PictureSource, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    if isinstance(source, Picture):
        check_size(source.width, source.height, max_pixels, "the picture")
        return source
    if isinstance(source, np.ndarray):
        return _read_array(source, max_pixels)
    if isinstance(source, Image.Image):
        name = str(getattr(source, "filename", "") or "the image")
        return read_image(source, name, max_pixels, first_frame, reduce)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _read_file(io.BytesIO(source), "the data", max_pixels, first_frame, reduce)
    if isinstance(source, (str, os.PathLike)):
        return _read_path(path_of(source), max_pixels, first_frame, reduce)
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "the file"))
        try:
            data = source.read() if has_end(source) else picture_of_stream(source, name, max_pixels).getvalue()
        except (OSError, ValueError) as error:
            raise UnreadablePictureError(f"{name}: cannot be read: {error}") from error
        if not isinstance(data, bytes):
            raise UnsupportedPictureError(
                f"{name}: a file of {type(data).__name__} is not a picture: open it as binary"
            )
        return _read_file(io.BytesIO(data), name, max_pixels, first_frame, reduce)
    raise UnsupportedPictureError(
        f"a {type(source).__name__} is not a picture: give a path, bytes, a binary file, a Pillow image or a uint8 array"
    )


_BYTES_PER_PIXEL = 8
"""Of the largest samples: four channels of 16 bits."""
_BYTES_BESIDE = 1 << 26
"""Metadata may take so much besides."""


def _read_array(array: npt.NDArray[Any], max_pixels: int) -> Picture:
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim == 3 and array.shape[2] in (2, 4) and array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        samples, alpha = split_alpha(array)
        picture = Picture(samples, alpha=alpha)
    else:
        picture = Picture(array)
    check_size(picture.width, picture.height, max_pixels, "the array")
    return picture


def _read_path(path: Path, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    with opened(path) as file:
        whole = file if has_end(file) else picture_of_stream(file, str(path), max_pixels)
        return _read_file(whole, str(path), max_pixels, first_frame, reduce)


def picture_of_stream(file: BinaryIO, name: str, max_pixels: int = DEFAULT_MAX_PIXELS) -> io.BytesIO:
    """All of a pipe or a device, which may have no end: no more than the largest picture that is taken can have, and little of what is none.

    Raises:
        LimitError: there is more.
    """
    most = _BYTES_PER_PIXEL * max_pixels + _BYTES_BESIDE
    return taken_in(file, name, most, f"no picture of {max_pixels} pixels takes as many", is_wanted=may_be_picture)


def _read_file(file: BinaryIO, name: str, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    """Reads a file that can seek; of ``.npy`` any array that is a picture."""
    found = read_file(file, name, max_pixels, first_frame, reduce)
    if isinstance(found, Picture):
        return found
    try:
        array = np.load(file, allow_pickle=False, mmap_mode=None)
    except (ValueError, EOFError, OSError) as error:
        raise UnreadablePictureError(f"{name}: not an array of a picture, or damaged") from error
    return _read_array(array, max_pixels)
