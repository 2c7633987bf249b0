"""The short form, version 2 of a file: one tile without loss and nothing beside it, for small pictures (docs/format.md, section 10).

::

    89 56 41 45 43 | 02 | kind | width | height | the tile, without what its format repeats of that | crc
    89 56 41 45 43 | 02 | kind |         brief: JPEG XL, which says its size, up to 255 bytes       | crc of 16 bits
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

from vaecodec.bitstream.header import KIND_PICTURE, MAX_QUALITY16, Header, Limits, check_header, check_pixels
from vaecodec.bitstream.tile_table import CRC_BYTES, TILE_JPEG_XL, TILE_PNG, TILE_WEBP, WITHOUT_MODEL
from vaecodec.bitstream.varint import read_varint, write_varint
from vaecodec.errors import FileFormatError, TruncatedFileError, damaged_file
from vaecodec.jpeg_xl_header import JPEG_XL_MAGIC, LONGEST_HEADER, read_jpeg_xl_header

SHORT_VERSION: Final = 2
MOST_SHORT_BYTES: Final = 1 << 16
"""Of larger files the other form is worth its 37 bytes: it tells what is cut off from what is damaged."""

MOST_BRIEF_BYTES: Final = 255
"""From kind to tile; of damage to so few a checksum of 16 bits finds all bursts of up to 16 bits and all else but one in 65,536."""

_MODE_BITS, _COLOUR, _16_BITS, _ALPHA, _BRIEF, _UNKNOWN = 0x03, 0x04, 0x08, 0x10, 0x20, 0xC0
_BRIEF_CRC_BYTES = 2
_NO_SIZE = "the file ends before its size: get the whole file"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {(1, False): 0, (1, True): 4, (3, False): 2, (3, True): 6}


class ShortFront(NamedTuple):
    """What lies before the tile.

    Attributes:
        header: as HEADER would say it.
        mode: of the tile.
        alpha: whether the tile has it.
    """

    header: Header
    mode: int
    alpha: bool


def short_file(front: ShortFront, tile: bytes) -> bytes | None:
    """What follows the version; None where the tile is too large, or cannot be given back to the byte."""
    bare = _BARE[front.mode](tile)
    if bare is None or len(bare) > MOST_SHORT_BYTES or _whole(front, bare) != tile:
        return None
    header = front.header
    kind = front.mode | _COLOUR * (header.channels == 3) | _16_BITS * (header.bit_depth == 16) | _ALPHA * front.alpha
    if front.mode == TILE_JPEG_XL and len(bare) < MOST_BRIEF_BYTES and _size_of(bare) == (header.width, header.height):
        covered = bytes((kind | _BRIEF,)) + bare
    else:
        covered = bytes((kind,)) + write_varint(header.width) + write_varint(header.height) + bare
    return covered + _checksum(covered)


def read_short_front(view: memoryview, limits: Limits) -> tuple[ShortFront, int]:
    """The inverse, as far as the front goes, and the position of the tile; ``view`` begins after the version.

    Raises:
        TruncatedFileError, DamagedFileError, FileFormatError, LimitError: as `read_container`.
    """
    if not view:
        raise TruncatedFileError("the file ends before its kind: get the whole file")
    kind = view[0]
    if kind & _UNKNOWN or (kind & _BRIEF and kind & _MODE_BITS != TILE_JPEG_XL):
        raise FileFormatError(f"the file is of kind {kind:02x}, which this vaecodec does not support: update it")
    if not kind & _MODE_BITS:
        raise damaged_file("the file says of no library that made it")
    width, height, position = _read_size(view)
    channels, depth = 3 if kind & _COLOUR else 1, 16 if kind & _16_BITS else 8
    header = Header(KIND_PICTURE, WITHOUT_MODEL, width, height, channels, depth, MAX_QUALITY16, 0)
    check_header(header, damaged_file, FileFormatError)
    check_pixels(header, limits)
    return ShortFront(header, kind & _MODE_BITS, bool(kind & _ALPHA)), position


def read_short_file(view: memoryview, limits: Limits) -> tuple[ShortFront, bytes]:
    """The inverse of `short_file`: front and tile.

    Raises:
        TruncatedFileError, DamagedFileError, FileFormatError, LimitError: as `read_container`.
    """
    front, position = read_short_front(view, limits)
    end = len(view) - (_BRIEF_CRC_BYTES if view[0] & _BRIEF else CRC_BYTES)
    if position > end:
        raise TruncatedFileError("the file ends before its picture: get the whole file")
    if _checksum(view[:end]) != view[end:] or (view[0] & _BRIEF and end > MOST_BRIEF_BYTES):
        raise damaged_file("the file has a wrong checksum, or is cut short")
    return front, _whole(front, bytes(view[position:end]))


def _read_size(view: memoryview) -> tuple[int, int, int]:
    """Width, height, and where the tile begins."""
    if view[0] & _BRIEF:
        size = _size_of(bytes(view[1:LONGEST_HEADER]))
        if size is None:
            raise TruncatedFileError(_NO_SIZE)
        return *size, 1
    try:
        width, position = read_varint(view, 1)
        height, position = read_varint(view, position)
    except IndexError:
        raise TruncatedFileError(_NO_SIZE) from None
    return width, height, position


def _size_of(bare: bytes) -> tuple[int, int] | None:
    """Width and height that a JPEG XL without its first bytes names; None where it ends before."""
    header = read_jpeg_xl_header(JPEG_XL_MAGIC + bare)
    return None if header is None else (header.width, header.height)


def _checksum(covered: bytes | memoryview) -> bytes:
    """CRC-32, or of the brief form CRC-16/GENIBUS, high byte first: so a burst may lie across tile and checksum."""
    if covered[0] & _BRIEF:
        return (binascii.crc_hqx(covered, 0xFFFF) ^ 0xFFFF).to_bytes(_BRIEF_CRC_BYTES, "big")
    return zlib.crc32(covered).to_bytes(CRC_BYTES, "little")


def _bare_png(data: bytes) -> bytes | None:
    at, pieces = len(_PNG_MAGIC), []
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            pieces.append(data[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(pieces)


def _bare_webp(data: bytes) -> bytes | None:
    return data[20 : 20 + int.from_bytes(data[16:20], "little")] if data[12:16] == b"VP8L" else None


def _bare_jpeg_xl(data: bytes) -> bytes | None:
    return data.removeprefix(JPEG_XL_MAGIC)


_BARE: dict[int, Callable[[bytes], bytes | None]] = {
    TILE_PNG: _bare_png, TILE_WEBP: _bare_webp, TILE_JPEG_XL: _bare_jpeg_xl,
}  # fmt: skip


def _whole(front: ShortFront, bare: bytes) -> bytes:
    """The tile as its library reads it."""
    if front.mode == TILE_JPEG_XL:
        return JPEG_XL_MAGIC + bare
    if front.mode == TILE_WEBP:
        chunk = b"VP8L" + len(bare).to_bytes(4, "little") + bare + bytes(len(bare) % 2)
        return b"RIFF" + (4 + len(chunk)).to_bytes(4, "little") + b"WEBP" + chunk
    header, colour_type, height = front.header, _PNG_COLOUR_TYPES[front.header.channels, front.alpha], 1
    if header.bit_depth == 16:
        colour_type, height = 0, header.channels + front.alpha
    height *= header.height
    sizes = (header.width & 0xFFFFFFFF).to_bytes(4, "big") + (height & 0xFFFFFFFF).to_bytes(4, "big")
    about = sizes + bytes((header.bit_depth, colour_type, 0, 0, 0))
    return _PNG_MAGIC + b"".join(map(_png_chunk, (b"IHDR", b"IDAT", b"IEND"), (about, bare, b"")))


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
