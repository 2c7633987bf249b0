"""Pictures: files that people have on one side, sample planes and metadata on the other.

A module is imported when the first of its names is asked for: who writes a PNG waits for no reader of TIFF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaecodec.picture.lossless import LosslessPlanes, decode_lossless, encode_lossless
    from vaecodec.picture.metadata import Density, Metadata
    from vaecodec.picture.orientation import apply_orientation, exif_orientation
    from vaecodec.picture.picture import SCALE_8_TO_16, Picture
    from vaecodec.picture.picture_rows import PictureRows, RowWindow
    from vaecodec.picture.read import DEFAULT_MAX_PIXELS, PictureSource, read_picture
    from vaecodec.picture.rows import (
        DEFAULT_MAX_ROW_PIXELS,
        LARGE_PIXELS,
        ROW_FORMATS,
        open_rows,
        rows_hold,
        write_rows,
    )
    from vaecodec.picture.screen_content import looks_like_screen_content
    from vaecodec.picture.strip import strip_metadata
    from vaecodec.picture.transparency import fill_transparent
    from vaecodec.picture.wide_numbers import rounded_to_8_bit, to_8_bit
    from vaecodec.picture.write import (
        OUTPUT_FORMATS,
        OutputFormat,
        encode_picture,
        lost_metadata,
        output_format,
        write_picture,
    )

_MODULES = {
    "lossless": ("LosslessPlanes", "decode_lossless", "encode_lossless"),
    "metadata": ("Density", "Metadata"),
    "orientation": ("apply_orientation", "exif_orientation"),
    "picture": ("SCALE_8_TO_16", "Picture"),
    "picture_rows": ("PictureRows", "RowWindow"),
    "read": ("DEFAULT_MAX_PIXELS", "PictureSource", "read_picture"),
    "rows": ("DEFAULT_MAX_ROW_PIXELS", "LARGE_PIXELS", "ROW_FORMATS", "open_rows", "rows_hold", "write_rows"),
    "screen_content": ("looks_like_screen_content",),
    "strip": ("strip_metadata",),
    "transparency": ("fill_transparent",),
    "wide_numbers": ("rounded_to_8_bit", "to_8_bit"),
    "write": ("OUTPUT_FORMATS", "OutputFormat", "encode_picture", "lost_metadata", "output_format", "write_picture"),
}

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "DEFAULT_MAX_ROW_PIXELS",
    "LARGE_PIXELS",
    "OUTPUT_FORMATS",
    "ROW_FORMATS",
    "SCALE_8_TO_16",
    "Density",
    "LosslessPlanes",
    "Metadata",
    "OutputFormat",
    "Picture",
    "PictureRows",
    "PictureSource",
    "RowWindow",
    "apply_orientation",
    "decode_lossless",
    "encode_lossless",
    "encode_picture",
    "exif_orientation",
    "fill_transparent",
    "looks_like_screen_content",
    "lost_metadata",
    "open_rows",
    "output_format",
    "read_picture",
    "rounded_to_8_bit",
    "rows_hold",
    "strip_metadata",
    "to_8_bit",
    "write_picture",
    "write_rows",
]


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _MODULES.items():
        if name in names:
            value = getattr(importlib.import_module(f"vaecodec.picture.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'vaecodec.picture' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
