"""Reads Pillow images that a caller has: untouched ones may have more bits in their file, of all others memory counts."""

from __future__ import annotations

from typing import BinaryIO, cast

from PIL import Image, TiffImagePlugin

from vaecodec.picture.bit_depth import HEADER_BYTES, bits_per_sample
from vaecodec.picture.coded_colour import of_png as colour_of_png
from vaecodec.picture.metadata import Metadata
from vaecodec.picture.picture import Picture, Planes
from vaecodec.picture.picture_rows import check_size
from vaecodec.picture.pillow_images import (
    GREY_MODES,
    as_bytes,
    check_mode,
    density_in_info,
    exif_in_info,
    head_of,
    is_untouched,
    planes_in_memory,
    png_colour_in_info,
)
from vaecodec.picture.read_files import check_frames, errors_of, quiet, read_file
from vaecodec.picture.tiff_metadata import exif_in_memory, tiff_metadata


def read_image(image: Image.Image, name: str, max_pixels: int, first_frame: bool, reduce: bool) -> Picture:
    """Reads an image of any mode whose colours are known.

    Raises:
        PictureError, LimitError, MissingExtraError: as `read_picture`.
    """
    check_size(image.width, image.height, max_pixels, name)
    with errors_of(name):
        if first_frame and getattr(image, "n_frames", 1) > 1:
            image.seek(0)
        check_frames(image, name, first_frame)
        wide = _planes_of_its_file(image, name, max_pixels, first_frame, reduce) if is_untouched(image) else None
        exif, notes = _exif_of(image)
        if wide is None:
            check_mode(image, name)
            exif, notes = _load(image, exif, notes)
            planes = planes_in_memory(image)
        else:
            planes = wide
        return Picture.of(planes[0], _metadata_of(image, planes, exif, notes), planes[1])


def _planes_of_its_file(
    image: Image.Image, name: str, max_pixels: int, first_frame: bool, reduce: bool
) -> Planes | None:
    """The samples of an untouched image with more bits than Pillow would load; None where Pillow loads them all."""
    file = cast(BinaryIO, image.fp)  # type: ignore[attr-defined]
    if bits_per_sample(image, head_of(file, HEADER_BYTES)) <= 8:
        return None
    position = file.tell()
    try:
        picture = read_file(file, name, max_pixels, first_frame, reduce)
    finally:
        file.seek(position)
    return None if picture is None else (picture.samples, picture.alpha, ())


def _exif_of(image: Image.Image) -> tuple[bytes | None, tuple[str, ...]]:
    """The EXIF block; of TIFF from its file while that is open, else from what Pillow keeps."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return exif_in_info(image), ()
    file = image.fp
    if file is None or getattr(file, "closed", False):
        return exif_in_memory(image)
    position = file.tell()
    # Pillow turns what it loads.
    found = tiff_metadata(cast(BinaryIO, file), image.tell(), orientation=False)
    file.seek(position)
    return found.exif, found.notes


def _load(image: Image.Image, exif: bytes | None, notes: tuple[str, ...]) -> tuple[bytes | None, tuple[str, ...]]:
    """Loads an image; what Pillow stumbles over in its metadata afterwards is no reason not to have the samples."""
    try:
        with quiet():
            image.load()
    except Exception:
        if not isinstance(image, TiffImagePlugin.TiffImageFile) or getattr(image, "_im", None) is None or image.tile:
            raise
        return exif, (*notes, "its orientation was not applied: tags beside it are broken")
    return exif, notes


def _metadata_of(image: Image.Image, planes: Planes, exif: bytes | None, notes: tuple[str, ...]) -> Metadata:
    icc, said = as_bytes(image.info.get("icc_profile")), tuple[str, ...]()
    if image.mode == "CMYK":
        icc = None
    elif icc is None and image.format == "PNG":
        grey = image.mode in GREY_MODES or planes[0].shape[2] == 1
        icc, said = colour_of_png(png_colour_in_info(image), grey=grey)
    return Metadata(
        icc=icc,
        exif=exif,
        xmp=as_bytes(image.info.get("xmp")),
        density=density_in_info(image),
        notes=(*planes[2], *notes, *said),
    )
