"""What a file keeps without loss, as PNG or WebP files: alpha, and tiles with text or flat graphics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from vaecodec.bitstream.container import (
    ALPHA_CONSTANT,
    ALPHA_PNG,
    ALPHA_WEBP,
    DEFAULT_LIMITS,
    TILE_PNG,
    TILE_WEBP,
    Container,
    Tile,
)
from vaecodec.codec.rectangle import Rectangle, tile_grid
from vaecodec.picture import LosslessPlanes, decode_lossless, encode_lossless, looks_like_screen_content
from vaecodec.picture.picture import Samples

_ALPHA_KINDS: Mapping[int, Literal["PNG", "WEBP"]] = {ALPHA_PNG: "PNG", ALPHA_WEBP: "WEBP"}
_ALPHA_MODES = {kind: mode for mode, kind in _ALPHA_KINDS.items()}
_TILE_KINDS: Mapping[int, Literal["PNG", "WEBP"]] = {TILE_PNG: "PNG", TILE_WEBP: "WEBP"}
_TILE_MODES = {kind: mode for mode, kind in _TILE_KINDS.items()}


def stored_alpha(alpha: Samples) -> tuple[int, bytes]:
    """uint8 [H, W] -> mode and bytes of the ALPHA section."""
    if (alpha == alpha[0, 0]).all():
        return ALPHA_CONSTANT, bytes((int(alpha[0, 0]),))
    planes = encode_lossless(alpha[:, :, np.newaxis])
    return _ALPHA_MODES[planes.kind], planes.data


def read_alpha(container: Container) -> Samples | None:
    """The ALPHA section -> uint8 [H, W]."""
    if container.alpha is None:
        return None
    mode, data = container.alpha
    width, height = container.header.width, container.header.height
    if mode == ALPHA_CONSTANT:
        return np.full((height, width), data[0], np.uint8)
    return decode_lossless(LosslessPlanes(_ALPHA_KINDS[mode], data), width, height, 1, "the alpha plane")[:, :, 0]


def stored_tile(samples: Samples) -> Tile:
    """uint8 [H, W, C] -> a tile without loss."""
    planes = encode_lossless(samples)
    return Tile(_TILE_MODES[planes.kind], planes.data)


def stored_if_screen(samples: Samples) -> Tile | None:
    """A tile without loss where that may be worth it: for samples that look like screen content; 16 bits never."""
    if samples.dtype != np.uint8 or not looks_like_screen_content(samples):
        return None
    return stored_tile(np.ascontiguousarray(samples))


def stored_picture(samples: Samples, exponent: int) -> tuple[Tile | None, dict[int, Tile]]:
    """A picture as one tile without loss, and those of its small tiles by number, where that may be worth it.

    Args:
        samples: uint8 or uint16 [H, W, C].
        exponent: of the small tiles.
    """
    if samples.dtype != np.uint8:
        return None, {}
    height, width = samples.shape[:2]
    frame, grid = Rectangle(0, 0, width, height), tile_grid(width, height, exponent)
    made = {number: stored_if_screen(samples[r.within(frame)]) for number, r in enumerate(grid)}
    tiles = {number: tile for number, tile in made.items() if tile is not None}
    # With few such tiles the whole is not small without loss; and no tile may be larger than readers take.
    worth_it = 4 * len(tiles) >= len(grid) and height * width <= DEFAULT_LIMITS.max_tile_pixels
    return stored_tile(samples) if worth_it else None, tiles


def read_stored_tile(tile: Tile, r: Rectangle, channels: int) -> Samples:
    """A tile without loss -> uint8 [h, w, C].

    Raises:
        DamagedFileError: it is not what its mode says, or has another size.
    """
    planes = LosslessPlanes(_TILE_KINDS[tile.mode], tile.payload)
    return decode_lossless(planes, r.width, r.height, channels, f"the lossless tile at ({r.left}, {r.top})")
