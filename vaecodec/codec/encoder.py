"""From samples to a container.

::

    samples ─► bands of rows, each with a halo ─► rows of tiles ─► latents, or stored by a library ─► container

A picture in memory is one band, for every quality that is tried; one that is larger than memory comes in a band for each row of tiles.
Latents are computed with a halo of real neighbours as wide as the networks see. What is chosen costs least: bits, and what the distortion
is worth in bits at the quality that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaecodec.announce import announce
from vaecodec.bitstream.container import (
    DEFAULT_LIMITS,
    KIND_PICTURE,
    TILE_LATENTS,
    Container,
    Header,
    Tile,
    write_container,
)
from vaecodec.codec.decoder import Decoder, checksum_of, reconstruct
from vaecodec.codec.encoded import Encoded, EncodedFile
from vaecodec.codec.lossless_encoder import LosslessEncoder
from vaecodec.codec.model import CodedTile, LoadedModel
from vaecodec.codec.options import EncodeOptions
from vaecodec.codec.rate_control import one_target, search
from vaecodec.codec.rectangle import Grid, Rectangle
from vaecodec.codec.sections import sections_of
from vaecodec.codec.stored import (
    ScreenPicture,
    StoredParts,
    StoredTile,
    bits_of,
    cover,
    exact_if_screen,
    read_overlay,
    stored_alpha,
)
from vaecodec.errors import TargetError, UsageError
from vaecodec.models.decoder_data import quality16_from_percent
from vaecodec.models.distortion import Price
from vaecodec.models.settings import STRIDE
from vaecodec.picture import SCALE_8_TO_16, Picture, PictureRows, RowWindow, fill_transparent
from vaecodec.picture.blocks import Mask
from vaecodec.picture.picture import Samples
from vaecodec.stopwatch import Stopwatch

_TILE_ENTRY_BYTES = 7
"""Of a tile in the table: mode, a length of two bytes, checksum."""
_OVERLAY_BYTES = 9
"""Of the section beside the picture in it: tag, a length of three bytes, mode, checksum."""
_AT_ONCE_BYTES = 512
"""A picture that takes no more without loss is not tried in latents: less than a network packet is to be saved."""
_MUCH = 0.25
"""So much screen content makes a look at two tiles worth while."""
_CLEARLY = 1.2
"""Two tiles stand for all if they cost less without loss by this factor."""
_OUT_OF_SIGHT = 3
"""What takes so many times as much without loss is not compared with latents of the usual error."""
_MOST_ERROR = 12
"""Times the usual squared error: photographs of Kodak have up to 9 times as much, noise 25 to 450 times."""
_POOR_POINTS = 20.0
"""So far below what photographs score latents are of no use, and few colours may be better."""
_SEAM_POINTS = 3.0
"""So far a mixture may score below latents alone. A seam that shows costs 20 points and more."""


class Band(NamedTuple):
    """Rows of a picture, as the network takes them.

    Attributes:
        x: uint8 [16h, 16w, 3], or float32 of the same range from 16 bits: the samples as RGB, edges repeated.
        top: the row of the picture that x begins at.
        stored: gives a tile without loss, by number and rectangle, where that may be worth it.
        unseen: [h, w], cells that an overlay hides; None where there is none.
    """

    x: Samples
    top: int
    stored: Callable[[int, Rectangle], Tile | None]
    unseen: Mask | None = None


class Chosen(NamedTuple):
    """A tile of a file, and its cost: bits, and what its distortion is worth in bits."""

    coded: CodedTile
    cost: float


class Seen(NamedTuple):
    """A coded picture, its score when decoded, and its cost: bits, and what its distortion is worth in bits."""

    coded: CodedPicture
    score: float
    cost: float


@dataclass(frozen=True)
class Source:
    """What of a picture does not depend on quality.

    Attributes:
        picture: as given.
        samples: uint8 or uint16 [H, W, C], what is coded.
        x: the whole as a `Band` has it.
        alpha: the ALPHA section.
        parts: what of it may be stored: without loss, the whole and what lies beside photographs in fewer colours too.
    """

    picture: Picture
    samples: Samples
    x: Samples
    alpha: tuple[int, bytes] | None
    parts: StoredParts

    @cached_property
    def x_under_overlay(self) -> Samples:
        """The whole as a `Band` has it, smooth where an overlay hides it."""
        return network_input(self.parts.under_overlay)


class CodedPicture:
    """The tiles of a picture at one quality, the latents that a decoder will have, and the cost: bits, and what distortion is worth in bits."""

    def __init__(
        self, model: LoadedModel, header: Header, tiles: tuple[Tile, ...], y16: npt.NDArray[np.int16], bits: float,
        cost: float, watch: Stopwatch,
    ) -> None:  # fmt: skip
        self.header, self.tiles, self.y16, self.bits = header, tiles, y16, bits
        self.cost = cost + 8.0 * _TILE_ENTRY_BYTES * len(tiles)
        self.overlay: Tile | None = None
        self._model, self._watch = model, watch

    def covered_by(self, overlay: Tile) -> CodedPicture:
        """The same with an overlay."""
        covered = copy(self)
        covered.overlay, covered.bits = overlay, self.bits + bits_of(overlay)
        covered.samples = self.samples.copy()
        cover(covered.samples, read_overlay(self.header, overlay))
        return covered

    @property
    def size(self) -> int:
        """What the tiles take in bytes, their entries in the table included, and the overlay."""
        tiles = sum(len(tile.payload) + _TILE_ENTRY_BYTES for tile in self.tiles)
        return tiles + (0 if self.overlay is None else len(self.overlay.payload) + _OVERLAY_BYTES)

    @property
    def is_mixed(self) -> bool:
        """Whether some tiles are latents and others stored."""
        return len({tile.mode == TILE_LATENTS for tile in self.tiles}) == 2

    @property
    def is_latents(self) -> bool:
        """Whether it is nothing but latents."""
        return self.overlay is None and all(tile.mode == TILE_LATENTS for tile in self.tiles)

    @cached_property
    def samples(self) -> Samples:
        """uint8 or uint16 [H, W, C], exactly what every decoder will give."""
        grid = Grid.of(self.header)
        tiles = list(zip(self.tiles, grid.tiles, strict=True))
        with self._watch.time("synthesis"):
            return reconstruct(self._model, self.header, tiles, self.y16, grid.frame)

    def packed(self, source: Source, check: int | None) -> bytes:
        """The file."""
        sections = sections_of(source.picture.metadata)
        container = Container(
            self.header, self.tiles, alpha=source.alpha, check=check, overlay=self.overlay, **sections
        )
        return write_container(container)


class Encoder:
    """Makes files with one model, as some options ask."""

    def __init__(self, model: LoadedModel, options: EncodeOptions) -> None:
        self._model, self._options, self._watch, self._tried = model, options, Stopwatch(), 0

    def encode(self, picture: Picture) -> Encoded:
        """A picture in memory to a file of the quality, at the quality that meets the target, or without loss."""
        if self._options.lossless:
            return LosslessEncoder(self._options, self._watch).encode(picture)
        options, source = self._options, self._prepared(picture)
        if options.target:
            coded = self._at_target(source)
        else:
            coded = self._at_quality(source, quality16_from_percent(options.quality_for(self._model.weights.tune)))
        check = checksum_of(coded.samples) if options.check else None
        with self._watch.time("container"):
            data = coded.packed(source, check)
        return Encoded(
            data, coded.header.quality16 / 16, coded.bits, self._watch.seconds, self._tried, source.samples,
            lambda: coded.samples,
        )  # fmt: skip

    def encode_rows(self, rows: PictureRows) -> EncodedFile:
        """A picture too large for memory to a file; its blocks are gone through once.

        Raises:
            UsageError: a target is asked for, which takes several passes.
        """
        if self._options.target:
            raise UsageError(
                "a target needs the whole picture in memory: give a quality for pictures that come by rows"
            )
        if self._options.lossless:
            return LosslessEncoder(self._options, self._watch).encode_rows(rows)
        options, model = self._options, self._model
        header = Header(
            KIND_PICTURE, model.id, rows.width, rows.height, rows.channels, rows.bit_depth,
            quality16_from_percent(options.quality_for(self._model.weights.tune)), options.tiling.exponent_for(rows.width, rows.height),
        )  # fmt: skip
        tiles, bits = [], 0.0
        for coded, _ in self._tiles(header, self._bands(rows)):
            tiles.append(coded.tile)
            bits += coded.bits
        container = Container(header, tuple(tiles), **sections_of(rows.metadata))
        if options.check:
            checksum = 0
            for block in Decoder(model, container, self._watch).rows():
                checksum = checksum_of(block, checksum)
            container = replace(container, check=checksum)
        with self._watch.time("container"):
            data = write_container(container, limits=replace(DEFAULT_LIMITS, max_pixels=rows.width * rows.height))
        return EncodedFile(data, header.quality16 / 16, bits, self._watch.seconds, 1)

    def _prepared(self, picture: Picture) -> Source:
        samples = fill_transparent(picture)
        with self._watch.time("analysis"):
            x = network_input(samples)
        with self._watch.time("lossless"):
            hidden = None if picture.alpha is None else picture.alpha == 0
            parts = StoredParts(samples, self._options.tiling.screen_exponent, hidden)
        alpha = None if picture.alpha is None else stored_alpha(picture.alpha)
        return Source(picture, samples, x, alpha, parts)

    def _at_target(self, source: Source) -> CodedPicture:
        """At the quality that meets the target most closely, never on its wrong side."""
        measure, _ = one_target(self._options.target, source.picture.width, source.picture.height)
        try:
            return self._searched(source, self._at_quality)
        except TargetError:
            if not measure.at_most or not source.parts.screen:
                raise
            # Letters in latents take fewer bytes than it ever gives them of itself.
            return self._searched(source, self._in_latents)

    def _searched(self, source: Source, coded_at: Callable[[Source, int], CodedPicture]) -> CodedPicture:
        """Of what some way of coding gives at each quality, what meets the target most closely."""
        measure, target = one_target(self._options.target, source.picture.width, source.picture.height)
        kept: dict[int, CodedPicture] = {}

        def value_at(quality16: int) -> float:
            coded = coded_at(source, quality16)
            if measure.of_samples is not None:
                value = measure.of_samples(source.samples, coded.samples)
            else:
                # The checksum takes its place whatever it is.
                value = float(len(coded.packed(source, 0 if self._options.check else None)))
            if measure.meets(value, target):
                kept.clear()
                kept[quality16] = coded
            return value

        quality16 = search(measure, target, value_at)
        return kept[quality16] if quality16 in kept else coded_at(source, quality16)

    def _in_latents(self, source: Source, quality16: int) -> CodedPicture:
        """Nothing but latents, in the usual tiles."""
        height, width = source.samples.shape[:2]
        return self._in_tiles(source, quality16, self._options.tiling.exponent_for(width, height), stored=False)

    def _at_quality(self, source: Source, quality16: int) -> CodedPicture:
        """What costs least: latents in the usual tiles; small tiles, each in latents or without loss; one tile without loss or in few colours.

        Where there are photographs and something else, what else there is may lie over their latents. Where much of the picture looks like
        screen content, a look at two of its tiles decides whether latents are tried at all.
        """
        self._tried += 1
        height, width, parts = *source.samples.shape[:2], source.parts
        if parts.overlay is not None:
            return self._beside_photographs(source, quality16, parts.overlay)
        if parts.whole is not None and len(parts.whole.exact.payload) <= _AT_ONCE_BYTES:
            return self._as_one(source, quality16, StoredTile(parts.whole.exact, bits_of(parts.whole.exact)))
        tiling = self._options.tiling
        usual, small = tiling.exponent_for(width, height), tiling.screen_exponent_for(width, height)
        if parts.share >= _MUCH and self._stored_wins(source, quality16):
            # One tile of the picture's own size is what `whole` is.
            ways = [] if small == 0 and parts.share == 1 else [self._in_tiles(source, quality16, small, sure=True)]
        else:
            ways = [self._in_tiles(source, quality16, usual)]
            # Screen content takes more than its share of what latents cost; if it costs less stored, a second pass pays.
            if small != usual and parts.drawn and self._stored_cost(source) < 2 * parts.share * ways[0].cost:
                ways.append(self._in_tiles(source, quality16, small))
        if parts.whole is None and (source.samples.dtype != np.uint8 or not any(coded.is_mixed for coded in ways)):
            return min(ways, key=lambda coded: coded.cost)
        if all(coded.is_mixed for coded in ways):
            # Beside a stored tile latents are seen without neighbours, and a seam may show.
            ways.append(self._in_tiles(source, quality16, usual, stored=False))
        price = self._model.price_at(quality16)
        return self._best(source, quality16, [self._seen(source, price, coded) for coded in ways])

    def _beside_photographs(self, source: Source, quality16: int, overlay: ScreenPicture) -> CodedPicture:
        """What costs least: latents alone; what lies beside photographs over their latents; one tile without loss."""
        height, width = source.samples.shape[:2]
        usual = self._options.tiling.exponent_for(width, height)
        alone = self._in_latents(source, quality16)
        under = self._in_tiles(source, quality16, usual, stored=False, under_overlay=True)
        price, whole = self._model.price_at(quality16), source.parts.whole
        with self._watch.time("lossless"):
            covered = under.covered_by(overlay.exact)
            stored = None if whole is None else StoredTile(whole.exact, bits_of(whole.exact))
        smaller = min(alone, covered, key=lambda coded: coded.size)
        if stored is not None and stored.cost <= 8 * smaller.size:
            return self._as_one(source, quality16, stored)
        errors = {coded: _squared_error(source, coded) for coded in (alone, covered)}
        saved = price.worth(errors[alone] - errors[covered], height * width)
        settled = overlay.is_best_exact(price) if smaller is covered else 8.0 * (covered.size - alone.size) > saved
        settled |= overlay.is_plain
        # Noise, of which latents keep little, has a larger error than photographs have.
        is_usual = errors[smaller] <= _MOST_ERROR * price.usual_error * source.parts.photographic_share
        if settled and is_usual and (stored is None or stored.cost > _OUT_OF_SIGHT * 8 * smaller.size):
            return smaller
        bits, most = 8.0 * (under.size + _OVERLAY_BYTES), math.inf
        seen: list[Seen] = []
        if covered is not smaller:
            seen.append(self._seen(source, price, alone))
            most = price.most(seen[0].score, seen[0].cost) - bits
        with self._watch.time("lossless"):
            over = overlay.at(price, most, under.samples)
        if over.cost < most:
            seen.append(Seen(under.covered_by(over.tile), over.score, over.cost + bits))
        return self._best(source, quality16, seen)

    def _best(self, source: Source, quality16: int, seen: list[Seen]) -> CodedPicture:
        """What costs least as it looks when decoded: one of some ways, or one stored tile.

        A mixture must not look poor beside latents alone. If what costs least scores less than photographs do at this quality, what does
        not may cost more, the more the larger the difference is.
        """
        price, screen = self._model.price_at(quality16), source.parts.whole
        alone = max((way.score for way in seen if way.coded.is_latents), default=-math.inf)
        least = min(price.least_score, alone - _SEAM_POINTS)
        best = min((way for way in seen if way.score >= least), key=lambda way: way.cost)
        most = price.most(best.score, best.cost)
        if most > best.cost:
            better = [way for way in seen if way.score >= price.least_score and way.cost < most]
            best = min(better, key=lambda way: way.cost, default=best)
            most = best.cost if better else most
        if screen is None:
            return best.coded
        with self._watch.time("lossless"):
            if source.parts.has_large_photographs and best.score >= price.least_score - _POOR_POINTS:
                # Few colours spoil them.
                stored = StoredTile(screen.exact, bits_of(screen.exact))
            else:
                stored = screen.at(price, most)
        return best.coded if stored.cost >= most else self._as_one(source, quality16, stored)

    def _seen(self, source: Source, price: Price, coded: CodedPicture) -> Seen:
        """A picture with the distortion that it has, not what latents usually have: lettering may have much more of it than photographs."""
        verdict = price.judge(source.parts.reference, coded.samples)
        worth = price.worth(verdict.distortion, coded.header.width * coded.header.height)
        return Seen(coded, verdict.score, 8.0 * coded.size + worth)

    def _stored_cost(self, source: Source) -> float:
        with self._watch.time("lossless"):
            return sum(bits_of(source.parts.tiles[number]) for number in source.parts.drawn)

    def _as_one(self, source: Source, quality16: int, stored: StoredTile) -> CodedPicture:
        """The picture as one stored tile."""
        header = self._header(source, quality16, 0)
        cells = Grid.of(header).frame.cells()
        y16 = np.zeros((cells.height, cells.width, self._model.latents), np.int16)
        tiles, bits = (stored.tile,), bits_of(stored.tile)
        return CodedPicture(self._model, header, tiles, y16, bits, stored.cost, self._watch)

    def _stored_wins(self, source: Source, quality16: int) -> bool:
        """Whether screen tiles cost clearly less without loss: two of them are tried, of middling and of high size."""
        with self._watch.time("lossless"):
            bits = {number: bits_of(source.parts.tiles[number]) for number in source.parts.drawn}
        height, width = source.samples.shape[:2]
        grid = Grid(width, height, self._options.tiling.screen_exponent).tiles
        by_size = sorted(bits, key=lambda number: bits[number])
        sample = {by_size[len(by_size) // 2], by_size[9 * len(by_size) // 10]}
        whole = Band(source.x, 0, lambda _, __: None)
        latents = sum(self._latents(whole, grid[i], quality16).cost for i in sample)
        return sum(bits[i] for i in sample) * _CLEARLY < latents

    def _latents(self, band: Band, lies: Rectangle, quality16: int) -> Chosen:
        """A tile in latents, by where it lies in a band."""
        cells = lies.cells()
        unseen = None if band.unseen is None else band.unseen[cells.within(Rectangle.of(band.unseen))]
        coded = self._model.encode_tile(band.x, cells, quality16, self._options.effort, self._watch, unseen)
        worth = self._model.price_at(quality16).of_latents * lies.width * lies.height
        return Chosen(coded, bits_of(coded.tile) + worth)

    def _header(self, source: Source, quality16: int, exponent: int) -> Header:
        height, width, channels = source.samples.shape
        depth = 8 * source.samples.dtype.itemsize
        return Header(KIND_PICTURE, self._model.id, width, height, channels, depth, quality16, exponent)

    def _in_tiles(
        self,
        source: Source,
        quality16: int,
        exponent: int,
        *,
        stored: bool = True,
        sure: bool = False,
        under_overlay: bool = False,
    ) -> CodedPicture:
        """In tiles of a size, those of screen content without loss where that costs less, or, if ``sure``, untried; none if not ``stored``.

        ``under_overlay``: only photographs count.
        """
        header = self._header(source, quality16, exponent)
        grid, parts = Grid.of(header), source.parts
        instead = parts.tiles if stored and len(grid.tiles) == parts.count else {}
        cells = grid.frame.cells()
        y16 = np.zeros((cells.height, cells.width, self._model.latents), np.int16)
        tiles, bits, total = [], 0.0, 0.0
        whole = Band(source.x, 0, lambda number, _: instead.get(number))
        if under_overlay:
            whole = whole._replace(x=source.x_under_overlay, unseen=parts.unseen_cells)
        for r, (coded, cost) in zip(grid.tiles, self._tiles(header, lambda _: whole, sure=sure), strict=True):
            if coded.y16 is not None:
                y16[r.cells().within(cells)] = coded.y16
            tiles.append(coded.tile)
            bits += coded.bits
            total += cost
        return CodedPicture(self._model, header, tuple(tiles), y16, bits, total, self._watch)

    def _tiles(self, header: Header, band_of: Callable[[Rectangle], Band], *, sure: bool = False) -> Iterator[Chosen]:
        """The tiles of a picture in raster order, a row at a time, each in latents or without loss."""
        grid = Grid.of(header)
        for row in grid.rows:
            band = band_of(grid.band(row))
            for number in grid.row(row):
                announce(number, len(grid.tiles))
                r = grid.tiles[number]
                lies = r._replace(top=r.top - band.top)
                stored, ways = band.stored(number, lies), []
                if stored is not None:
                    ways.append(Chosen(CodedTile(stored, bits_of(stored), None), bits_of(stored)))
                if not (ways and sure):
                    ways.append(self._latents(band, lies, header.quality16))
                yield min(ways, key=lambda way: way.cost)

    def _bands(self, rows: PictureRows) -> Callable[[Rectangle], Band]:
        """Bands of a picture that comes in blocks of rows: for a row of tiles its rows and a halo."""
        window, halo = RowWindow(rows.blocks), self._model.encoder_halo

        def band_of(row: Rectangle) -> Band:
            first = max(0, row.top - halo)
            samples = window.take(first, min(rows.height, row.bottom + halo))
            with self._watch.time("analysis"):
                x = network_input(samples)
            frame = Rectangle(0, 0, rows.width, len(samples))

            def stored(_: int, lies: Rectangle) -> Tile | None:
                with self._watch.time("lossless"):
                    return exact_if_screen(samples[lies.within(frame)])

            return Band(x, first, stored)

        return band_of


def _squared_error(source: Source, coded: CodedPicture) -> float:
    """The mean over the picture as it is decoded."""
    return float(np.square(source.samples.astype(np.int32) - coded.samples).mean())


def network_input(samples: Samples) -> Samples:
    """[H, W, C] -> [16h, 16w, 3] of 0..255, edges repeated; 16 bits as float32, between the integers."""
    height, width = samples.shape[:2]
    rgb = np.broadcast_to(samples, (height, width, 3))
    padded = np.pad(rgb, ((0, -height % STRIDE), (0, -width % STRIDE), (0, 0)), mode="edge")
    if padded.dtype != np.uint8:
        padded = padded.astype(np.float32) / np.float32(SCALE_8_TO_16)
    return padded
