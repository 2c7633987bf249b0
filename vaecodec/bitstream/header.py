"""The HEADER section: what a file holds and how large it is, written, read, and checked before anything of that size is allocated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vaecodec.bitstream.varint import read_varint, write_varint
from vaecodec.errors import LimitError, TruncatedFileError, damaged_file

KIND_PICTURE: Final = 0
KIND_LOSSLESS_ARRAY: Final = 1
KIND_LOSSY_ARRAY: Final = 2

MODEL_ID_BYTES: Final = 8
MAX_QUALITY16: Final = 1600
MIN_TILE_EXPONENT: Final = 6
MAX_TILE_EXPONENT: Final = 15


@dataclass(frozen=True)
class Limits:
    """What a reader takes at most; a file that declares more is a ``LimitError`` before anything is allocated.

    Attributes:
        max_pixels: width · height. The default is 2^30, a gigapixel.
        max_tile_pixels: of one tile; latents and features of a whole tile are in memory at once. The default, 2^24, is eight
            times what the encoder makes.
        max_metadata: bytes of ICC, EXIF and XMP, each, after inflating. The default is 16 MiB: profiles of printers
            take about 3 MiB and extended XMP up to some more.
    """

    max_pixels: int = 2**30
    max_tile_pixels: int = 2**24
    max_metadata: int = 2**24


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Header:
    """The HEADER section.

    Attributes:
        kind: ``KIND_PICTURE``, ``KIND_LOSSLESS_ARRAY`` or ``KIND_LOSSY_ARRAY``. Arrays leave all but the model id 0.
        model_id: 8 bytes, see section 6 of docs/format.md.
        width: in pixels, at least 1.
        height: in pixels, at least 1.
        channels: 1 grey, 3 RGB.
        bit_depth: bits per sample, 8 or 16.
        quality16: quality in sixteenths, 0..1600.
        tile_exponent: 0 for one tile, else tiles of 2^n × 2^n pixels, n in 6..15.
    """

    kind: int
    model_id: bytes
    width: int = 0
    height: int = 0
    channels: int = 0
    bit_depth: int = 0
    quality16: int = 0
    tile_exponent: int = 0


def tile_count(width: int, height: int, exponent: int) -> int:
    """Return how many tiles a picture has: rows of tiles from the top, each from the left; those at the right and the bottom are cut off."""
    if exponent == 0:
        return 1
    return -(-width >> exponent) * -(-height >> exponent)


def header_payload(header: Header) -> bytes:
    """Return the payload of a HEADER section."""
    start = bytes((header.kind,)) + header.model_id
    if header.kind != KIND_PICTURE:
        return start
    return b"".join(
        [
            start,
            write_varint(header.width),
            write_varint(header.height),
            bytes((header.channels, header.bit_depth)),
            write_varint(header.quality16),
            bytes((header.tile_exponent,)),
        ]
    )


def parse_header(payload: memoryview) -> Header:
    """Return the header that a payload holds; its values are not checked yet."""
    start = 1 + MODEL_ID_BYTES
    if len(payload) < start:
        raise damaged_file(f"the HEADER section has only {len(payload)} bytes")
    kind, model_id = payload[0], bytes(payload[1:start])
    if kind != KIND_PICTURE:
        if kind in (KIND_LOSSLESS_ARRAY, KIND_LOSSY_ARRAY) and len(payload) != start:
            raise damaged_file(f"the HEADER section of an array has {len(payload)} bytes")
        return Header(kind, model_id)
    try:
        width, position = read_varint(payload, start)
        height, position = read_varint(payload, position)
        channels, bit_depth = payload[position], payload[position + 1]
        quality16, position = read_varint(payload, position + 2)
        tile_exponent = payload[position]
    except (TruncatedFileError, IndexError):
        raise damaged_file(f"the HEADER section has only {len(payload)} bytes") from None
    if position + 1 != len(payload):
        raise damaged_file(f"the HEADER section has {len(payload) - position - 1} bytes too many")
    return Header(kind, model_id, width, height, channels, bit_depth, quality16, tile_exponent)


def check_header(header: Header, wrong: Callable[[str], Exception], unsupported: Callable[[str], Exception]) -> None:
    """Raise ``wrong`` for what cannot be, ``unsupported`` for what this version does not support."""
    if len(header.model_id) != MODEL_ID_BYTES:
        raise wrong(f"the model id has {len(header.model_id)} bytes in place of {MODEL_ID_BYTES}")
    if header.kind in (KIND_LOSSLESS_ARRAY, KIND_LOSSY_ARRAY):
        if header != Header(header.kind, header.model_id):
            raise wrong("the header of an array has no fields but kind and model id")
        return
    if header.kind != KIND_PICTURE:
        raise unsupported(f"the header says kind {header.kind}, which this vaecodec does not support: update it")
    if header.width < 1 or header.height < 1:
        raise wrong(f"the header says {header.width}x{header.height} pixels")
    if header.channels not in (1, 3):
        raise wrong(f"the header says {header.channels} channels, 1 or 3 are possible")
    if not 8 <= header.bit_depth <= 16:
        raise wrong(f"the header says {header.bit_depth} bits per sample, 8 to 16 are possible")
    if header.bit_depth not in (8, 16):
        raise unsupported(f"{header.bit_depth} bits per sample are not supported by this vaecodec: update it")
    if not 0 <= header.quality16 <= MAX_QUALITY16:
        raise wrong(f"the header says quality {header.quality16 / 16:g}, over {MAX_QUALITY16 // 16}")
    if header.tile_exponent != 0 and not MIN_TILE_EXPONENT <= header.tile_exponent <= MAX_TILE_EXPONENT:
        raise wrong(f"the header says tile exponent {header.tile_exponent}, 0 or 6..15 are possible")


def check_pixels(header: Header, limits: Limits) -> None:
    """Raise LimitError for more pixels than the limits allow."""
    if header.width * header.height > limits.max_pixels:
        raise LimitError(
            f"the picture has {header.width}x{header.height} pixels, over the limit of {limits.max_pixels}: "
            "raise the limit if you trust the file"
        )
    side = 1 << header.tile_exponent if header.tile_exponent else max(header.width, header.height)
    tile_pixels = min(side, header.width) * min(side, header.height)
    if tile_pixels > limits.max_tile_pixels:
        raise LimitError(
            f"a tile has {tile_pixels} pixels, over the limit of {limits.max_tile_pixels}: this file cannot be read here"
        )
