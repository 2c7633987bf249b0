"""HEIC and HEIF, what phones make: read by pillow-heif, which turns the samples upright as the format demands."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from vaecodec.errors import LimitError, MissingExtraError, PictureError, UnsupportedPictureError
from vaecodec.picture.coded_colour import of_boxes
from vaecodec.picture.isobmff import has_tone_map, item_types
from vaecodec.picture.metadata import GAIN_MAP_NOTE, Metadata
from vaecodec.picture.orientation import upright_exif
from vaecodec.picture.picture import Picture
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.tiff_read import unreadable
from vaecodec.picture.wide_numbers import DIVIDED, scaled, straight

_EXPORT = "export it as PNG, TIFF or JPEG first"
_EXIF_PREFIX = b"Exif\0\0"
_CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}


def read_heif(file: BinaryIO, name: str, max_pixels: int) -> Picture:
    """Reads the primary picture, of 8 bits or up to 16.

    Raises:
        MissingExtraError: needs pillow-heif.
        UnreadablePictureError, UnsupportedPictureError, LimitError: as `read_picture`.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError(
            f"{name}: HEIC needs the package pillow-heif: pip install 'vaecodec[formats]'"
        ) from error
    file.seek(0)
    try:
        opened: Any = pillow_heif.open_heif(file, convert_hdr_to_8bit=False)
        if not len(opened):
            raise UnsupportedPictureError(f"{name}: HEIF without a picture that pillow-heif decodes: {_EXPORT}")
        image = opened[opened.primary_index]
        width, height = image.size
        check_size(width, height, max_pixels, name)
        mode = str(image.mode).split(";")[0]
        if mode not in _CHANNELS:
            raise UnsupportedPictureError(f"{name}: colour mode {image.mode} is not supported: convert it to RGB first")
        planes = np.asarray(image).reshape(height, width, _CHANNELS[mode])
        bits = int(image.info.get("bit_depth", 8))
        if planes.dtype == np.uint16:
            planes = scaled(planes >> (16 - bits), 2**bits - 1)
        notes = tuple(_notes(opened, image, file))
        alpha = None
        if mode.endswith(("A", "a")):
            planes, alpha = planes[:, :, :-1], planes[:, :, -1]
            if mode.endswith("a"):
                planes, notes = straight(planes, alpha), (*notes, DIVIDED)
        icc, said = of_boxes(file, grey=planes.shape[2] == 1)
        exif = (image.info.get("exif") or b"").removeprefix(_EXIF_PREFIX) or None
        metadata = Metadata(
            image.info.get("icc_profile") or icc, upright_exif(exif), image.info.get("xmp") or None, notes=notes + said
        )
        return Picture.of(np.ascontiguousarray(planes), metadata, alpha)
    except UnsupportedPictureError as error:
        raise UnsupportedPictureError(str(error) if name in str(error) else f"{name}: {error}") from error
    except (PictureError, LimitError, MemoryError):
        raise
    except Exception as error:
        raise unreadable(name, error) from error


def _notes(opened: Any, image: Any, file: BinaryIO) -> list[str]:
    """Words about what lies beside the picture."""
    notes = []
    if len(opened) > 1:
        notes.append(f"{len(opened) - 1} further pictures in it are not kept")
    kinds = {kind.lower() for kind in item_types(file)} | {
        str(kind).lower().encode() for kind in image.info.get("aux", {})
    }
    if any(b"gainmap" in kind for kind in kinds) or has_tone_map(file):
        notes.append(GAIN_MAP_NOTE)
    if image.info.get("depth_images") or any(b"depth" in kind or kind.endswith(b"auxid:2") for kind in kinds):
        notes.append("the depth map is not kept")
    return notes
