"""EXIF and TIFF's own tags, which say the same things in two places: one into the other."""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

from vaecodec.picture.orientation import ORIENTATION_TAG
from vaecodec.picture.picture import Picture

_XMP_TAG = 700
# Tags that say something about the photograph. The others say how a TIFF file is laid out and hold for that file only.
_DESCRIPTIVE_TAGS = (270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432)
# The directories below them: EXIF proper and GPS.
_DESCRIPTIVE_DIRECTORIES = (0x8769, 0x8825)


def exif_from_tiff(image: TiffImagePlugin.TiffImageFile, *, orientation: bool = False) -> bytes | None:
    """Builds an EXIF block from the descriptive tags of an opened TIFF file.

    Args:
        image: opened.
        orientation: keep it too; where Pillow decodes the samples it has applied it.
    """
    tags = (*_DESCRIPTIVE_TAGS, ORIENTATION_TAG) if orientation else _DESCRIPTIVE_TAGS
    block = _descriptive(image.getexif(), tags)
    return block.tobytes().removeprefix(b"Exif\0\0") if len(block) else None


def tiff_tags(picture: Picture) -> Image.Exif:
    """Returns what a TIFF file of this picture is to have as tags: the descriptive part of its EXIF, and its XMP."""
    source = Image.Exif()
    if picture.exif is not None:
        source.load(picture.exif)
    tags = _descriptive(source, (*_DESCRIPTIVE_TAGS, ORIENTATION_TAG))
    if picture.xmp is not None:
        tags[_XMP_TAG] = picture.xmp
    return tags


def _descriptive(source: Image.Exif, tags: tuple[int, ...]) -> Image.Exif:
    chosen = Image.Exif()
    for tag in tags:
        if tag in source:
            chosen[tag] = source[tag]
    for directory in _DESCRIPTIVE_DIRECTORIES:
        if entries := source.get_ifd(directory):
            chosen.get_ifd(directory).update(entries)
            chosen[directory] = dict(entries)
    return chosen
