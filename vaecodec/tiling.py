"""Where tiles, regions and their latents lie: rectangles in pixels, slices in cells of 16 × 16."""

from __future__ import annotations

from vaecodec.bitstream.container import Header, TileRectangle
from vaecodec.models.settings import STRIDE


def whole(header: Header) -> TileRectangle:
    """The whole picture."""
    return TileRectangle(0, 0, header.width, header.height)


def cells(r: TileRectangle) -> tuple[slice, slice]:
    """The latent cells of a tile: rows, columns."""
    return (
        slice(r.top // STRIDE, -(-(r.top + r.height) // STRIDE)),
        slice(r.left // STRIDE, -(-(r.left + r.width) // STRIDE)),
    )


def overlap(a: slice, b: slice) -> slice:
    """The cells in both; stops before it starts where there are none."""
    return slice(max(a.start, b.start), min(a.stop, b.stop))


def moved(cells: slice, origin: slice) -> slice:
    """The same cells, counted from where ``origin`` starts."""
    return slice(cells.start - origin.start, cells.stop - origin.start)


def intersection(a: TileRectangle, b: TileRectangle) -> TileRectangle | None:
    """What is in both, or None."""
    left, top = max(a.left, b.left), max(a.top, b.top)
    width, height = min(a.left + a.width, b.left + b.width) - left, min(a.top + a.height, b.top + b.height) - top
    return TileRectangle(left, top, width, height) if width > 0 and height > 0 else None


def inside(part: TileRectangle, whole: TileRectangle) -> tuple[slice, slice]:
    """Where in the samples of ``whole`` those of ``part`` lie: rows, columns."""
    top, left = part.top - whole.top, part.left - whole.left
    return slice(top, top + part.height), slice(left, left + part.width)
