"""Pictures: files that people have on one side, sample planes and metadata on the other."""

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
