"""Pictures: files that people have on one side, sample planes and metadata on the other."""

from vaecodec.picture.atomic import check_output, write_atomically
from vaecodec.picture.orientation import apply_orientation, exif_orientation
from vaecodec.picture.picture import Picture
from vaecodec.picture.read import DEFAULT_MAX_PIXELS, READABLE_EXTENSIONS, PictureSource, read_picture
from vaecodec.picture.strip import strip_metadata
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
    "OutputFormat",
    "Picture",
    "PictureSource",
    "apply_orientation",
    "check_output",
    "encode_picture",
    "exif_orientation",
    "lost_metadata",
    "output_format",
    "read_picture",
    "strip_metadata",
    "write_atomically",
    "write_picture",
]
