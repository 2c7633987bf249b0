"""Writes a `Picture` in the formats that people use, with its metadata where the format has a place for it."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import PngImagePlugin

from vaecodec.atomic import write_atomically
from vaecodec.errors import UsageError
from vaecodec.picture.picture import Picture
from vaecodec.picture.png_rows import write_png
from vaecodec.picture.rows import PictureRows, rows_hold, write_rows
from vaecodec.picture.tiff_metadata import tiff_tags

_EXIF_PREFIX = b"Exif\0\0"

# Quality for those who ask for JPEG: no visible second loss on top of ours.
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class OutputFormat:
    """What a file format can hold, and how it is written.

    Attributes:
        name: as given on the command line.
        pillow_name: as Pillow calls it.
        extensions: file name extensions, the usual one first.
        holds: those of "icc", "exif", "xmp" that it has a place for.
        lossless: whether the samples come back unchanged.
        transparency: whether it holds alpha.
        options: the arguments of Pillow's ``save`` for a picture.
        max_side: the largest width or height, or None.
    """

    name: str
    pillow_name: str
    extensions: tuple[str, ...]
    holds: frozenset[str]
    lossless: bool
    options: Callable[[Picture], dict[str, Any]]
    max_side: int | None = None
    transparency: bool = False


PNG_LEVEL = 3
"""Of zlib: on decoded photographs 3 % smaller than its default, 6, and in less than half of the time."""


def _png_options(picture: Picture) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    if picture.xmp is not None:
        # Built by hand: Pillow's own way needs text, and XMP is to come back byte for byte.
        chunks.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + picture.xmp)
    return _given(icc_profile=picture.icc, exif=picture.exif) | {"pnginfo": chunks, "compress_level": PNG_LEVEL}


def _jpeg_options(picture: Picture) -> dict[str, Any]:
    exif = None if picture.exif is None else _EXIF_PREFIX + picture.exif
    quality = {"quality": _JPEG_QUALITY, "subsampling": "4:4:4", "optimize": True}
    return quality | _given(icc_profile=picture.icc, exif=exif, xmp=picture.xmp)


def _webp_options(picture: Picture) -> dict[str, Any]:
    # "exact" keeps the colours under full transparency, which are samples too.
    return {"lossless": True, "exact": True} | _given(icc_profile=picture.icc, exif=picture.exif, xmp=picture.xmp)


def _tiff_options(picture: Picture) -> dict[str, Any]:
    # Uncompressed: the library that compresses cannot write the directories that EXIF lies in.
    return {"exif": tiff_tags(picture)} | _given(icc_profile=picture.icc)


def _no_options(_: Picture) -> dict[str, Any]:
    return {}


def _given(**options: bytes | None) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


_EVERYTHING = frozenset({"icc", "exif", "xmp"})

OUTPUT_FORMATS: dict[str, OutputFormat] = {
    output.name: output
    for output in (
        OutputFormat("png", "PNG", (".png",), _EVERYTHING, True, _png_options, transparency=True),
        OutputFormat("jpeg", "JPEG", (".jpg", ".jpeg", ".jpe"), _EVERYTHING, False, _jpeg_options, max_side=65535),
        OutputFormat("webp", "WEBP", (".webp",), _EVERYTHING, True, _webp_options, max_side=16383, transparency=True),
        OutputFormat("tiff", "TIFF", (".tif", ".tiff"), _EVERYTHING, True, _tiff_options, transparency=True),
        OutputFormat("bmp", "BMP", (".bmp",), frozenset(), True, _no_options),
        OutputFormat("npy", "", (".npy",), frozenset(), True, _no_options, transparency=True),
        OutputFormat("ppm", "PPM", (".ppm", ".pgm", ".pnm"), frozenset(), True, _no_options),
    )
}


def output_format(path: str | Path | None = None, name: str | None = None) -> OutputFormat:
    """Finds the format for an output: by name if one is given, else by the path's extension, else PNG.

    Raises:
        UsageError: the name or the extension is not one of ours.
    """
    if name is not None:
        wanted = {"jpg": "jpeg", "tif": "tiff"}.get(name.lower(), name.lower())
        if wanted not in OUTPUT_FORMATS:
            raise UsageError(f"format {name!r} is not known: use one of {', '.join(OUTPUT_FORMATS)}")
        return OUTPUT_FORMATS[wanted]
    extension = Path(path).suffix.lower() if path is not None else ""
    if not extension:
        return OUTPUT_FORMATS["png"]
    for output in OUTPUT_FORMATS.values():
        if extension in output.extensions:
            return output
    raise UsageError(
        f"{path}: no picture format has this extension: name the format, one of {', '.join(OUTPUT_FORMATS)}"
    )


def lost_metadata(picture: Picture, output: OutputFormat) -> tuple[str, ...]:
    """Names those of "icc", "exif", "xmp" that the picture has and the format has no place for."""
    holds = rows_hold("tiff") if output.name == "tiff" and picture.bit_depth > 8 else output.holds
    return tuple(kind for kind in ("icc", "exif", "xmp") if getattr(picture, kind) and kind not in holds)


def encode_picture(picture: Picture, output: OutputFormat) -> bytes:
    """Returns the picture as the bytes of a file.

    TIFF keeps EXIF as tags of its own; all other formats keep it byte for byte.

    Raises:
        UsageError: the picture is too large for the format, or its metadata is, or it has transparency or 16 bits and the
            format has not.
    """
    if output.name == "npy":
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(picture))
        return buffer.getvalue()
    if picture.alpha is not None and not output.transparency:
        raise UsageError(f"{output.name} cannot hold the transparency of this picture: use png, webp or tiff")
    if output.max_side is not None and max(picture.width, picture.height) > output.max_side:
        raise UsageError(
            f"{picture.width} × {picture.height} pixels: {output.name} holds at most {output.max_side} a side: use png"
        )
    if picture.bit_depth > 8:
        return _encode_deep(picture, output)
    image = picture.to_pil()
    # Everything that is to be written is named by the options; what a plugin takes from here by itself is not.
    image.info.clear()
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=output.pillow_name, **output.options(picture))
    except (ValueError, TypeError, SyntaxError, KeyError, OSError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{output.name} cannot hold this picture or its metadata ({reason}): use png") from error
    return buffer.getvalue()


def _encode_deep(picture: Picture, output: OutputFormat) -> bytes:
    """16 bits per sample."""
    buffer = io.BytesIO()
    height, width, channels = picture.samples.shape
    if output.name == "png":
        planes = np.asarray(picture)
        write_png(
            buffer, width, height, 16, [planes], channels=planes.shape[2],
            icc=picture.icc, exif=picture.exif, xmp=picture.xmp,
        )  # fmt: skip
    elif output.name == "tiff" and picture.alpha is None:
        write_rows(
            PictureRows(width, height, channels, 16, [picture.samples], picture.icc, picture.exif, picture.xmp),
            buffer,
            "tiff",
        )
    else:
        raise UsageError(f"{output.name} cannot hold this picture with 16 bits per sample: use png")
    return buffer.getvalue()


def write_picture(
    picture: Picture, destination: str | Path | BinaryIO, format: str | None = None, *, overwrite: bool = False
) -> None:
    """Writes a picture to a path or a binary file.

    What the format has no place for is left out; `lost_metadata` tells what that would be.

    Args:
        picture: the picture.
        destination: a path, written atomically, or a binary file, written at its position.
        format: a key of OUTPUT_FORMATS; by default it follows from the path's extension, PNG where there is none.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the path exists and overwrite is False.
        UsageError: an unknown format, or one that cannot hold the picture.
    """
    if isinstance(destination, (str, Path)):
        data = encode_picture(picture, output_format(destination, format))
        write_atomically(destination, data, overwrite=overwrite)
    else:
        destination.write(encode_picture(picture, output_format(None, format)))
