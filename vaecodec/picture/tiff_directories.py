"""The directories of TIFF and EXIF, with values as they lie: nothing is decoded, so nothing can be lost by decoding.

::

    TIFF, BigTIFF, EXIF block ─► Directories: entries (tag, type, count, bytes), directories below ─► EXIF block
                                                                                                  └─► TIFF, BigTIFF

Values keep the byte order of the file that they come from; whoever writes them writes that order.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

Order = Literal["<", ">"]

EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY = 0x8769, 0x8825, 0xA005
"""Tags that point to a directory below."""
_POINTERS = (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROP_DIRECTORY)

# Bytes of one value of each type: TIFF 6.0, BigTIFF (16 to 18), and UTF-8 of EXIF 3.0 (129).
VALUE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4} | {
    16: 8, 17: 8, 18: 8, 129: 1,
}  # fmt: skip
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
LONG8, _IFD8 = 16, 18

_MOST_ENTRIES = 4096
_MOST_PAGES = 1 << 16


@dataclass(frozen=True)
class Entry:
    """One tag: its type and count, and ``count`` values as bytes in the order of the file."""

    kind: int
    count: int
    value: bytes


@dataclass
class Directory:
    """Entries by tag, and the directories that some of them point to.

    Attributes:
        entries: without those that point to directories in ``below``.
        below: by the tag that points there.
        broken: tags whose type is not known or whose value is not in the file.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    below: dict[int, Directory] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.entries or any(self.below.values()))

    def all_broken(self) -> list[int]:
        """Broken tags, those of the directories below included."""
        return self.broken + [tag for directory in self.below.values() for tag in directory.all_broken()]


@dataclass(frozen=True)
class Directories:
    """What a TIFF file or an EXIF block says.

    Attributes:
        order: the byte order of all values.
        pages: the directories of the chain; of EXIF the second one is the thumbnail's.
    """

    order: Order
    pages: list[Directory]

    def numbers(self, tag: int, page: int = 0) -> tuple[int, ...]:
        """The whole numbers of an entry; () where it is absent or holds something else."""
        entry = self.pages[page].entries.get(tag) if page < len(self.pages) else None
        return () if entry is None else numbers_of(entry, self.order)


def numbers_of(entry: Entry, order: Order) -> tuple[int, ...]:
    """Values of a type of whole numbers; () of others."""
    code = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}.get(entry.kind)
    return () if code is None else struct.unpack(f"{order}{entry.count}{code}", entry.value)


def rationals_of(entry: Entry, order: Order) -> tuple[tuple[int, int], ...]:
    """Numerators and denominators of an unsigned RATIONAL; () of other types."""
    if entry.kind != RATIONAL:
        return ()
    flat = struct.unpack(f"{order}{2 * entry.count}I", entry.value)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def read_directories(source: bytes | BinaryIO, *, most_pages: int = _MOST_PAGES) -> Directories | None:
    """Reads the directories of a TIFF or BigTIFF file or of an EXIF block.

    What is broken in it is left out, and named by `Directory.broken`; None where it does not begin as TIFF does.
    """
    file = io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else source
    file.seek(0)
    head = file.read(16)
    order: Order | None = {b"II": "<", b"MM": ">"}.get(head[:2])  # type: ignore[assignment]
    if order is None or len(head) < 8:
        return None
    (version,) = struct.unpack_from(order + "H", head, 2)
    if version not in (42, 43) or (version == 43 and len(head) < 16):
        return None
    reader = _Reader(file, order, big=version == 43)
    (start,) = struct.unpack_from(order + ("Q" if version == 43 else "I"), head, 8 if version == 43 else 4)
    pages: list[Directory] = []
    while start and start not in reader.seen and len(pages) < most_pages:
        page, start = reader.directory(start)
        if page is None:
            break
        pages.append(page)
    return Directories(order, pages) if pages else None


class _Reader:
    """Walks a file; a directory that was seen is not gone into again."""

    def __init__(self, file: BinaryIO, order: Order, *, big: bool) -> None:
        self.file, self.order = file, order
        self.count_code, self.offset_code, self.entry_size = ("Q", "Q", 20) if big else ("H", "I", 12)
        self.inline = 8 if big else 4
        self.seen: set[int] = set()
        self.size = file.seek(0, io.SEEK_END)

    def _bytes(self, offset: int, length: int) -> bytes | None:
        if offset < 0 or length < 0 or offset + length > self.size:
            return None
        self.file.seek(offset)
        data = self.file.read(length)
        return data if len(data) == length else None

    def directory(self, offset: int) -> tuple[Directory | None, int]:
        """The directory at an offset, and the offset of the next; (None, 0) where there is none."""
        self.seen.add(offset)
        width = struct.calcsize(self.count_code)
        raw = self._bytes(offset, width)
        if raw is None:
            return None, 0
        (count,) = struct.unpack(self.order + self.count_code, raw)
        if count > _MOST_ENTRIES:
            return None, 0
        # Of a directory that is cut short, what is there counts.
        whole = min(count, max(0, (self.size - offset - width) // self.entry_size))
        table = self._bytes(offset + width, whole * self.entry_size) or b""
        directory = Directory()
        for at in range(0, len(table), self.entry_size):
            self._entry(directory, table[at : at + self.entry_size])
        after = self._bytes(offset + width + count * self.entry_size, struct.calcsize(self.offset_code))
        (following,) = struct.unpack(self.order + self.offset_code, after) if after else (0,)
        return directory, following

    def _entry(self, directory: Directory, raw: bytes) -> None:
        tag, kind, count = struct.unpack_from(self.order + "HH" + self.offset_code, raw)
        unit, tail = VALUE_BYTES.get(kind), raw[-self.inline :]
        value: bytes | None = None
        if unit is not None:
            length = unit * count
            (offset,) = struct.unpack(self.order + self.offset_code, tail)
            value = tail[:length] if length <= self.inline else self._bytes(offset, length)
        if value is None:
            directory.broken.append(tag)
            return
        entry = Entry(kind, count, value)
        if tag in _POINTERS:
            offsets = numbers_of(entry, self.order)
            if len(offsets) == 1 and offsets[0] not in self.seen:
                below, _ = self.directory(offsets[0])
                if below is not None:
                    directory.below.setdefault(tag, below)
                    return
            directory.broken.append(tag)
        else:
            directory.entries.setdefault(tag, entry)


def exif_block(order: Order, directory: Directory) -> bytes:
    """Writes a directory and those below it as an EXIF block; nothing of BigTIFF's own types may be in it."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", 8) + lay_out(order, directory, 8)


def lay_out(order: Order, directory: Directory, start: int, *, big: bool = False) -> bytes:
    """The bytes of a directory at offset ``start``, its values and the directories below it behind it."""
    entries: Mapping[int, Entry | Directory] = {**directory.entries, **{t: d for t, d in directory.below.items() if d}}
    count_code, offset_code, inline = ("Q", "Q", 8) if big else ("H", "I", 4)
    table_size = struct.calcsize(count_code) + len(entries) * (20 if big else 12) + struct.calcsize(offset_code)
    table, values = [struct.pack(order + count_code, len(entries))], b""
    for tag, entry in sorted(entries.items()):
        at = start + table_size + len(values)
        if isinstance(entry, Directory):
            kind, count, field_ = (_IFD8 if big else LONG), 1, struct.pack(order + offset_code, at)
            values += lay_out(order, entry, at, big=big)
        else:
            kind, count = entry.kind, entry.count
            if len(entry.value) <= inline:
                field_ = entry.value.ljust(inline, b"\0")
            else:
                field_ = struct.pack(order + offset_code, at)
                values += entry.value
        # Values begin at even offsets.
        values += bytes((start + table_size + len(values)) % 2)
        table.append(struct.pack(order + "HH" + offset_code, tag, kind, count) + field_)
    return b"".join(table) + struct.pack(order + offset_code, 0) + values


def walk(directory: Directory) -> Iterator[tuple[int, Entry]]:
    """All entries, those below included."""
    yield from directory.entries.items()
    for below in directory.below.values():
        yield from walk(below)
