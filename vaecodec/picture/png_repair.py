"""Takes out of a PNG what keeps Pillow from reading its samples: odd or huge chunks beside them. Nothing beside the samples decides over them."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from vaecodec.picture.metadata import listed
from vaecodec.picture.png_chunks import LARGEST_TEXT, RAW_PROFILE, XMP_KEY, iccp_is_whole, text_of

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Lengths that a chunk must have; others of its kind say nothing.
_LENGTHS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"cICP": 4, b"acTL": 8, b"tIME": 7}
_TRANSPARENT_BYTES = {0: 2, 2: 6}
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")


class RepairedPng(NamedTuple):
    """A PNG that has the same samples, and what was left out of it, a few words each."""

    data: bytes
    notes: tuple[str, ...]


def repaired_png(file: BinaryIO) -> RepairedPng | None:
    """The file without its odd chunks; None where that changes nothing."""
    file.seek(0)
    data = file.read()
    if not data.startswith(_SIGNATURE):
        return None
    pieces, odd, texts, at = [_SIGNATURE], [], [], len(_SIGNATURE)
    colour_type, animated = None, False
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        whole, content = data[at : at + 12 + length], data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR" and len(content) == 13:
            colour_type = content[9]
        critical = not kind[0] & 0x20
        animated |= kind == b"acTL" and length == 8
        if not critical and zlib.crc32(kind + content) != int.from_bytes(whole[-4:], "big"):
            odd.append(kind)
        elif kind in _TEXTS:
            key = content.split(b"\0", 1)[0].decode("latin-1")
            if key == XMP_KEY or key.startswith(RAW_PROFILE):
                pieces.append(_uncompressed(kind, key, content))
            else:
                texts.append(key)
        elif critical or _makes_sense(kind, content, colour_type, animated=animated):
            pieces.append(whole)
        else:
            odd.append(kind)
    repaired = b"".join(pieces)
    if repaired == data:
        return None
    notes = [f"text is not kept ({listed(texts)})"] if texts else []
    if odd:
        notes.append(f"chunks that make no sense are left out ({listed(kind.decode('latin-1') for kind in odd)})")
    return RepairedPng(repaired, tuple(notes))


def _makes_sense(kind: bytes, content: bytes, colour_type: int | None, *, animated: bool) -> bool:
    if kind in (b"fcTL", b"fdAT"):
        return animated
    if kind == b"iCCP":
        return iccp_is_whole(content)
    if kind == b"tRNS" and colour_type in _TRANSPARENT_BYTES:
        return len(content) == _TRANSPARENT_BYTES[colour_type]
    return len(content) == _LENGTHS.get(kind, len(content))


def _uncompressed(kind: bytes, key: str, content: bytes) -> bytes:
    """A text chunk as one that is not compressed, which Pillow takes of any size; nothing where it is broken."""
    try:
        text = text_of(kind, content)
    except (ValueError, IndexError, zlib.error):
        return b""
    if len(text) >= LARGEST_TEXT:
        return b""
    kind, middle = (b"iTXt", b"\0\0\0\0\0") if kind == b"iTXt" else (b"tEXt", b"\0")
    content = key.encode("latin-1") + middle + text
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
