"""Pictures too large for memory: their rows in blocks from the top, and a window over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from vaecodec.errors import LimitError, UnreadablePictureError
from vaecodec.picture.metadata import Density, Metadata
from vaecodec.picture.picture import Picture, Samples

_BLOCK_ROWS = 256
"""Rows read at once where the file does not say."""


@dataclass(frozen=True)
class PictureRows:
    """A picture that comes in blocks of rows.

    Attributes:
        width: in samples.
        height: in rows.
        channels: 1 grey, 3 RGB.
        bit_depth: 8 or 16.
        blocks: uint8 or uint16 [n, width, channels] from the top, any n; may be gone through once.
        icc: as in `Picture`.
        exif: as in `Picture`.
        xmp: as in `Picture`.
        density: as in `Picture`.
        extended_xmp: as in `Picture`.
        notes: as in `Picture`.
    """

    width: int
    height: int
    channels: int
    bit_depth: int
    blocks: Iterable[Samples]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    density: Density | None = None
    extended_xmp: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def metadata(self) -> Metadata:
        """All but the samples."""
        return Metadata(self.icc, self.exif, self.xmp, self.extended_xmp, self.density, self.notes)

    @property
    def alpha(self) -> None:
        """Pictures with transparency do not come by rows."""
        return None

    def picture(self) -> Picture:
        """All rows together."""
        dtype = np.uint8 if self.bit_depth == 8 else np.uint16
        samples: Samples = np.empty((self.height, self.width, self.channels), dtype)
        top = 0
        for block in self.blocks:
            samples[top : top + len(block)] = block
            top += len(block)
        return Picture.of(samples, self.metadata)


class RowWindow:
    """A window that slides down the blocks of a picture and keeps no more rows than it was asked for."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = iter(blocks)
        self._rows: list[Samples] = []
        self._top = self._bottom = 0

    def take(self, top: int, bottom: int) -> Samples:
        """Rows ``top`` to ``bottom``, [bottom − top, W, C]; ``top`` never goes back up."""
        while self._bottom < bottom:
            block = next(self._blocks)
            self._rows.append(block)
            self._bottom += len(block)
        while self._rows and self._top + len(self._rows[0]) <= top:
            self._top += len(self._rows.pop(0))
        start = self._top
        parts = []
        for block in self._rows:
            part = block[max(0, top - start) : max(0, bottom - start)]
            if len(part):
                parts.append(part)
            start += len(block)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def plain_blocks(
    file: BinaryIO, name: str, start: int, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Iterator[Samples]:
    """Rows that lie one after the other in a file, as numbers of ``dtype``."""
    height, width, channels = shape
    file.seek(start)
    for top in range(0, height, _BLOCK_ROWS):
        rows = min(_BLOCK_ROWS, height - top)
        data = file.read(rows * width * channels * dtype.itemsize)
        if len(data) != rows * width * channels * dtype.itemsize:
            raise UnreadablePictureError(f"{name}: cut short in row {top} of {height}")
        yield np.frombuffer(data, dtype).reshape(rows, width, channels).astype(dtype.newbyteorder("="), copy=False)


def check_size(width: int, height: int, max_pixels: int, name: str) -> None:
    """Refuses what is no picture, and what is larger than the limit."""
    if width < 1 or height < 1:
        raise UnreadablePictureError(f"{name}: {width} × {height} pixels, not a picture")
    if width * height > max_pixels:
        raise LimitError(
            f"{name}: {width} × {height} pixels, more than the limit of {max_pixels}: scale it down, or raise the limit"
        )
