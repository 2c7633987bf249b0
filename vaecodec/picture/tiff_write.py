"""Writes TIFF by rows, 8 or 16 bits per sample, uncompressed, with the directories of an EXIF block as they lie.

Neither Pillow nor tifffile can do the latter: Pillow decodes values and writes others, tifffile has no directories below.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from vaecodec.picture.metadata import Metadata
from vaecodec.picture.picture import Samples
from vaecodec.picture.tiff_directories import LONG, LONG8, SHORT, Directory, Entry, lay_out
from vaecodec.picture.tiff_metadata import tiff_tags

# A strip that readers like to hold in memory (TIFF 6.0, section 7, says 8 KiB; that was in 1992).
_STRIP_BYTES = 1 << 18
_CLASSIC_BYTES = 2**32 - 2**25
_BLACK_IS_ZERO, _RGB = 1, 2
_STRAIGHT_ALPHA = 2


def write_tiff(
    file: BinaryIO,
    width: int,
    height: int,
    bit_depth: int,
    blocks: Iterable[Samples],
    *,
    channels: int,
    metadata: Metadata,
) -> None:
    """Writes a whole file, BigTIFF where 4 GiB are not enough, from front to back.

    Args:
        file: where to; it need not seek.
        width: in pixels.
        height: in pixels.
        bit_depth: 8 or 16.
        blocks: [n, width, channels] from the top, ``height`` rows in all.
        channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
        metadata: what of it TIFF has no place for is left out; `tiff_tags` names it.
    """
    tags, _ = tiff_tags(metadata)
    row = width * channels * bit_depth // 8
    extra = sum(len(entry.value) for entry in tags.pages[0].entries.values())
    big = row * height + extra > _CLASSIC_BYTES
    directory = tags.pages[0]
    directory.entries |= _layout(tags.order, width, height, bit_depth, channels)
    per_strip = max(1, _STRIP_BYTES // row)
    sizes = [row * min(per_strip, height - top) for top in range(0, height, per_strip)]
    _describe_strips(directory, tags.order, per_strip, sizes, start=0, big=big)
    # Offsets have one size whatever they are, so a first layout says where samples begin.
    head = 16 if big else 8
    start = head + len(lay_out(tags.order, directory, head, big=big))
    start += -start % 16
    _describe_strips(directory, tags.order, per_strip, sizes, start=start, big=big)
    magic = {"<": b"II", ">": b"MM"}[tags.order]
    version = struct.pack(tags.order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(tags.order + "HI", 42, 8)
    file.write((magic + version + lay_out(tags.order, directory, head, big=big)).ljust(start, b"\0"))
    dtype = np.dtype(f"{tags.order}u{bit_depth // 8}")
    file.writelines(np.ascontiguousarray(block, dtype=dtype).tobytes() for block in blocks)


def _layout(order: str, width: int, height: int, bit_depth: int, channels: int) -> dict[int, Entry]:
    entries = {
        256: _numbers(order, LONG, width),
        257: _numbers(order, LONG, height),
        258: _numbers(order, SHORT, *[bit_depth] * channels),
        259: _numbers(order, SHORT, 1),
        262: _numbers(order, SHORT, _RGB if channels > 2 else _BLACK_IS_ZERO),
        277: _numbers(order, SHORT, channels),
        284: _numbers(order, SHORT, 1),
    }
    if channels in (2, 4):
        entries[338] = _numbers(order, SHORT, _STRAIGHT_ALPHA)
    return entries


def _describe_strips(
    directory: Directory, order: str, per_strip: int, sizes: list[int], *, start: int, big: bool
) -> None:
    kind = LONG8 if big else LONG
    offsets = [start + int(before) for before in np.cumsum([0, *sizes[:-1]], dtype=np.int64)]
    directory.entries[273] = _numbers(order, kind, *offsets)
    directory.entries[278] = _numbers(order, LONG, per_strip)
    directory.entries[279] = _numbers(order, kind, *sizes)


def _numbers(order: str, kind: int, *values: int) -> Entry:
    code = {SHORT: "H", LONG: "I", LONG8: "Q"}[kind]
    return Entry(kind, len(values), struct.pack(f"{order}{len(values)}{code}", *values))
