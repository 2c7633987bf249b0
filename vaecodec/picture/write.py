"""Writes a `Picture` in the formats that people use, with its metadata where the format has a place for it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import PngImagePlugin

from vaecodec.atomic import write_atomically
from vaecodec.errors import UsageError
from vaecodec.picture.jpeg_segments import extended_xmp_segments
from vaecodec.picture.metadata import Density
from vaecodec.picture.picture import Picture
from vaecodec.picture.picture_rows import PictureRows
from vaecodec.picture.png_rows import PNG_LEVEL, density_chunk, png_strategy, write_png
from vaecodec.picture.tiff_metadata import exif_says_density, tiff_tags
from vaecodec.picture.tiff_write import write_tiff

_EXIF_PREFIX = b"Exif\0\0"

# What one segment holds beside the names that stand before EXIF and XMP.
_JPEG_SEGMENT = 65533 - 29
_MOST_JFIF = 65535
# Signature and IHDR.
_PNG_HEAD = 33

# Quality for those who ask for JPEG: no visible second loss on top of ours.
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class OutputFormat:
    """What a file format can hold, and how it is written.

    Attributes:
        name: as given on the command line.
        pillow_name: as Pillow calls it.
        extensions: file name extensions, the usual one first.
        holds: those of "icc", "exif", "xmp", "extended XMP", "density" that it has a place for.
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


def _png_options(picture: Picture) -> dict[str, Any]:
    chunks = PngImagePlugin.PngInfo()
    if picture.xmp is not None:
        # Built by hand: Pillow's own way needs text, and XMP is to come back byte for byte.
        chunks.add(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + picture.xmp)
    zlib_options = {"compress_level": PNG_LEVEL, "compress_type": png_strategy(picture.samples)}
    return _given(icc_profile=picture.icc, exif=picture.exif) | {"pnginfo": chunks} | zlib_options


def _jpeg_options(picture: Picture) -> dict[str, Any]:
    options: dict[str, Any] = {"quality": _JPEG_QUALITY, "subsampling": "4:4:4", "optimize": True}
    lost = _too_large_for_jpeg(picture)
    if picture.exif is not None and "exif" not in lost:
        options["exif"] = _EXIF_PREFIX + picture.exif
    if picture.xmp is not None and "xmp" not in lost:
        options["xmp"] = picture.xmp
        if picture.extended_xmp is not None:
            options["extra"] = extended_xmp_segments(picture.extended_xmp)
    return options | _given(icc_profile=picture.icc)


def _too_large_for_jpeg(picture: Picture) -> tuple[str, ...]:
    """Those of "exif" and "xmp" that do not fit one segment."""
    return tuple(
        kind for kind in ("exif", "xmp") if (block := getattr(picture, kind)) is not None and len(block) > _JPEG_SEGMENT
    )


def _png_with_density(data: bytes, density: Density) -> bytes:
    """A PNG with a chunk more, right behind its header."""
    content = density_chunk(density)
    if content is None:
        return data
    chunk = b"pHYs" + content
    return (
        data[:_PNG_HEAD]
        + struct.pack(">I", len(content))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + data[_PNG_HEAD:]
    )


def _jpeg_with_density(data: bytes, density: Density) -> bytes:
    """A JPEG whose JFIF header, which Pillow has written, says a density."""
    (x, y), unit = (density.per("inch"), 1) if density.unit != "centimetre" else (density.per("centimetre"), 2)
    if density.unit == "none":
        ratio = (x / y).limit_denominator(_MOST_JFIF)
        (x, y), unit = (Fraction(ratio.numerator), Fraction(ratio.denominator)), 0
    numbers = round(x), round(y)
    if data[6:11] != b"JFIF\0" or not all(0 < number <= _MOST_JFIF for number in numbers):
        return data
    return data[:13] + struct.pack(">BHH", unit, *numbers) + data[18:]


def _webp_options(picture: Picture) -> dict[str, Any]:
    # "exact" keeps the colours under full transparency, which are samples too.
    return {"lossless": True, "exact": True} | _given(icc_profile=picture.icc, exif=picture.exif, xmp=picture.xmp)


def _bmp_options(picture: Picture) -> dict[str, Any]:
    if picture.density is None or picture.density.unit == "none":
        return {}
    return {"dpi": tuple(float(value) for value in picture.density.per("inch"))}


def _no_options(_: Picture) -> dict[str, Any]:
    return {}


def _given(**options: bytes | None) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


# Pillow knows none without a unit, and pixels per inch alone.
_DENSITY_WRITERS = {"png": _png_with_density, "jpeg": _jpeg_with_density}

_METADATA = frozenset({"icc", "exif", "xmp"})

OUTPUT_FORMATS: dict[str, OutputFormat] = {
    output.name: output
    for output in (
        OutputFormat("png", "PNG", (".png",), _METADATA | {"density"}, True, _png_options, transparency=True),
        OutputFormat(
            "jpeg",
            "JPEG",
            (".jpg", ".jpeg", ".jpe"),
            _METADATA | {"density", "extended XMP"},
            False,
            _jpeg_options,
            max_side=65535,
        ),
        OutputFormat("webp", "WEBP", (".webp",), _METADATA, True, _webp_options, max_side=16383, transparency=True),
        OutputFormat("tiff", "", (".tif", ".tiff"), _METADATA | {"density"}, True, _no_options, transparency=True),
        OutputFormat("bmp", "BMP", (".bmp",), frozenset({"density"}), True, _bmp_options),
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


def lost_metadata(picture: Picture | PictureRows, output: OutputFormat) -> tuple[str, ...]:
    """Names what of the picture's metadata the format has no place for: "icc", "exif", "xmp", "extended XMP", "density", parts of EXIF."""
    had = {
        "icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp, "extended XMP": picture.extended_xmp,
        "density": picture.density,
    }  # fmt: skip
    lost = [kind for kind, value in had.items() if value and kind not in output.holds]
    if "density" in lost and "exif" not in lost and exif_says_density(picture.exif):
        lost.remove("density")
    if output.name == "tiff":
        lost += tiff_tags(picture.metadata)[1]
    if output.name == "jpeg" and isinstance(picture, Picture):
        lost += _too_large_for_jpeg(picture)
    return tuple(lost)


def encode_picture(picture: Picture, output: OutputFormat) -> bytes:
    """Returns the picture as the bytes of a file.

    TIFF keeps EXIF as tags of its own, value by value; all other formats keep it byte for byte. What a format has no place
    for is left out; `lost_metadata` names it.

    Raises:
        UsageError: the picture is too large for the format, or it has transparency or 16 bits and the format has not.
    """
    buffer = io.BytesIO()
    if output.name == "npy":
        np.save(buffer, np.asarray(picture))
        return buffer.getvalue()
    if picture.alpha is not None and not output.transparency:
        raise UsageError(f"{output.name} cannot hold the transparency of this picture: use png, webp or tiff")
    if output.max_side is not None and max(picture.width, picture.height) > output.max_side:
        raise UsageError(
            f"{picture.width} × {picture.height} pixels: {output.name} holds at most {output.max_side} a side: use png"
        )
    if output.name == "tiff" or (output.name == "png" and picture.bit_depth > 8):
        planes = np.asarray(picture)
        write = write_tiff if output.name == "tiff" else write_png
        write(
            buffer, picture.width, picture.height, picture.bit_depth, [planes], channels=planes.shape[2],
            metadata=picture.metadata,
        )  # fmt: skip
        return buffer.getvalue()
    if picture.bit_depth > 8:
        raise UsageError(f"{output.name} cannot hold this picture with 16 bits per sample: use png")
    image = picture.to_pil()
    # Everything that is to be written is named by the options; what a plugin takes from here by itself is not.
    image.info.clear()
    try:
        image.save(buffer, format=output.pillow_name, **output.options(picture))
    except MemoryError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{output.name} cannot hold this picture or its metadata ({reason}): use png") from error
    data = buffer.getvalue()
    if picture.density is not None and output.name in _DENSITY_WRITERS:
        data = _DENSITY_WRITERS[output.name](data, picture.density)
    return data


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
