"""How many bits a sample has in the file. Pillow reduces many pictures of more to 8 bits without a word; this tells before."""

from __future__ import annotations

import re
import struct

from PIL import Image

from vaecodec.picture.jpeg_segments import segments

# All headers that say a depth lie in the first bytes of their formats.
HEADER_BYTES = 65536

_BITS_PER_SAMPLE_TAG = 258
# P2, P3, P5, P6: magic, width, height, largest value, with comments anywhere between.
_PNM_HEADER = re.compile(rb"P[2356]" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3)


def bits_per_sample(image: Image.Image, head: bytes) -> int:
    """Finds the depth of the samples in the file that an image was opened from.

    Args:
        image: an opened image; its samples need not be loaded.
        head: the first HEADER_BYTES bytes of the file, or b"" where there is no file.

    Returns:
        The bits of the sample that has most; 8 where the header says no more than that.
    """
    if image.format == "JPEG2000" and head:
        # Pillow has one mode for 9 to 16 bits.
        return _jpeg_2000_depth(head)
    if image.mode.startswith(("I", "F")):
        return 16 if image.mode.startswith("I;16") else 32
    match image.format:
        case "PNG" if len(head) > 24:
            return head[24]
        case "TIFF":
            tags = getattr(image, "tag_v2", {})
            return max(int(bits) for bits in tags.get(_BITS_PER_SAMPLE_TAG, (1,)))
        case "PPM":
            header = _PNM_HEADER.match(head)
            return max(8, int(header[3]).bit_length()) if header else 8
        case "AVIF":
            return _avif_depth(head)
    return 8


def high_bit_depth_jpeg(head: bytes) -> tuple[int, tuple[int, int]] | None:
    """Depth, width and height of a JPEG of more than 8 bits, which Pillow cannot open; None for other files."""
    if not head.startswith(b"\xff\xd8\xff"):
        return None
    for marker, content in segments(head):
        if marker in _JPEG_FRAMES and len(content) >= 5:
            bits, height, width = struct.unpack_from(">BHH", content)
            return (bits, (width, height)) if 8 < bits <= 16 else None
    return None


def _jpeg_2000_depth(head: bytes) -> int:
    """Reads the component depths of the SIZ marker (ITU-T T.800, A.5.1)."""
    start = head.find(_JPEG_2000_START)
    if start < 0 or len(head) < start + 43:
        return 8
    (components,) = struct.unpack_from(">H", head, start + 40)
    depths = head[start + 42 : start + 42 + 3 * components : 3]
    return max((depth & 0x7F) + 1 for depth in depths)


def _avif_depth(head: bytes) -> int:
    """Reads the depth flags of the AV1 configuration record (AV1 in ISOBMFF, 2.3.3)."""
    start = head.find(b"av1C")
    if start < 0 or len(head) < start + 7:
        return 8
    flags = head[start + 6]
    high_bit_depth, twelve_bit = flags & 0x40, flags & 0x20
    return 8 if not high_bit_depth else 12 if twelve_bit else 10
