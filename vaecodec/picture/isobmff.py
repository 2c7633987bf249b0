"""The properties of the primary picture in AVIF and HEIC files, and the colour box of JPEG 2000 (ISO/IEC 14496-12, 23008-12)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

_LARGEST_META = 1 << 24


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the boxes in a piece of a file; ends where it is broken."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        elif size == 0:
            size = len(data) - at
        if size < head:
            return
        yield kind, data[at + head : at + size]
        at += size


def top_box(file: BinaryIO, wanted: bytes) -> bytes | None:
    """The content of the first box of a type at the top of a file, without reading the others."""
    end = file.seek(0, io.SEEK_END)
    at = 0
    while at + 8 <= end:
        file.seek(at)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            large = file.read(8)
            if len(large) < 8:
                return None
            (size,) = struct.unpack(">Q", large)
            head = 16
        elif size == 0:
            size = end - at
        if size < head:
            return None
        if kind == wanted:
            return file.read(min(size - head, _LARGEST_META))
        at += size
    return None


def primary_properties(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Type and content of the properties of the primary item; [] where the file has none that can be read."""
    meta = top_box(file, b"meta")
    if meta is None:
        return []
    inside = dict(reversed(list(boxes(meta[4:]))))
    containers = dict(reversed(list(boxes(inside.get(b"iprp", b"")))))
    properties = list(boxes(containers.get(b"ipco", b"")))
    try:
        primary = _primary_item(inside[b"pitm"])
        numbers = _associations(containers[b"ipma"]).get(primary, [])
    except (KeyError, struct.error, IndexError):
        return []
    return [properties[number - 1] for number in numbers if 0 < number <= len(properties)]


def item_types(file: BinaryIO) -> list[bytes]:
    """The types and, of auxiliary pictures, the kinds that occur anywhere in a file: for what is named, not read."""
    meta = top_box(file, b"meta") or b""
    inside = dict(reversed(list(boxes(meta[4:]))))
    containers = dict(reversed(list(boxes(inside.get(b"iprp", b"")))))
    return [content[4:].split(b"\0")[0] for kind, content in boxes(containers.get(b"ipco", b"")) if kind == b"auxC"]


def has_tone_map(file: BinaryIO) -> bool:
    """Whether a file has an item that derives an HDR picture from the base and a gain map (ISO/IEC 23008-12, 6.6.2.4)."""
    inside = dict(reversed(list(boxes((top_box(file, b"meta") or b"")[4:]))))
    return b"infe" in inside.get(b"iinf", b"") and b"tmap" in inside[b"iinf"]


def _primary_item(content: bytes) -> int:
    return int(struct.unpack_from(">H" if content[0] == 0 else ">I", content, 4)[0])


def _associations(content: bytes) -> dict[int, list[int]]:
    """Numbers of properties, from 1, by item (ISO/IEC 23008-12, 9.3.1)."""
    version, flags = content[0], content[3]
    (count,) = struct.unpack_from(">I", content, 4)
    at, found = 8, dict[int, list[int]]()
    for _ in range(count):
        (item,) = struct.unpack_from(">H" if version < 1 else ">I", content, at)
        at += 2 if version < 1 else 4
        number = content[at]
        at += 1
        for _ in range(number):
            if flags & 1:
                value = struct.unpack_from(">H", content, at)[0] & 0x7FFF
                at += 2
            else:
                value = content[at] & 0x7F
                at += 1
            found.setdefault(item, []).append(value)
    return found


def jpeg_2000_icc(file: BinaryIO) -> bytes | None:
    """The restricted or full ICC profile of a JP2 file's colour box (ITU-T T.800, I.5.3.3)."""
    for kind, content in boxes(top_box(file, b"jp2h") or b""):
        if kind == b"colr" and content[:1] in (b"\x02", b"\x03"):
            return content[3:] or None
    return None
