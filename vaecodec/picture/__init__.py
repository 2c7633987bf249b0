"""Pictures: files that people have on one side, sample planes and metadata on the other."""

from vaecodec.picture.atomic import check_output, write_atomically
from vaecodec.picture.lossless import LosslessPlanes, decode_lossless, encode_lossless
from vaecodec.picture.orientation import apply_orientation, exif_orientation
from vaecodec.picture.picture import Picture
from vaecodec.picture.read import DEFAULT_MAX_PIXELS, READABLE_EXTENSIONS, PictureSource, read_picture
from vaecodec.picture.screen_content import looks_like_screen_content
from vaecodec.picture.strip import strip_metadata
from vaecodec.picture.transparency import fill_transparent
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
    "OUTPUT_FORMATS",
    "READABLE_EXTENSIONS",
    "LosslessPlanes",
    "OutputFormat",
    "Picture",
    "PictureSource",
    "apply_orientation",
    "check_output",
    "decode_lossless",
    "encode_lossless",
    "encode_picture",
    "exif_orientation",
    "fill_transparent",
    "looks_like_screen_content",
    "lost_metadata",
    "output_format",
    "read_picture",
    "strip_metadata",
    "write_atomically",
    "write_picture",
]
