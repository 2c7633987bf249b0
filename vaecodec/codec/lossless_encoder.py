"""From samples to a container without loss, by the libraries that are here; no model has a part in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vaecodec.announce import announce
from vaecodec.bitstream.container import (
    ALPHA_IN_TILE,
    DEFAULT_LIMITS,
    KIND_PICTURE,
    MAX_QUALITY16,
    WITHOUT_MODEL,
    Container,
    Header,
    Tile,
    write_container,
)
from vaecodec.codec.decoder import checksum_of
from vaecodec.codec.encoded import Encoded, EncodedFile, Ready
from vaecodec.codec.options import DEFAULT_EFFORT, EncodeOptions
from vaecodec.codec.rectangle import Grid
from vaecodec.codec.sections import sections_of
from vaecodec.codec.stored import bits_of, stored_alpha, tiles_by_library
from vaecodec.picture import Picture, PictureRows, RowWindow
from vaecodec.picture.picture import Samples
from vaecodec.stopwatch import Stopwatch

_LOSSLESS_TILE_EXPONENT = 11
"""Pictures that are larger than readers take in one tile are cut into these."""
_ALPHA_APART_PIXELS = 1 << 16
"""Up to here alpha is tried by itself too, as with more effort; of photographs both ways are within 0.3 % of each other."""
_LOSSLESS_EFFORT = {0: 4, 1: 7}
"""JPEG XL's effort for ours; above 1 it is 9."""


class LosslessEncoder:
    """Makes files without loss, as some options ask."""

    def __init__(self, options: EncodeOptions, watch: Stopwatch) -> None:
        self._options, self._watch = options, watch

    def encode(self, picture: Picture) -> Encoded:
        """Every sample as it is, hidden ones too, by the libraries that are here; no model has a part in it."""
        pixels, ways = picture.width * picture.height, []
        if picture.alpha is not None and pixels <= DEFAULT_LIMITS.max_tile_pixels:
            ways.append(self._planes(picture, np.asarray(picture), (ALPHA_IN_TILE, b"")))
        if not ways or pixels <= _ALPHA_APART_PIXELS or self._options.effort > DEFAULT_EFFORT:
            with self._watch.time("lossless"):
                alpha = (
                    None
                    if picture.alpha is None
                    else stored_alpha(picture.alpha, bit_depth=picture.bit_depth, effort=self._effort)
                )
            ways.append(self._planes(picture, picture.samples, alpha))
        made, samples = min(ways, key=lambda way: len(way.data)), picture.samples
        return Encoded(made.data, made.quality, made.estimated_bits, made.seconds, 1, samples, Ready(samples))

    def _planes(self, picture: Picture, planes: Samples, alpha: tuple[int, bytes] | None) -> EncodedFile:
        height, width = planes.shape[:2]
        rows = PictureRows(width, height, picture.channels, picture.bit_depth, [planes], **vars(picture.metadata))
        return self.encode_rows(rows, alpha)

    @property
    def _effort(self) -> int:
        """Of JPEG XL."""
        return _LOSSLESS_EFFORT.get(self._options.effort, 9)

    def encode_rows(self, rows: PictureRows, alpha: tuple[int, bytes] | None = None) -> EncodedFile:
        """Every sample of a picture that comes by rows, whose blocks are gone through once; ``alpha``: the ALPHA section."""
        pixels = rows.width * rows.height
        exponent = 0 if pixels <= DEFAULT_LIMITS.max_tile_pixels else _LOSSLESS_TILE_EXPONENT
        header = Header(
            KIND_PICTURE, WITHOUT_MODEL, rows.width, rows.height, rows.channels, rows.bit_depth, MAX_QUALITY16, exponent
        )
        grid, window, checksum = Grid.of(header), RowWindow(rows.blocks), 0
        tiles: list[list[Tile]] = []
        for row in grid.rows:
            band = grid.band(row)
            announce(grid.row(row)[0], len(grid.tiles))
            samples = window.take(band.top, band.bottom)
            if self._options.check:
                checksum = checksum_of(samples[:, :, : rows.channels], checksum)
            for i in grid.row(row):
                with self._watch.time("lossless"):
                    each = tiles_by_library(samples[grid.tiles[i].within(band)], self._effort)
                tiles.append(each if len(grid.tiles) == 1 else [min(each, key=bits_of)])
        check = checksum if self._options.check else None
        limits, sections = replace(DEFAULT_LIMITS, max_pixels=pixels), sections_of(rows.metadata)
        with self._watch.time("container"):
            # A small file leaves out more of one library's tile than of another's.
            files = [
                (
                    write_container(Container(header, chosen, alpha=alpha, check=check, **sections), limits=limits),
                    chosen,
                )
                for chosen in zip(*tiles, strict=True)
            ]
        data, chosen = min(files, key=lambda file: len(file[0]))
        return EncodedFile(data, 100.0, sum(map(bits_of, chosen)), self._watch.seconds, 1)
