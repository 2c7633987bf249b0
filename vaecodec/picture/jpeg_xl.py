"""JPEG XL, read where the package pillow-jxl-plugin is, and with 16 bits where imagecodecs is too."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np

from vaecodec.errors import LimitError, MissingExtraError, PictureError
from vaecodec.picture.isobmff import top_box
from vaecodec.picture.metadata import Metadata
from vaecodec.picture.orientation import upright_exif
from vaecodec.picture.picture import Picture
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.pillow_images import check_mode, exif_in_info, planes_in_memory
from vaecodec.picture.tiff_read import unreadable
from vaecodec.picture.wide_numbers import split_alpha


def read_jpeg_xl(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    """Reads a picture, upright.

    Raises:
        MissingExtraError: needs pillow-jxl-plugin.
        UnreadablePictureError, UnsupportedPictureError, LimitError: as `read_picture`.
    """
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: JPEG XL needs the package pillow-jxl-plugin: pip install pillow-jxl-plugin"
        ) from error
    file.seek(0)
    data = file.read()
    try:
        image: Any = JXLImageFile(io.BytesIO(data))
        check_size(image.width, image.height, max_pixels, name)
        check_mode(image, name)
        wide = None if image.jpeg or image.mode in ("I;16", "F") else _high_bit_depth_planes(data, image.size)
        if wide is None:
            image.load()
            samples, alpha, notes = planes_in_memory(image)
        else:
            (samples, alpha), notes = split_alpha(wide), ()
        metadata = Metadata(
            image.info.get("icc_profile") or None,
            upright_exif(exif_in_info(image)),
            top_box(file, b"xml "),
            notes=notes,
        )
        return Picture.of(np.ascontiguousarray(samples), metadata, alpha)
    except (PictureError, LimitError, MemoryError):
        raise
    except Exception as error:
        raise unreadable(name, error) from error


def _high_bit_depth_planes(data: bytes, size: tuple[int, int]) -> Any:
    """uint16 [H, W, C] of a picture of more than 8 bits; None where it is none, or imagecodecs is not here."""
    try:
        import imagecodecs
    except ImportError:
        return None
    planes = imagecodecs.jpegxl_decode(data)
    if planes.dtype != np.uint16 or planes.shape[:2] != (size[1], size[0]) or planes.ndim > 3:
        return None
    planes = planes.reshape(size[1], size[0], -1)
    return planes if planes.shape[2] <= 4 else None
