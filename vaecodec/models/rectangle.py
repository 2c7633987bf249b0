"""Where things lie: tiles, regions, halos and windows, in pixels or in cells of 16 × 16 pixels, one latent each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy.typing as npt

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
    def of(cls, array: npt.NDArray[Any]) -> Rectangle:
        """All of [H, W, ...]."""
        return cls(0, 0, array.shape[1], array.shape[0])

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

    def seen_from(self, frame: Rectangle) -> Rectangle:
        """The same, counted from the frame's upper left corner."""
        return Rectangle(self.left - frame.left, self.top - frame.top, self.width, self.height)
