"""The order in which the latents of a tile are coded: four steps, and in each of them every 2×2 cell codes one position of each group.

::

    positions of a cell:  0 1     groups coded in step 0:  0 1    step 1:  3 2    step 2:  1 0    step 3:  2 3
                          2 3                              2 3             1 0             3 2             0 1
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STEPS = 4
"""Passes of the context model, and groups of latent channels."""
STEP_ORDER = (0, 3, 1, 2)
"""Group g is coded in step k at position g xor STEP_ORDER[k] of every 2×2 cell: the diagonal neighbour comes second."""

_CACHE_LINE = 64


def coded_group(step: int) -> list[int]:
    """The group of channels that each of the four positions of a cell codes in ``step``."""
    return [position ^ STEP_ORDER[step] for position in range(STEPS)]


def coding_step(position: int) -> list[int]:
    """The inverse: the step that codes each of the four groups at a position of a cell."""
    return [STEP_ORDER.index(position ^ group) for group in range(STEPS)]


def take_step(y: Array, k: int) -> Array:
    """What step k codes of [h, w, M]: planes [M/4, h, w], of each latent cell the group that its position in a 2×2 cell has."""
    group = y.shape[2] // STEPS
    planes = np.empty((group, *y.shape[:2]), y.dtype)
    for position, g in enumerate(coded_group(k)):
        i, j = divmod(position, 2)
        planes[:, i::2, j::2] = y[i::2, j::2, g * group : (g + 1) * group].transpose(2, 0, 1)
    return planes


def put_planes(y: Array, k: int, planes: Array) -> None:
    """The inverse of :func:`take_step`, into [h, w, M]."""
    group, h, w = planes.shape
    # Planes whose distance is a multiple of a large power of two share lines of the cache: reading across them takes three times as long.
    apart = np.empty((group, h * w + _CACHE_LINE // planes.itemsize), planes.dtype)
    apart[:, : h * w] = planes.reshape(group, -1)
    planes = apart[:, : h * w].reshape(group, h, w)
    for position, g in enumerate(coded_group(k)):
        i, j = divmod(position, 2)
        y[i::2, j::2, g * group : (g + 1) * group] = planes[:, i::2, j::2].transpose(1, 2, 0)
