"""The tiles of a picture, as rectangles."""

from __future__ import annotations

from vaecodec.bitstream.container import Header, tile_count
from vaecodec.models.rectangle import Rectangle

__all__ = ["Grid", "Rectangle", "tile_grid"]


class Grid:
    """The tiles of a picture in raster order.

    Attributes:
        frame: the whole picture, in pixels.
        exponent: 0 for one tile, else tiles of 2^exponent square; those at the right and the bottom are cut off.
        tiles: rows of tiles from the top, each from the left.
        across: tiles in a row.
    """

    def __init__(self, width: int, height: int, exponent: int) -> None:
        self.frame = Rectangle(0, 0, width, height)
        self.exponent = exponent
        self.tiles = tuple(tile_grid(width, height, exponent))
        self.across = tile_count(width, 1, exponent)

    @classmethod
    def of(cls, header: Header) -> Grid:
        """The tiles that a file has."""
        return cls(header.width, header.height, header.tile_exponent)

    @property
    def rows(self) -> range:
        """Numbers of the rows of tiles."""
        return range(len(self.tiles) // self.across)

    def row(self, number: int) -> range:
        """Numbers of the tiles in a row."""
        return range(number * self.across, (number + 1) * self.across)

    def band(self, number: int) -> Rectangle:
        """What a row of tiles covers."""
        first = self.tiles[number * self.across]
        return Rectangle(0, first.top, self.frame.width, first.height)

    def rows_under(self, cells: Rectangle) -> range:
        """Numbers of the rows of tiles that some latent cells lie in."""
        if self.exponent == 0:
            return range(1)
        pixels = cells.pixels()
        last = min(pixels.bottom - 1, self.frame.bottom - 1) >> self.exponent
        return range(pixels.top >> self.exponent, last + 1)


def tile_grid(width: int, height: int, exponent: int) -> list[Rectangle]:
    """Returns the tiles of a picture in raster order, see :class:`Grid`."""
    if exponent == 0:
        return [Rectangle(0, 0, width, height)]
    side = 1 << exponent
    return [
        Rectangle(left, top, min(side, width - left), min(side, height - top))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
