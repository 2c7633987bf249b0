"""The sections that go over the whole picture, ALPHA and OVERLAY: their bytes, and what holds for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vaecodec.bitstream.header import KIND_PICTURE, Header
from vaecodec.bitstream.tile_table import TILE_LATENTS, TILE_PNG, TILE_WEBP, Tile
from vaecodec.errors import damaged_file

ALPHA_PNG: Final = 1
ALPHA_WEBP: Final = 2
ALPHA_CONSTANT: Final = 3
ALPHA_PNG_16_BIT: Final = 4
ALPHA_JPEG_XL: Final = 5
ALPHA_IN_TILE: Final = 6

_OVERLAY_MODES: Final = (TILE_PNG, TILE_WEBP)


def alpha_payload(alpha: tuple[int, bytes]) -> bytes:
    """ALPHA: mode(1), and what follows."""
    return bytes((alpha[0],)) + alpha[1]


def read_alpha(payload: memoryview) -> tuple[int, bytes]:
    """The inverse of `alpha_payload`, for bytes from anywhere."""
    if len(payload) == 0:
        raise damaged_file("the ALPHA section is empty")
    return payload[0], bytes(payload[1:])


def overlay_payload(overlay: Tile) -> bytes:
    """OVERLAY: mode(1), and a picture with alpha."""
    return bytes((overlay.mode,)) + overlay.payload


def read_overlay(payload: memoryview) -> Tile:
    """The inverse of `overlay_payload`, for bytes from anywhere."""
    if len(payload) == 0:
        raise damaged_file("the OVERLAY section is empty")
    return Tile(payload[0], bytes(payload[1:]))


def check_alpha(header: Header, alpha: tuple[int, bytes] | None, wrong: Callable[[str], Exception]) -> None:
    """Raises ``wrong`` where there can be no such ALPHA section."""
    if alpha is None:
        return
    mode, content = alpha
    if header.kind != KIND_PICTURE:
        raise wrong("arrays have no ALPHA section")
    if not ALPHA_PNG <= mode <= ALPHA_IN_TILE:
        raise wrong(f"the ALPHA section has the unknown mode {mode}")
    if mode == ALPHA_PNG_16_BIT and header.bit_depth == 8:
        raise wrong("the ALPHA section has 16 bits, the samples 8")
    if bool(content) == (mode == ALPHA_IN_TILE) or (mode == ALPHA_CONSTANT and len(content) != 1):
        raise wrong(f"the ALPHA section has {len(content)} bytes after its mode")


def check_alpha_in_tile(
    alpha: tuple[int, bytes] | None, tiles: tuple[Tile, ...], wrong: Callable[[str], Exception]
) -> None:
    """Raises ``wrong`` where ALPHA says that the one tile has it, and there is no such tile."""
    in_tile = alpha is not None and alpha[0] == ALPHA_IN_TILE
    if in_tile and (len(tiles) != 1 or tiles[0].mode == TILE_LATENTS):
        raise wrong("the ALPHA section says that one tile without loss has it, and there is no such tile")


def check_overlay(
    header: Header, overlay: Tile | None, tiles: tuple[Tile, ...], wrong: Callable[[str], Exception]
) -> None:
    """Raises ``wrong`` where there can be no such OVERLAY section."""
    if overlay is None:
        return
    if header.kind != KIND_PICTURE or header.bit_depth != 8:
        raise wrong("the OVERLAY section belongs to pictures of 8 bits, and to them only")
    if overlay.mode not in _OVERLAY_MODES:
        raise wrong(f"the OVERLAY section has the unknown mode {overlay.mode}")
    if not overlay.payload:
        raise wrong("the OVERLAY section has no bytes after its mode")
    if all(tile.mode != TILE_LATENTS for tile in tiles):
        raise wrong("the OVERLAY section lies over latents, and no tile has them")
