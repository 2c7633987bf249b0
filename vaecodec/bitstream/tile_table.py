"""The TILES section and the tiles behind it: modes, lengths, checksums and bytes, written and read."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Final

from vaecodec.bitstream.header import MODEL_ID_BYTES, Header, tile_count
from vaecodec.bitstream.varint import read_varint, write_varint
from vaecodec.errors import TruncatedFileError, damaged_file

TILE_LATENTS: Final = 0
TILE_PNG: Final = 1
TILE_WEBP: Final = 2
TILE_JPEG_XL: Final = 3

WITHOUT_MODEL: Final = bytes(MODEL_ID_BYTES)
"""The model id of files that have no latents."""
_TILE_MODES: Final = (TILE_LATENTS, TILE_PNG, TILE_WEBP, TILE_JPEG_XL)
# mode(1), the shortest length(1), crc(4): what one tile takes in TILES at least.
_MIN_TILE_ENTRY_BYTES: Final = 6
CRC_BYTES: Final = 4


@dataclass(frozen=True)
class Tile:
    """One tile's bytes.

    Attributes:
        mode: ``TILE_LATENTS`` (a stream of the range coder), ``TILE_PNG``, ``TILE_WEBP`` or ``TILE_JPEG_XL`` (lossless).
        payload: the bytes.
        damaged: the checksum is wrong or bytes are missing; only ever set by ``read_container(keep_damaged=True)``.
    """

    mode: int
    payload: bytes = field(repr=False)
    damaged: bool = False


def tiles_payload(tiles: tuple[Tile, ...]) -> bytes:
    """Return the payload of a TILES section."""
    entries = []
    for number, tile in enumerate(tiles):
        if tile.mode not in _TILE_MODES:
            raise ValueError(f"tile {number} has mode {tile.mode}")
        crc = zlib.crc32(tile.payload).to_bytes(CRC_BYTES, "little")
        entries.append(bytes((tile.mode,)) + write_varint(len(tile.payload)) + crc)
    return b"".join(entries)


def read_tiles(header: Header, table: memoryview, data: memoryview, keep_damaged: bool) -> tuple[Tile, ...]:
    """Return the tiles that a TILES section names, checked; with ``keep_damaged`` the damaged ones are marked."""
    expected = tile_count(header.width, header.height, header.tile_exponent)
    if expected * _MIN_TILE_ENTRY_BYTES > len(table):
        raise damaged_file(f"the TILES section is too short for {expected} tiles")
    entries: list[tuple[int, int, int]] = []
    position = total = 0
    for number in range(expected):
        try:
            mode = table[position]
            length, position = read_varint(table, position + 1)
        except (TruncatedFileError, IndexError):
            raise damaged_file(f"the TILES section ends before tile {number} of {expected}") from None
        crc = table[position : position + CRC_BYTES]
        position += CRC_BYTES
        if mode not in _TILE_MODES:
            raise damaged_file(f"tile {number} has the unknown mode {mode}")
        if mode == TILE_LATENTS and header.model_id == WITHOUT_MODEL:
            raise damaged_file(f"tile {number} has latents, and the file names no model")
        entries.append((mode, length, int.from_bytes(crc, "little")))
        total += length
    if position != len(table):
        raise damaged_file(f"the TILES section is not the size that {expected} tiles take")
    if total < len(data) and not keep_damaged:
        raise damaged_file(f"{len(data) - total} bytes follow the last tile")
    if total > len(data) and not keep_damaged:
        raise TruncatedFileError(f"the tiles need {total - len(data)} bytes more than the file has: get the whole file")

    tiles = []
    start = 0
    for number, (mode, length, crc_declared) in enumerate(entries):
        payload = data[start : start + length]
        start += length
        damaged = len(payload) != length or zlib.crc32(payload) != crc_declared
        if damaged and not keep_damaged:
            raise damaged_file(f"tile {number} of {expected} has a wrong checksum")
        tiles.append(Tile(mode, bytes(payload), damaged))
    return tuple(tiles)
