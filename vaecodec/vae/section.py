"""The ARRAY section of a file (docs/format.md, section 9): shape, and what each kind of array needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from vaecodec.bitstream.container import DEFAULT_LIMITS, MAX_QUALITY16, Limits
from vaecodec.bitstream.tables import TABLES
from vaecodec.bitstream.varint import read_varint, write_varint
from vaecodec.errors import DamagedFileError, FileFormatError, LimitError, TruncatedFileError, damaged_file
from vaecodec.exact.integers import IntArray
from vaecodec.vae.bits_back import Batches

MAX_STEP: Final = 1 << 16
_TYPE_UINT8: Final = 1
_MAX_AXES: Final = 4


@dataclass(frozen=True)
class ArraySection:
    """What an ARRAY section says (docs/format.md, section 9): a shape, and what the kind needs."""

    shape: tuple[int, ...]
    words: int
    batches: Batches
    quality16: int
    step: IntArray
    offset: IntArray
    index: IntArray


def parse_array(payload: bytes, lossless: bool, latents: int | None, limits: Limits = DEFAULT_LIMITS) -> ArraySection:
    """Reads and checks an ARRAY section; ``latents`` is d of the model, or None to read the shape alone.

    Raises:
        DamagedFileError: something in it cannot be.
        LimitError: more values than the limits allow.
    """
    try:
        return _parse_array(payload, lossless, latents, limits)
    except (TruncatedFileError, IndexError):
        raise _damaged("ends too early") from None


def _parse_array(payload: bytes, lossless: bool, latents: int | None, limits: Limits) -> ArraySection:
    if payload[0] != _TYPE_UINT8:
        raise FileFormatError(
            f"the array has values of the type {payload[0]}, which this vaecodec does not know: update it"
        )
    axes, position = payload[1], 2
    if not 2 <= axes <= _MAX_AXES:
        raise _damaged(f"has {axes} axes")
    shape = []
    for _ in range(axes):
        size, position = read_varint(payload, position)
        shape.append(size)
    total = 1
    for size in shape:
        if size < 1:
            raise _damaged("has an axis of 0")
        total *= size
    if total > limits.max_pixels:
        raise LimitError(
            f"the array has {total} values, over the limit of {limits.max_pixels}: raise the limit if you trust the file"
        )
    nothing = np.zeros(0, np.int64)
    words = first = largest = 1
    quality16, rows = 0, []
    if lossless:
        words, position = read_varint(payload, position)
        first, position = read_varint(payload, position)
        largest, position = read_varint(payload, position)
        if words > 1 << 24 or not 1 <= first <= largest or largest > 1 << 16:
            raise _damaged("has impossible batches")
    else:
        quality16, position = read_varint(payload, position)
        if quality16 > MAX_QUALITY16:
            raise _damaged(f"has the quality {quality16 / 16:g}")
        for _ in range(latents or 0):
            step, position = read_varint(payload, position)
            offset, position = read_varint(payload, position)
            index, position = payload[position], position + 1
            if not 1 <= step <= MAX_STEP or offset > 1 << 16 or index > TABLES:
                raise _damaged("has an impossible step")
            rows.append((step, _unzigzag(offset), index))
    if (lossless or latents is not None) and position != len(payload):
        raise _damaged("has another length than its contents take")
    columns = np.array(rows, np.int64).T if rows else np.stack([nothing] * 3)
    return ArraySection(
        tuple(shape), words, Batches(first, largest), quality16, columns[0], columns[1], columns[2].astype(np.uint8)
    )


def array_head(shape: tuple[int, ...]) -> bytes:
    """What every ARRAY section begins with: type and shape."""
    return bytes((_TYPE_UINT8, len(shape))) + b"".join(map(write_varint, shape))


def lossless_section(shape: tuple[int, ...], words: int, batches: Batches) -> bytes:
    """The ARRAY section of a lossless array."""
    return array_head(shape) + b"".join(map(write_varint, (words, batches.first, batches.largest)))


def lossy_section(shape: tuple[int, ...], quality16: int, step: IntArray, offset: IntArray, index: IntArray) -> bytes:
    """The ARRAY section of a lossy array: quality, and of every dimension its step, its offset and its table."""
    rows = (
        write_varint(int(s)) + write_varint(_zigzag(int(o))) + bytes((int(i),))
        for s, o, i in zip(step, offset, index, strict=True)
    )
    return array_head(shape) + write_varint(quality16) + b"".join(rows)


def _damaged(what: str) -> DamagedFileError:
    return damaged_file(f"the ARRAY section {what}")


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2
