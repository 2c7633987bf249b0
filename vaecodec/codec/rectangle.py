"""Where things lie: tiles, regions, halos and windows, in pixels or in cells of 16 × 16 pixels, one latent each."""

from __future__ import annotations

from typing import NamedTuple

from vaecodec.bitstream.container import Header, tile_count
from vaecodec.models.settings import STRIDE


class Rectangle(NamedTuple):
    """A rectangle; ``right`` and ``bottom`` are exclusive ends."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column that is not in it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row that is not in it."""
        return self.top + self.height

    @classmethod
    def between(cls, left: int, top: int, right: int, bottom: int) -> Rectangle:
        """From its edges."""
        return cls(left, top, right - left, bottom - top)

    def cells(self) -> Rectangle:
        """The latent cells that a rectangle in pixels touches."""
        return Rectangle.between(
            self.left // STRIDE, self.top // STRIDE, -(-self.right // STRIDE), -(-self.bottom // STRIDE)
        )

    def pixels(self) -> Rectangle:
        """The pixels of a rectangle in cells."""
        return Rectangle(*(STRIDE * number for number in self))

    def grown(self, halo: int, frame: Rectangle) -> Rectangle:
        """With ``halo`` more on each side, as far as the frame goes."""
        return Rectangle.between(
            max(frame.left, self.left - halo), max(frame.top, self.top - halo),
            min(frame.right, self.right + halo), min(frame.bottom, self.bottom + halo),
        )  # fmt: skip

    def meets(self, other: Rectangle) -> Rectangle | None:
        """What lies in both, or None."""
        both = Rectangle.between(
            max(self.left, other.left), max(self.top, other.top), min(self.right, other.right), min(self.bottom, other.bottom)
        )  # fmt: skip
        return both if both.width > 0 and both.height > 0 else None

    def within(self, frame: Rectangle) -> tuple[slice, slice]:
        """Rows and columns of an array of the frame's samples or latents where this rectangle's lie."""
        top, left = self.top - frame.top, self.left - frame.left
        return slice(top, top + self.height), slice(left, left + self.width)


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
