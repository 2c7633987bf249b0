"""The first bits of a JPEG XL codestream: size and bits per sample, read before anything is decoded."""

from __future__ import annotations

from typing import Final, NamedTuple

JPEG_XL_MAGIC: Final = b"\xff\x0a"
LONGEST_HEADER: Final = 13
"""Bytes, those two among them, that hold all that is read here: 85 bits at most."""

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class JpegXLHeader(NamedTuple):
    """What a codestream says of itself.

    Attributes:
        width: in pixels.
        height: in pixels.
        bits: per sample; None where they are floats, or where it has a preview or an animation, which no file of ours has.
    """

    width: int
    height: int
    bits: int | None


class _Bits:
    """From the least significant one of the first byte on; 0 after the last."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "little"), 8 * len(data)

    def take(self, count: int) -> int:
        taken = self.value & ((1 << count) - 1)
        self.value >>= count
        self.left -= count
        return taken


def read_jpeg_xl_header(codestream: bytes) -> JpegXLHeader | None:
    """Reads the header of a codestream, without boxes around it; None where it is none, or is cut short.

    Source: ISO/IEC 18181-1, SizeHeader and ImageMetadata.
    """
    if not codestream.startswith(JPEG_XL_MAGIC):
        return None
    bits = _Bits(codestream[len(JPEG_XL_MAGIC) : LONGEST_HEADER])
    small = bits.take(1)
    height = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        top, bottom = _RATIOS[ratio - 1]
        width = height * top // bottom
    else:
        width = _side(bits, small)
    header = JpegXLHeader(width, height, _bits_per_sample(bits))
    return header if bits.left >= 0 else None


def _side(bits: _Bits, small: int) -> int:
    if small:
        return 8 * (bits.take(5) + 1)
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def _bits_per_sample(bits: _Bits) -> int | None:
    if bits.take(1):
        # All as usual.
        return 8
    if bits.take(1):
        # Orientation; a size to be shown at, a preview, an animation.
        bits.take(3)
        if bits.take(1) | bits.take(1) | bits.take(1):
            return None
    if bits.take(1):
        return None
    kind = bits.take(2)
    return (8, 10, 12)[kind] if kind < 3 else bits.take(6) + 1
