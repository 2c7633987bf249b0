"""Pictures in blocks of 16 × 16 pixels, which are the cells of latents too."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""Of pixels [H, W], or of blocks [⌈H/16⌉, ⌈W/16⌉]."""

BLOCK: Final = 16
"""The side of one."""


def any_of_nine(blocks: Mask) -> Mask:
    """Whether a block or one of the eight around it is true."""
    padded = np.pad(blocks, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def pixels_of(blocks: Mask, height: int, width: int) -> Mask:
    """Blocks -> pixels."""
    return blocks.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def in_blocks(pixels: Mask) -> Mask:
    """[H, W] -> [⌈H/16⌉, 16, ⌈W/16⌉, 16], the edges of the picture repeated."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    return padded.reshape(len(padded) // BLOCK, BLOCK, -1, BLOCK)
