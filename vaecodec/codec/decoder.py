"""From a container to samples: whole, by rows, a region, or what can be had of a damaged file.

::

    tiles ─► latents of a row of tiles and of what its halo touches ─► exact synthesis ─► rows of samples, the overlay over them

Samples are synthesised with a halo of real neighbours as wide as the networks see, so that tiles and one piece give the same.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.announce import announce
from vaecodec.bitstream.container import TILE_LATENTS, Container, Header, Tile
from vaecodec.bitstream.digest import LatentDigest
from vaecodec.codec.model import LoadedModel
from vaecodec.codec.rectangle import Grid, Rectangle
from vaecodec.codec.sections import metadata_of
from vaecodec.codec.stored import alpha_is_in_tile, cover, read_alpha, read_overlay, read_stored_tile
from vaecodec.errors import DamagedFileError
from vaecodec.picture import SCALE_8_TO_16, Picture
from vaecodec.picture.picture import Samples
from vaecodec.stopwatch import Stopwatch

_GREY = 128
"""Of 8 bits."""
_TILE_GREY = -1
"""In place of the mode of a damaged tile; never in a file."""


@dataclass(frozen=True)
class Salvaged:
    """The picture of a damaged file, as far as it could be decoded.

    Attributes:
        picture: with grey in place of the damaged tiles.
        damaged: number and rectangle of each of those, in raster order.
        tiles: how many tiles there are.
    """

    picture: Picture
    damaged: Mapping[int, Rectangle]
    tiles: int


@dataclass(frozen=True)
class Decoded:
    """A picture from a file, and the time it took: ``container``, ``prior``, ``coding``, ``synthesis``, in seconds."""

    picture: Picture
    seconds: Mapping[str, float]


class Decoder:
    """The samples of one container, decoded as they are asked for.

    Attributes:
        decoded: numbers of the tiles whose latents were decoded, as they come.
        damaged: numbers of the tiles that could not be decoded and are grey; filled only with ``keep_going``.
    """

    def __init__(
        self, model: LoadedModel, container: Container, watch: Stopwatch | None = None, *, keep_going: bool = False
    ) -> None:
        self.container, self.header, self.grid = container, container.header, Grid.of(container.header)
        self.decoded: list[int] = []
        self.damaged: set[int] = set()
        self._model, self._watch, self._keep_going = model, watch or Stopwatch(), keep_going
        self._tiles = list(container.tiles)

    def samples(self, region: Rectangle | None = None) -> Samples:
        """uint8 or uint16 [h, w, C] of a region, by default the picture."""
        region = region or self.grid.frame
        blocks = self.rows(region)
        first = next(blocks)
        if len(first) == region.height:
            # The last block is over with it; nothing is left to copy.
            return first
        samples = np.empty((region.height, region.width, self.header.channels), sample_type(self.header))
        top = 0
        for rows in itertools.chain([first], blocks):
            samples[top : top + len(rows)] = rows
            top += len(rows)
        return samples

    def rows(self, region: Rectangle | None = None) -> Iterator[Samples]:
        """The rows of a region, uint8 or uint16 [n, w, C], from the top, one row of tiles after the other.

        No more latents are kept than those of a row of tiles and of what its halo touches.
        """
        region = region or self.grid.frame
        if alpha_is_in_tile(self.container):
            with self._watch.time("synthesis"):
                yield self._planes[region.within(self.grid.frame)][:, :, : self.header.channels]
            return
        known: dict[int, npt.NDArray[np.int16]] = {}
        for number in self.grid.rows:
            part = region.meets(self.grid.band(number))
            if part is None:
                continue
            window = window_of(part, self.grid.frame, self._model.backend.halo)
            touched = self.grid.rows_under(window)
            known = {row: latents for row, latents in known.items() if row in touched}
            for row in touched:
                if row not in known:
                    known[row] = self._latents_of_row(row, window)
            with self._watch.time("synthesis"):
                lies = self.grid.band(touched[0]).cells()
                rows = [known[row] for row in touched]
                y16 = rows[0] if len(rows) == 1 else np.concatenate(rows)
                y16 = y16[window.top - lies.top : window.bottom - lies.top]
                row_of_tiles = [(self._tiles[i], self.grid.tiles[i]) for i in self.grid.row(number)]
                samples = reconstruct(self._model, self.header, row_of_tiles, y16, part)
                if self._overlay is not None:
                    cover(samples, self._overlay[part.within(self.grid.frame)])
            yield samples

    def picture(self, samples: Samples, region: Rectangle | None = None) -> Picture:
        """Samples of a region, with alpha and metadata."""
        alpha = self._planes[:, :, -1] if alpha_is_in_tile(self.container) else read_alpha(self.container)
        if alpha is not None and region is not None:
            alpha = alpha[region.within(self.grid.frame)]
        return Picture.of(samples, metadata_of(self.container), alpha)

    @cached_property
    def _overlay(self) -> Samples | None:
        """uint8 [H, W, C + 1]: what lies over the tiles."""
        overlay = self.container.overlay
        return None if overlay is None else read_overlay(self.header, overlay)

    @cached_property
    def _planes(self) -> Samples:
        """uint8 or uint16 [H, W, C + 1] of the one tile that has alpha; grey and opaque if it is damaged and that is allowed."""
        header, r = self.header, self.grid.frame
        try:
            if self._tiles[0].damaged:
                raise DamagedFileError("tile 0 has a wrong checksum")
            return read_stored_tile(self._tiles[0], r, header.channels + 1, header.bit_depth)
        except DamagedFileError:
            if not self._keep_going:
                raise
            self.damaged.add(0)
            planes = np.full((r.height, r.width, header.channels + 1), grey_of(header), sample_type(header))
            planes[:, :, -1] = np.iinfo(planes.dtype).max
            return planes

    def verify(self, checksum: int) -> None:
        """Compares with the checksum of the samples where the file has one.

        Raises:
            DamagedFileError: they differ.
        """
        if self.container.check is not None and checksum != self.container.check:
            raise DamagedFileError("the decoded samples do not match the file's checksum: the file is damaged")

    def digest(self) -> str:
        """SHA-256 over the decoded integers, hexadecimal."""
        digest = LatentDigest()
        for tile, r in zip(self._tiles, self.grid.tiles, strict=True):
            if tile.mode == TILE_LATENTS:
                latents = self._model.decode_tile(tile.payload, r.cells(), self.header.quality16, self._watch, np.int32)
                digest.update_tile(latents.z, latents.y16.transpose(2, 0, 1))
        return digest.hexdigest()

    def _latents_of_row(self, row: int, window: Rectangle) -> npt.NDArray[np.int16]:
        """int16 [rows, columns, M] of a row of tiles in the columns of a window, clamped as the synthesis clamps them."""
        band = self.grid.band(row).cells()
        wanted = Rectangle(window.left, band.top, window.width, band.height)
        y16 = np.zeros((wanted.height, wanted.width, self._model.latents), np.int16)
        for number in self.grid.row(row):
            announce(number, len(self._tiles))
            r = self.grid.tiles[number]
            cells = r.cells()
            part = cells.meets(wanted)
            if part is None:
                continue
            tile = self._tiles[number]
            try:
                if tile.damaged:
                    raise DamagedFileError(f"tile {number} has a wrong checksum")
                if tile.mode == TILE_LATENTS:
                    self.decoded.append(number)
                    latents = self._model.decode_tile(tile.payload, cells, self.header.quality16, self._watch).y16
                    if cells == wanted:
                        return latents
                    y16[part.within(wanted)] = latents[part.within(cells)]
                elif self._keep_going:
                    read_stored_tile(tile, r, self.header.channels, self.header.bit_depth)
            except DamagedFileError:
                if not self._keep_going:
                    raise
                self.damaged.add(number)
                self._tiles[number] = Tile(_TILE_GREY, b"")
        return y16


def window_of(region: Rectangle, frame: Rectangle, halo: int) -> Rectangle:
    """The latent cells that the samples of a region depend on."""
    return region.cells().grown(halo, frame.cells())


def reconstruct(
    model: LoadedModel,
    header: Header,
    tiles: Sequence[tuple[Tile, Rectangle]],
    y16: npt.NDArray[np.int16],
    region: Rectangle,
) -> Samples:
    """Samples of a region.

    Args:
        model: the model.
        header: of the file.
        tiles: those that the region lies in, and where they lie.
        y16: latents of the region's window, int16 [h, w, M] in sixteenths of a step.
        region: in pixels.

    Returns:
        uint8 or uint16 [h, w, C].
    """
    samples = np.empty((region.height, region.width, header.channels), sample_type(header))
    frame, halo = Rectangle(0, 0, header.width, header.height), model.backend.halo
    window = window_of(region, frame, halo)
    synthesise = model.backend.synthesise if header.bit_depth == 8 else model.backend.synthesise_16_bit
    for tile, r in tiles:
        part = r.meets(region)
        if part is None:
            continue
        here = part.within(region)
        if tile.mode == TILE_LATENTS:
            needed = window_of(part, frame, halo)
            piece = synthesise(y16[needed.within(window)], header.quality16)
            rgb = piece[part.within(needed.pixels())]
            if part == region and header.channels == 3:
                return np.ascontiguousarray(rgb, samples.dtype)
            samples[here] = rgb if header.channels == 3 else (rgb.sum(axis=2, dtype=np.int32, keepdims=True) + 1) // 3
        elif tile.mode == _TILE_GREY:
            samples[here] = grey_of(header)
        else:
            samples[here] = read_stored_tile(tile, r, header.channels, header.bit_depth)[part.within(r)]
    return samples


def grey_of(header: Header) -> int:
    """What a damaged tile is filled with."""
    return _GREY * (SCALE_8_TO_16 if header.bit_depth == 16 else 1)


def sample_type(header: Header) -> np.dtype[Any]:
    """The type of a file's samples."""
    return np.dtype(np.uint8 if header.bit_depth == 8 else np.uint16)


def checksum_of(samples: Samples, before: int = 0) -> int:
    """CRC-32 of samples, those of 16 bits with the lower byte first; ``before``: that of the rows above."""
    return zlib.crc32(np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("<")).data, before)
