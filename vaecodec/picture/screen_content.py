"""Tells text and flat graphics from photographs by a look at a few rows and columns: the former may be smaller without loss."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.picture.blocks import BLOCK, Mask, any_of_nine, in_blocks, pixels_of
from vaecodec.picture.picture import Samples

# Every sixteenth row and column is looked at: 1 to 2 % of the time that encoding takes.
_SPACING = 16

# Over 452 tiles of 256 × 256 of photographs, skies among them, these took one for screen content; rendered text has about
# 0.7 equal neighbours, and where they differ, four in five differ by more than _STEP.
_FLAT = 0.9
_PARTLY_FLAT = 0.5
_STEP = 16
_STEEP = 0.25
_FEW_COLOURS = 16

_CELL = 8
_BAND = 16 * BLOCK
# Of neighbours in photographs few are equal, and of the others most differ by up to _STEP; by these shares a photograph is found between
# text, and where it ends. Letters at its edge have equal neighbours, the last share at least.
_FEW_EQUAL = 0.35
_SOME_EQUAL = 0.75
_MOSTLY_GENTLE = 0.75
_MOST_EQUAL = 0.9
_PARTLY_GENTLE = 0.35
_LEAST_EQUAL = 0.5


def looks_like_screen_content(samples: Samples) -> bool:
    """Tells whether it is worth trying to code a tile without loss.

    Args:
        samples: uint8 [H, W, C].
    """
    for lines in (samples[::_SPACING], samples[:, ::_SPACING].swapaxes(0, 1)):
        flat, steep = _neighbours(lines)
        if flat >= _FLAT or (flat >= _PARTLY_FLAT and steep >= _STEEP):
            return True
    some = samples[::_SPACING, ::4].astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)[: samples.shape[2]]
    return len(np.unique(some)) <= min(_FEW_COLOURS, some.size // 4)


def _neighbours(lines: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """[N, L, C] -> the share of neighbours in a line that are equal, and of the others the share that differ much."""
    # Columns lie apart, and channels are few: as they come both are gone through value by value, in three times the time.
    lines = np.ascontiguousarray(lines)
    after, before = lines[:, 1:], lines[:, :-1]
    step = np.maximum(after, before) - np.minimum(after, before)
    if step.size == 0:
        return 0.0, 0.0
    step = reduce(np.maximum, np.moveaxis(step, 2, 0))
    unequal = int(np.count_nonzero(step))
    return 1 - unequal / step.size, np.count_nonzero(step > _STEP) / unequal if unequal else 1.0


def photographic_pixels(samples: Samples) -> Mask:
    """Tells which parts of a picture are photographs and which are text, graphics or one colour.

    Args:
        samples: uint8 [H, W, C].

    Returns:
        bool [H, W]: `photographic_blocks`, without what in them lies on the far side of a straight line in the colour of the ground beside.
    """
    height, width = samples.shape[:2]
    others = ~photographic_blocks(samples)
    ground = pixels_of(others, height, width)
    if others.all() or not others.any():
        return ~ground
    same = np.zeros((2, height, width), bool)
    same[0, 1:] = (samples[1:] == samples[:-1]).all(2)
    same[1, :, 1:] = (samples[:, 1:] == samples[:, :-1]).all(2)
    reached = in_blocks(_along_rows(same[1], ground) | _along_rows(same[0].T, ground.T).T)
    equal = (in_blocks(same[0]).astype(np.float32) + in_blocks(same[1])) / 2
    beside = np.pad(others, 1)
    columns = _outside(np.all(reached, 1), equal.mean(1), beside[1:-1, :-2], beside[1:-1, 2:])
    rows = _outside(np.all(reached, 3), equal.mean(3), beside[:-2, 1:-1], beside[2:, 1:-1], axis=1)
    outside = columns[:, np.newaxis] | rows[:, :, :, np.newaxis]
    photographic: Mask = ~(ground | outside.reshape(len(others) * BLOCK, -1)[:height, :width])
    return photographic


def _along_rows(same: Mask, ground: Mask) -> Mask:
    """What runs of pixels that are the same as the one before reach from the ground, along rows."""
    runs = np.cumsum(~same, dtype=np.int32) - 1
    touch = np.zeros(int(runs[-1]) + 1, bool)
    touch[runs[ground.ravel()]] = True
    reached: Mask = touch[runs].reshape(same.shape)
    return reached


def _outside(lines: Mask, equal: npt.NDArray[np.float32], before: Mask, after: Mask, axis: int = 2) -> Mask:
    """Which columns, or rows, of blocks lie outside of photographs.

    Args:
        lines: those that are ground throughout, 16 along an axis.
        equal: the share of equal neighbours in each.
        before: blocks with ground beside their first one.
        after: the same beside their last one.
        axis: of the 16.
    """
    lines, equal = np.moveaxis(lines, axis, 2), np.moveaxis(equal, axis, 2)
    outside = _up_to_the_last(lines, equal) & before[:, :, np.newaxis]
    outside |= _up_to_the_last(lines[:, :, ::-1], equal[:, :, ::-1])[:, :, ::-1] & after[:, :, np.newaxis]
    return np.moveaxis(outside, 2, axis)


def _up_to_the_last(lines: Mask, equal: npt.NDArray[np.float32]) -> Mask:
    """[h, w, 16]: all up to the last line of ground, letters among them, if they do not look like a photograph."""
    last: Mask = np.logical_or.accumulate(lines[:, :, ::-1], axis=2)[:, :, ::-1]
    share = (equal * last).sum(2) / np.maximum(last.sum(2), 1)
    up_to_it: Mask = last & (share >= _LEAST_EQUAL)[:, :, np.newaxis]
    return up_to_it


def photographic_blocks(samples: Samples) -> Mask:
    """Tells which blocks of 16 × 16 pixels, [⌈H/16⌉, ⌈W/16⌉], photographs lie in: at least 3 × 3 of them together, and what they end in."""
    equal, gentle = _steps_in_cells(samples)
    equal_in_block, gentle_in_block = _mean_of_four(equal), _mean_of_four(gentle)
    photo = (equal_in_block < _FEW_EQUAL) | (
        (equal_in_block < _SOME_EQUAL) & (gentle_in_block > _MOSTLY_GENTLE * (1 - equal_in_block))
    )
    # A block at the edge of a photograph may have little of it.
    touched = (equal < _MOST_EQUAL) & (gentle > _PARTLY_GENTLE * (1 - equal))
    touched = _mean_of_four(touched.astype(np.float64)) > 0
    grown = _opened(photo)
    for near in (photo | touched, photo | touched):
        grown |= any_of_nine(grown) & near
    return ~_opened(~grown)


def _steps_in_cells(samples: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of the neighbours in each cell of 8 × 8 pixels the share that are equal, and the share that differ by up to _STEP."""
    height, width = samples.shape[:2]
    pad = (-height % BLOCK, -width % BLOCK)
    padded = np.pad(samples, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="symmetric")
    counts = []
    for top in range(0, len(padded), _BAND):
        band = padded[top : top + _BAND]
        equal: Any = 0
        gentle: Any = 0
        for axis in (0, 1):
            after, before = (band[1:], band[:-1]) if axis == 0 else (band[:, 1:], band[:, :-1])
            step = reduce(np.maximum, np.moveaxis(np.maximum(after, before) - np.minimum(after, before), 2, 0))
            # What lies between two cells is of neither.
            step = np.pad(step, ((0, 1 - axis), (0, axis)))
            cells = step.reshape(len(band) // _CELL, _CELL, -1, _CELL)
            inside = cells[:, : _CELL - 1] if axis == 0 else cells[:, :, :, : _CELL - 1]
            equal = equal + np.count_nonzero(inside == 0, axis=(1, 3))
            gentle = gentle + np.count_nonzero((inside > 0) & (inside <= _STEP), axis=(1, 3))
        counts.append((equal, gentle))
    equal, gentle = (np.concatenate(each) / (2 * _CELL * (_CELL - 1)) for each in zip(*counts, strict=True))
    return equal, gentle


def _mean_of_four(cells: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """[2h, 2w] -> [h, w]."""
    mean: npt.NDArray[np.float64] = (cells[::2, ::2] + cells[1::2, ::2] + cells[::2, 1::2] + cells[1::2, 1::2]) / 4
    return mean


def _opened(blocks: Mask) -> Mask:
    """Those that lie in some 3 × 3 that are all true; beyond the picture its edges are repeated."""
    return any_of_nine(~any_of_nine(~np.pad(blocks, 2, mode="edge")))[2:-2, 2:-2]
