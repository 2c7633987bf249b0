"""What a file keeps as PNG, WebP or JPEG XL files: alpha and pictures without loss, and text and graphics exactly or in fewer colours.

Those are a tile, or an overlay: a picture with alpha that lies over the latents of the photographs beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np

from vaecodec.bitstream.container import (
    ALPHA_CONSTANT,
    ALPHA_IN_TILE,
    ALPHA_JPEG_XL,
    ALPHA_PNG,
    ALPHA_PNG_16_BIT,
    ALPHA_WEBP,
    DEFAULT_LIMITS,
    TILE_JPEG_XL,
    TILE_PNG,
    TILE_WEBP,
    Container,
    Header,
    Tile,
)
from vaecodec.codec.rectangle import Rectangle, tile_grid
from vaecodec.errors import DamagedFileError
from vaecodec.metrics.ssimulacra2 import Reference
from vaecodec.models.distortion import Price, Verdict
from vaecodec.picture import LosslessPlanes, decode_lossless, encode_lossless, looks_like_screen_content
from vaecodec.picture.blocks import Mask, any_of_nine, in_blocks
from vaecodec.picture.lossless import Kind, encode_each, encode_smallest
from vaecodec.picture.palette import Palettes
from vaecodec.picture.picture import Samples
from vaecodec.picture.screen_content import photographic_pixels
from vaecodec.picture.transparency import fill_hidden

_ALPHA_KINDS: Mapping[int, Kind] = {
    ALPHA_PNG: "PNG", ALPHA_WEBP: "WEBP", ALPHA_PNG_16_BIT: "PNG", ALPHA_JPEG_XL: "JXL",
}  # fmt: skip
_ALPHA_MODES: Mapping[Kind, int] = {"PNG": ALPHA_PNG, "WEBP": ALPHA_WEBP, "JXL": ALPHA_JPEG_XL}
_TILE_KINDS: Mapping[int, Kind] = {TILE_PNG: "PNG", TILE_WEBP: "WEBP", TILE_JPEG_XL: "JXL"}
_TILE_MODES: Mapping[Kind, int] = {kind: mode for mode, kind in _TILE_KINDS.items()}

_BITS_SAVED = 0.15
"""Bits that a tile in few colours saves as a part of its exact ones, when its distortion grows by the factor e: pages and charts, from
4 to 64 colours."""
_LEAST_DISTORTION = 6.0
"""Below it (a score of 82 or so) tiles are exact: they cost little more."""
_COLOUR_ERROR = {False: (2.4, 1.74), True: (4.0, 1.0)}
"""The error of colours that has a distortion D is about factor·D^power, for the eye; and where the squared error is all."""
_OUT_OF_REACH = 5
"""What takes so many times as much as it may when it is exact will not do in few colours: pages, charts and maps did up to 4.8 times."""
_POINTS_LOST = 3.0
"""So far an overlay in fewer colours may score below the exact one where that scores less than photographs do."""
_DRAWN_SHARE = 0.01
"""Of the picture's tiles with more than one colour: where fewer are drawn, only plain ground is looked at beside photographs."""
_SMALL_PHOTOGRAPHS = 1 / 32
"""Of a picture: so much of it may be in fewer colours, as false alarms are. Larger photographs look poor so."""
_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 96, 128)
"""Numbers of colours that are tried."""


def stored_alpha(alpha: Samples, *, bit_depth: int = 8, effort: int | None = None) -> tuple[int, bytes]:
    """uint8 or uint16 [H, W] -> mode and bytes of the ALPHA section.

    Args:
        alpha: the plane.
        bit_depth: of the samples beside it: JPEG XL has no other.
        effort: of JPEG XL, for the smallest that the libraries here make; None: PNG or WebP, quickly.
    """
    if alpha.dtype == np.uint8 and (alpha == alpha[0, 0]).all():
        return ALPHA_CONSTANT, bytes((int(alpha[0, 0]),))
    plane = np.ascontiguousarray(alpha[:, :, np.newaxis])
    smallest = effort is not None and bit_depth == 8 * alpha.itemsize and alpha.size <= DEFAULT_LIMITS.max_tile_pixels
    planes = encode_smallest(plane, effort=effort or 0) if smallest else encode_lossless(plane)
    if planes.kind == "PNG" and alpha.dtype != np.uint8:
        return ALPHA_PNG_16_BIT, planes.data
    return _ALPHA_MODES[planes.kind], planes.data


def read_alpha(container: Container) -> Samples | None:
    """The ALPHA section -> uint8 [H, W], or uint16 where it has 16 bits; None without one, or where the tile has it."""
    if container.alpha is None or alpha_is_in_tile(container):
        return None
    mode, data = container.alpha
    width, height = container.header.width, container.header.height
    if mode == ALPHA_CONSTANT:
        return np.full((height, width), data[0], np.uint8)
    planes, depth = LosslessPlanes(_ALPHA_KINDS[mode], data), 16 if mode == ALPHA_PNG_16_BIT else 8
    if mode == ALPHA_JPEG_XL:
        depth = container.header.bit_depth
    return decode_lossless(planes, width, height, 1, "the alpha plane", bit_depth=depth)[:, :, 0]


def alpha_is_in_tile(container: Container) -> bool:
    """Whether the one tile has alpha after its channels."""
    return container.alpha is not None and container.alpha[0] == ALPHA_IN_TILE


def read_overlay(header: Header, tile: Tile) -> Samples:
    """The OVERLAY section -> uint8 [H, W, C + 1], the last channel 255 where it covers the tiles and 0 elsewhere.

    Raises:
        DamagedFileError: it is not what its mode says, has another size, or is translucent somewhere.
    """
    planes = LosslessPlanes(_TILE_KINDS[tile.mode], tile.payload)
    overlay = decode_lossless(planes, header.width, header.height, header.channels + 1, "the overlay")
    if not np.isin(overlay[:, :, -1], (0, 255)).all():
        raise DamagedFileError("the overlay is translucent: the file is damaged, get it again")
    return overlay


def cover(samples: Samples, overlay: Samples) -> None:
    """Puts an overlay, uint8 [h, w, C + 1], over samples, uint8 [h, w, C]."""
    np.copyto(samples, overlay[:, :, :-1], where=overlay[:, :, -1:] == 255)


class StoredTile(NamedTuple):
    """A tile, or an overlay, that a library codes.

    Attributes:
        tile: mode and bytes.
        cost: bits, and what its distortion is worth in bits.
        too_poor: it looks worse than photographs do at the quality.
        score: SSIMULACRA2 of the picture that comes out; ∞ of what is exact, or was not looked at.
    """

    tile: Tile
    cost: float
    too_poor: bool = False
    score: float = math.inf


class ScreenPicture:
    """What of a picture looks like screen content, as one tile or overlay: exact, or in as few colours as a quality allows.

    Smaller tiles are exact only: each with colours of its own they look well, and seams between them do not.
    """

    def __init__(self, reference: Reference, drawn: Mask | None = None) -> None:
        """Takes a picture of 8 bits, and for an overlay which of its pixels are in it, [H, W]."""
        self._reference, self._drawn = reference, drawn
        samples = np.ascontiguousarray(reference.samples)
        self._pixels = samples.shape[0] * samples.shape[1]
        self._samples = samples if drawn is None else samples[drawn][np.newaxis]
        self._reduced: dict[int, tuple[Samples, Tile]] = {}
        self._verdicts: dict[tuple[int, float], Verdict] = {}

    @cached_property
    def exact(self) -> Tile:
        """Without loss."""
        return self._tile(self._samples)

    @cached_property
    def is_plain(self) -> bool:
        """Whether it has one colour or two: a frame, or bars."""
        pixels = self._samples.reshape(-1, self._samples.shape[2])
        others = pixels[(pixels != pixels[0]).any(1)]
        return len(others) == 0 or bool((others == others[0]).all())

    @cached_property
    def _palettes(self) -> Palettes:
        return Palettes(self._samples)

    def at(self, price: Price, most: float = math.inf, under: Samples | None = None) -> StoredTile:
        """The form that costs least at a price of distortion: exact, or in as many colours as one of ``_COUNTS`` that are not too poor.

        Where another way of coding the picture costs ``most``, what clearly costs more is not looked for.

        Args:
            price: of distortion.
            most: what another way costs.
            under: of an overlay the picture that it lies over, uint8 [H, W, C], the same one at every call with a price.
        """
        bits, least = bits_of(self.exact), price.least_score
        exact = StoredTile(self.exact, bits)
        if bits > _OUT_OF_REACH * most:
            return exact
        if under is not None:
            exact = self._judged(0, self.exact, self._samples, price, under, -math.inf)
            least = min(least, self._verdicts[0, price.lam].score - _POINTS_LOST)
        wanted = self._wanted(price)
        if wanted < _LEAST_DISTORTION:
            return exact
        # From there on, towards what costs less.
        factor, power = _COLOUR_ERROR[price.squared_only]
        errors = self._palettes.errors
        counts = [count for count in _COUNTS if count < len(errors)]
        place = sum(1 for count in counts if errors[count - 1] > factor * wanted**power)

        def in_colours(k: int) -> StoredTile:
            return self._in_colours(counts[k], price, most, under, least)

        tried = {k: in_colours(k) for k in (place - 1, place) if 0 <= k < len(counts)}
        while tried and all(stored.too_poor for stored in tried.values()) and max(tried) + 1 < len(counts):
            tried[max(tried) + 1] = in_colours(max(tried) + 1)
        for step in (-1, 1):
            while tried:
                best = min(tried, key=lambda k: _rank(tried[k]))
                if best + step in tried or not 0 <= best + step < len(counts):
                    break
                tried[best + step] = in_colours(best + step)
        return min([exact, *tried.values()], key=_rank)

    def is_best_exact(self, price: Price) -> bool:
        """Whether fewer colours save too little at a price of distortion."""
        return self._wanted(price) < _LEAST_DISTORTION

    def _wanted(self, price: Price) -> float:
        """The distortion at which the cost is least: the bits of lettering fall with its logarithm."""
        pixels = self._samples.shape[0] * self._samples.shape[1]
        return float(_BITS_SAVED * bits_of(self.exact) / pixels / price.lam)

    def _in_colours(self, count: int, price: Price, most: float, under: Samples | None, least: float) -> StoredTile:
        """In so many colours; what takes ``most`` bits or more without its distortion is not looked at."""
        if count not in self._reduced:
            reduced = self._palettes.reduced(count)
            self._reduced[count] = reduced, self._tile(reduced)
        reduced, tile = self._reduced[count]
        if bits_of(tile) >= most:
            return StoredTile(tile, bits_of(tile))
        return self._judged(count, tile, reduced, price, under, least)

    def _judged(
        self, count: int, tile: Tile, samples: Samples, price: Price, under: Samples | None, least: float
    ) -> StoredTile:
        """With what the distortion of the picture that comes out is worth; it is judged once for a number of colours, 0 for all, and a price."""
        if (count, price.lam) not in self._verdicts:
            seen = samples
            if under is not None:
                seen = under.copy()
                seen[self._drawn] = samples[0]
            self._verdicts[count, price.lam] = price.judge(self._reference, seen)
        verdict = self._verdicts[count, price.lam]
        cost = bits_of(tile) + price.worth(verdict.distortion, self._pixels)
        return StoredTile(tile, cost, verdict.score < least, verdict.score)

    def _tile(self, samples: Samples) -> Tile:
        """Samples in the shape of ``_samples``; of an overlay with alpha, and 0 where it is transparent."""
        if self._drawn is None:
            return _stored(samples)
        height, width = self._drawn.shape
        overlay = np.zeros((height, width, samples.shape[2] + 1), np.uint8)
        overlay[self._drawn, :-1] = samples[0]
        overlay[self._drawn, -1] = 255
        return _stored(overlay)


def bits_of(tile: Tile) -> float:
    """Of its payload."""
    return 8.0 * len(tile.payload)


def _rank(stored: StoredTile) -> tuple[bool, float]:
    return stored.too_poor, stored.cost


def _is_flat(samples: Samples) -> bool:
    return bool((samples == samples[0, 0]).all())


def _stored(samples: Samples) -> Tile:
    planes = encode_lossless(samples)
    return Tile(_TILE_MODES[planes.kind], planes.data)


def exact_if_screen(samples: Samples) -> Tile | None:
    """A tile without loss where that may be worth it: for samples that look like screen content; 16 bits never."""
    if samples.dtype != np.uint8 or not looks_like_screen_content(samples):
        return None
    return _stored(np.ascontiguousarray(samples))


def tiles_by_library(samples: Samples, effort: int) -> list[Tile]:
    """uint8 or uint16 [H, W, C] -> a tile without loss, or with alpha as its last channel, as small as each library here makes it."""
    each = encode_each(np.ascontiguousarray(samples), effort=effort)
    return [Tile(_TILE_MODES[planes.kind], planes.data) for planes in each]


class StoredParts:
    """What of a picture in memory may be stored by a library, made when it is first asked for.

    Attributes:
        exponent: of the small tiles.
        count: of the small tiles that there are.
        screen: numbers of those that look like screen content; none with 16 bits.
        drawn: those of them that have more than one colour, which alone takes hardly any bits however it is coded; all if none has.
        share: of the pixels of all tiles with more than one colour that lie in drawn ones.
    """

    def __init__(self, samples: Samples, exponent: int, hidden: Mask | None = None) -> None:
        """Takes uint8 or uint16 [H, W, C], and which pixels nobody sees, [H, W]."""
        height, width = samples.shape[:2]
        self._samples, self._frame, self.exponent = samples, Rectangle(0, 0, width, height), exponent
        self._hidden = hidden
        self._grid = tile_grid(width, height, exponent)
        self.count = len(self._grid)
        eight = samples.dtype == np.uint8
        self.screen = [
            number for number, r in enumerate(self._grid) if eight and looks_like_screen_content(self._part(r))
        ]  # fmt: skip
        flat = {number for number in self.screen if _is_flat(self._part(self._grid[number]))}
        self._grounds = {self._part(self._grid[number])[0, 0].tobytes() for number in flat}
        others = [number for number in range(self.count) if number not in flat] or self.screen
        self.drawn = [number for number in others if number in set(self.screen)]
        self.share = self._pixels(self.drawn) / self._pixels(others)
        self._looks_drawn = 4 * len(self.drawn) >= len(others)

    def _part(self, r: Rectangle) -> Samples:
        part: Samples = self._samples[r.within(self._frame)]
        return part

    def _pixels(self, numbers: list[int]) -> int:
        return sum(self._grid[number].width * self._grid[number].height for number in numbers)

    @cached_property
    def reference(self) -> Reference:
        """The picture, for comparisons by the eye."""
        return Reference(self._samples)

    @cached_property
    def whole(self) -> ScreenPicture | None:
        """The picture as one tile, where that may be worth it."""
        # With few screen tiles the whole is not small without loss.
        return ScreenPicture(self.reference) if self._looks_drawn and self._fits_one_tile else None

    @property
    def _fits_one_tile(self) -> bool:
        """No tile may be larger than readers take."""
        return self._frame.width * self._frame.height <= DEFAULT_LIMITS.max_tile_pixels

    @cached_property
    def _photographs(self) -> Mask:
        return photographic_pixels(self._samples)

    @cached_property
    def photographic_share(self) -> float:
        """Of the picture."""
        return float(self._photographs.mean())

    @property
    def has_large_photographs(self) -> bool:
        """Whether they are too large for fewer colours."""
        return self.photographic_share > _SMALL_PHOTOGRAPHS

    @cached_property
    def _drawn_pixels(self) -> Mask:
        """[H, W]: what lies beside photographs and is seen. What nobody sees is in latents, smooth as it is."""
        return ~self._photographs if self._hidden is None else ~(self._photographs | self._hidden)

    @cached_property
    def overlay(self) -> ScreenPicture | None:
        """What lies beside photographs, where there are both."""
        # Skies and white grounds of photographs are flat too, and ragged.
        drawn, plain = self.share >= _DRAWN_SHARE, len(self._grounds) in (1, 2)
        worth_it = bool(self.screen) and self._fits_one_tile and (drawn or plain) and 0 < self.photographic_share < 1
        if not worth_it or not self._drawn_pixels.any():
            return None
        overlay = ScreenPicture(self.reference, self._drawn_pixels)
        return overlay if drawn or overlay.is_plain else None

    @cached_property
    def under_overlay(self) -> Samples:
        """uint8 [H, W, C]: the photographs, and what goes on smoothly from them where the overlay lies."""
        return fill_hidden(self._samples, self._drawn_pixels)

    @cached_property
    def unseen_cells(self) -> Mask:
        """[⌈H/16⌉, ⌈W/16⌉]: cells of latents that lie under the overlay with all around them, so that it hardly matters what they are."""
        return ~any_of_nine(np.any(in_blocks(~self._drawn_pixels), (1, 3)))

    @cached_property
    def tiles(self) -> Mapping[int, Tile]:
        """The screen tiles without loss, by number."""
        return {number: _stored(np.ascontiguousarray(self._part(self._grid[number]))) for number in self.screen}


def read_stored_tile(tile: Tile, r: Rectangle, channels: int, bit_depth: int) -> Samples:
    """A tile without loss -> uint8 or uint16 [h, w, C], alpha counted where it has one.

    Raises:
        DamagedFileError: it is not what its mode says, or has another size.
    """
    planes = LosslessPlanes(_TILE_KINDS[tile.mode], tile.payload)
    what = f"the lossless tile at ({r.left}, {r.top})"
    return decode_lossless(planes, r.width, r.height, channels, what, bit_depth=bit_depth)
