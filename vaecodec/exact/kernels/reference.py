"""What the extension ``_kernels`` computes, in numpy: the same functions, the same integers.

Tests compare the two, and it computes where the extension was not built; then it is slow. Grids are int16
[rows + 2·border, columns + 2·border, stride] with zeros in the border; stride is the number of channels, to a multiple of 32,
and the values beyond the channels are 0. Values that a layer takes are within its input limit.

Products are taken in float64, whose sums of integers are exact below 2^53, and those here stay below 2^31.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaecodec.bitstream.tables import TABLES
from vaecodec.exact.integers import LEAK_SHIFT, IntArray
from vaecodec.exact.steps import put_planes, take_step

ALIGN = 32
"""Channels of a grid are padded to a multiple of this."""
SUM_BOUND = 1 << 31
"""Sums of a layer stay below this."""
MAX_LIMIT = 32767
MAX_SHIFT = 30
MAX_KERNEL = 9

MEAN_SHIFT, INDEX_SHIFT, CERTAIN_BELOW = 12, 5, 3
"""As in ``vaecodec.models.decoder_data``, which lies above this package."""
LATENT_CLAMP = 32767
SAMPLE_MIDDLE, SAMPLE_UNIT = 128, 32
V_UNIT, MEAN_UNIT, SYMBOL_LIMIT = 256, 16, (1 << 20) - 1
V_PER_MEAN = V_UNIT // MEAN_UNIT
"""As in ``vaecodec.models.encoder_data``."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A linear layer: weight float64 [groups, in, out], bias and shift int64 [groups, out]."""

    weight: Floats
    bias: IntArray
    shift: IntArray
    limit: int
    leaky: bool

    def __call__(self, x: IntArray, group: int = 0) -> IntArray:
        """[N, in] -> int64 [N, out]."""
        t = (np.rint(x.astype(np.float64) @ self.weight[group]).astype(np.int64) + self.bias[group]) >> self.shift[
            group
        ]
        if self.leaky:
            t = np.maximum(t, t >> LEAK_SHIFT)
        clamped: IntArray = np.clip(t, -self.limit, self.limit)
        return clamped


@dataclass(frozen=True)
class Depthwise:
    """A depthwise convolution: weight int64 [channels, k, k], bias and shift int64 [channels]."""

    weight: IntArray
    bias: IntArray
    shift: IntArray
    limit: int
    input_limit: int


def available() -> list[str]:
    """Names of the kernels."""
    return ["numpy"]


def pack_linear(
    weight: IntArray,
    bias: IntArray,
    shift: IntArray,
    limit: int,
    input_limit: int,
    leaky: bool,
    kernel: str | None = None,
) -> Linear:
    """Makes a linear layer ready: ``clamp(act((W·x + b) >> s), limit)``.

    Args:
        weight: int16 or int32 [1 or 4, out, in].
        bias: int16 or int32 [1 or 4, out].
        shift: int16 or int32 [1 or 4, out], 0..30.
        limit: outputs are within ±limit, up to 2^20; up to 32767 where they go to a grid.
        input_limit: inputs are within ±input_limit, up to 32767.
        leaky: whether the activation is max(t, t >> 3).
        kernel: of the names that :func:`available` gives; None is the fastest.

    Raises:
        ValueError: a shape or a limit is wrong.
        OverflowError: Σ|W|·input_limit + |b| of an output is 2^31 or more.
    """
    groups, outputs, _ = weight.shape
    if groups not in (1, 4) or bias.shape != (groups, outputs) or shift.shape != (groups, outputs):
        raise ValueError("weight is [1 or 4, outputs, inputs], bias and shift are [1 or 4, outputs]")
    _check(weight, bias, shift, limit, 1 << 20, input_limit)
    return Linear(
        np.ascontiguousarray(weight.transpose(0, 2, 1), np.float64), bias.astype(np.int64), shift.astype(np.int64),
        limit, bool(leaky),
    )  # fmt: skip


def pack_depthwise(
    weight: IntArray, bias: IntArray, shift: IntArray, limit: int, input_limit: int, kernel: str | None = None
) -> Depthwise:
    """Makes a depthwise convolution ready, as :func:`pack_linear`: weight [channels, k, k], bias and shift [channels].

    Raises:
        ValueError, OverflowError: as :func:`pack_linear`.
    """
    channels, side, other = weight.shape
    if side != other or side % 2 == 0 or side > MAX_KERNEL or bias.shape != (channels,) or shift.shape != (channels,):
        raise ValueError("weight is [channels, k, k] with k odd and up to 9, bias and shift are [channels]")
    _check(weight, bias, shift, limit, MAX_LIMIT, input_limit)
    return Depthwise(weight.astype(np.int64), bias.astype(np.int64), shift.astype(np.int64), limit, input_limit)


def _check(weight: IntArray, bias: IntArray, shift: IntArray, limit: int, most: int, input_limit: int) -> None:
    if not (1 <= limit <= most and 1 <= input_limit <= MAX_LIMIT):
        raise ValueError(f"limits are 1 to {most}, of inputs 1 to {MAX_LIMIT}")
    if shift.min() < 0 or shift.max() > MAX_SHIFT:
        raise ValueError(f"a shift is out of range, they go from 0 to {MAX_SHIFT}")
    sums = np.abs(weight.astype(np.int64)).reshape(*bias.shape, -1).sum(axis=-1)
    worst = int((sums * input_limit + np.abs(bias.astype(np.int64))).max())
    if worst >= SUM_BOUND:
        raise OverflowError(f"a sum can reach {worst}, and 32 bits hold less than {SUM_BOUND}")


def _inside(grid: IntArray, border: int) -> IntArray:
    """The cells of a grid without its border."""
    return grid[border : grid.shape[0] - border, border : grid.shape[1] - border]


def blocks(layers: list[tuple[Depthwise, Linear, Linear]], x: IntArray, y: IntArray, border: int, threads: int) -> None:
    """Residual blocks, from x to y to x and so on: clamp(x + project(expand(depthwise(x))), input limit of the depthwise layer).

    Args:
        layers: of each block: a depthwise one on C channels, C to any number, and back to C; 1 to 64 blocks.
        x: a grid of C channels; written over if there is more than one block.
        y: another one of the same size. The result is in y where the number of blocks is odd, else in x.
        border: of both, at least k / 2.
        threads: at most so many compute.
    """
    for depthwise, expand, project in layers:
        _block(depthwise, expand, project, x, y, border)
        x, y = y, x


def _block(depthwise: Depthwise, expand: Linear, project: Linear, x: IntArray, y: IntArray, border: int) -> None:
    channels, side, _ = depthwise.weight.shape
    rows, columns = x.shape[0] - 2 * border, x.shape[1] - 2 * border
    wide, first = x[:, :, :channels].astype(np.int64), border - side // 2
    sums = np.zeros((rows, columns, channels), np.int64) + depthwise.bias
    for i in range(side):
        for j in range(side):
            window = wide[first + i : first + i + rows, first + j : first + j + columns]
            sums += window * depthwise.weight[:, i, j]
    between = np.clip(sums >> depthwise.shift, -depthwise.limit, depthwise.limit)
    change = project(expand(between.reshape(-1, channels))).reshape(between.shape)
    stream = _inside(x, border)[:, :, :channels] + change
    _inside(y, border)[:, :, :channels] = np.clip(stream, -depthwise.input_limit, depthwise.input_limit)


def _after(t: IntArray, factor: IntArray | None, shift: int, offset: IntArray | None, limit: int) -> IntArray:
    if factor is not None:
        t = (t * factor.astype(np.int64) + (1 << (shift - 1))) >> shift
    if offset is not None:
        t = t + offset
    clamped: IntArray = np.clip(t, -limit, limit)
    return clamped


def _unfolded(layer: Linear, x: IntArray, border: int, side: int) -> IntArray:
    """The layer's outputs at every cell, each spread over ``side`` × ``side`` cells."""
    cells = _inside(x, border)
    rows, columns, _ = cells.shape
    t = layer(cells[:, :, : layer.weight.shape[1]].reshape(rows * columns, -1))
    spread: IntArray = t.reshape(rows, columns, side, side, -1).swapaxes(1, 2)
    return spread.reshape(rows * side, columns * side, -1)


def unfold(
    layer: Linear,
    x: IntArray,
    x_border: int,
    y: IntArray,
    y_border: int,
    side: int,
    factor: IntArray | None,
    shift: int,
    offset: IntArray | None,
    limit: int,
    threads: int,
) -> None:
    """A linear layer from a grid to one of ``side`` times the rows and columns.

    Output (side·i + j)·C + c goes to row i, column j, channel c of a cell, as clamp(((t·factor + half) >> shift) + offset, limit).

    Args:
        layer: one matrix.
        x: the grid to take, with ``x_border``.
        x_border: see there.
        y: the grid to write, with ``y_border``.
        y_border: see there.
        side: 1 to 16.
        factor: int32 [C], or None for no scaling.
        shift: 1..30.
        offset: int32 [C], or None for 0.
        limit: 1..32767.
        threads: at most so many compute.
    """
    t = _unfolded(layer, x, x_border, side)
    _inside(y, y_border)[:, :, : t.shape[2]] = _after(t, factor, shift, offset, limit)


def fold(
    layer: Linear,
    x: IntArray,
    x_border: int,
    y: IntArray,
    y_border: int,
    side: int,
    factor: IntArray | None,
    shift: int,
    offset: IntArray | None,
    limit: int,
    threads: int,
) -> None:
    """The other direction: ``side`` × ``side`` cells of x are the inputs of one cell of y; arguments as :func:`unfold`."""
    rows, columns, _ = _inside(y, y_border).shape
    cells = _inside(x, x_border)[:, :, : layer.weight.shape[1] // side**2]
    cells = cells.reshape(rows, side, columns, side, -1).swapaxes(1, 2).reshape(rows * columns, -1)
    t = layer(cells).reshape(rows, columns, -1)
    _inside(y, y_border)[:, :, : t.shape[2]] = _after(t, factor, shift, offset, limit)


def samples(layer: Linear, x: IntArray, border: int, out: IntArray, side: int, raw: bool, threads: int) -> None:
    """The last layer of a synthesis, unfolded by ``side``.

    Args:
        layer: one matrix.
        x: a grid with ``border``.
        border: see there.
        out: [side · rows, side · columns, C]: uint8, 128 added and limited to 0..255; with ``raw`` int32, as they are.
        side: 1 to 16.
        raw: see ``out``.
        threads: at most so many compute.
    """
    t = _unfolded(layer, x, border, side)
    out[:] = t if raw else np.clip(t + 128, 0, 255)


def enter(
    layer: Linear, planes: IntArray, lookup: IntArray, f: IntArray, border: int, limit: int, threads: int
) -> None:
    """Adds to the features of the prior what the latents of the last step say, in place.

    Args:
        layer: four matrices, for the positions 2·(row mod 2) + column mod 2.
        planes: int32 [in, height, width]: latents, in sixteenths of a step, of what each position coded.
        lookup: int16 [2·reach + 1]: what the network sees of −reach..reach; latents are clamped to that.
        f: a grid of even sides, at least height × width; beyond those latents are 0.
        border: of f.
        limit: of the features.
        threads: at most so many compute.
    """
    reach = len(lookup) // 2
    cells = _inside(f, border)
    grid = np.zeros((*cells.shape[:2], len(planes)), np.int64)
    grid[: planes.shape[1], : planes.shape[2]] = planes.transpose(1, 2, 0)
    seen = lookup[np.clip(grid, -reach, reach) + reach]
    outputs = layer.weight.shape[2]
    for position in range(4):
        here = slice(position // 2, None, 2), slice(position % 2, None, 2)
        written = (*here, slice(outputs))
        change = layer(seen[here].reshape(-1, len(planes)), position)
        features = cells[here][:, :, :outputs]
        cells[written] = np.clip(features + change.reshape(features.shape), -limit, limit)


def leave(
    layer: Linear,
    f: IntArray,
    border: int,
    mean_factor: IntArray,
    index_offset: IntArray,
    mean: IntArray,
    index: IntArray,
    threads: int,
) -> None:
    """What a step of the prior says of the latents that it codes.

    Args:
        layer: four matrices, for the positions 2·(row mod 2) + column mod 2; they see max(f, f >> 3).
        f: a grid of even sides, at least height × width.
        border: of f.
        mean_factor: int32 [4, out / 2].
        index_offset: int32 [4, out / 2].
        mean: int32 [out / 2, height, width], written: in sixteenths of a step.
        index: uint8, the same: 0..63.
        threads: at most so many compute.
    """
    cells = _inside(f, border)[:, :, : layer.weight.shape[1]]
    group = mean.shape[0]
    grid = np.zeros((*cells.shape[:2], 2 * group), np.int64)
    for position in range(4):
        here = slice(position // 2, None, 2), slice(position % 2, None, 2)
        inputs = np.maximum(cells[here], cells[here] >> LEAK_SHIFT)
        t = layer(inputs.reshape(-1, inputs.shape[2]), position)
        means = (t[:, :group] * mean_factor[position].astype(np.int64) + (1 << (MEAN_SHIFT - 1))) >> MEAN_SHIFT
        levels = (t[:, group:] + index_offset[position] + (1 << (INDEX_SHIFT - 1))) >> INDEX_SHIFT
        levels = np.where(levels < CERTAIN_BELOW, 0, np.minimum(levels, TABLES))
        grid[here] = np.concatenate([means, levels], axis=1).reshape(*inputs.shape[:2], -1)
    planes = grid[: mean.shape[1], : mean.shape[2]].transpose(2, 0, 1)
    mean[:], index[:] = planes[:group], planes[group:]


def scale_latents(
    y16: IntArray, factor: IntArray, shift: IntArray, limit: int, x: IntArray, border: int, threads: int
) -> None:
    """What a synthesis starts with: clamp((clamp(y, 32767)·factor + ⌊2^shift / 2⌋) >> shift, limit).

    Args:
        y16: int16 or int32 [rows, columns, C], clamped to ±32767 first.
        factor: int32 [C].
        shift: int32 [C], 0..30.
        limit: 1..32767.
        x: the grid to write, with ``border``.
        border: see there.
        threads: at most so many compute.
    """
    wide = shift.astype(np.int64)
    t = (np.clip(y16, -LATENT_CLAMP, LATENT_CLAMP).astype(np.int64) * factor + ((1 << wide) >> 1)) >> wide
    _inside(x, border)[:, :, : y16.shape[2]] = np.clip(t, -limit, limit)


def patches(samples: IntArray, side: int, x: IntArray, border: int, threads: int) -> None:
    """What an analysis starts with: 32·(sample − 128), a square of ``side`` × ``side`` samples in a cell.

    Args:
        samples: uint8 [side · rows, side · columns, C], C up to 4.
        side: 1 to 16.
        x: the grid of side²·C channels to write, with ``border``; order inside a cell: row, column, channel.
        border: see there.
        threads: at most so many compute.
    """
    cells = _inside(x, border)
    rows, columns, _ = cells.shape
    squares = (samples.astype(np.int16) - SAMPLE_MIDDLE) * SAMPLE_UNIT
    squares = squares.reshape(rows, side, columns, -1).swapaxes(1, 2).reshape(rows, columns, -1)
    cells[:, :, : squares.shape[2]] = squares


def gain(
    x: IntArray, border: int, top: int, left: int, factor: IntArray, shift: IntArray, v: IntArray, threads: int
) -> None:
    """Latents before rounding: (x·factor + ⌊2^shift / 2⌋) >> shift.

    Args:
        x: a grid of C channels, with ``border``.
        border: see there.
        top: row of x that becomes the first of v.
        left: its column.
        factor: int32 [C].
        shift: int32 [C], 0..30.
        v: int32 [height, width, C], written; all of it lies inside x.
        threads: at most so many compute.
    """
    height, width, channels = v.shape
    cells = _inside(x, border)[top : top + height, left : left + width, :channels]
    v[:] = (cells.astype(np.int32) * factor + (np.left_shift(1, shift) >> 1).astype(np.int32)) >> shift


def seen(v: IntArray, lookup: IntArray, x: IntArray, border: int, threads: int) -> None:
    """What the hyper analysis sees of latents, edges repeated to the whole grid.

    Args:
        v: int32 [height, width, C].
        lookup: int16 [2·reach]: what −reach..reach − 1 become; latents are clamped to that.
        x: the grid of C channels to write, with ``border``.
        border: see there.
        threads: at most so many compute.
    """
    reach, cells = len(lookup) // 2, _inside(x, border)
    rows, columns = (np.minimum(np.arange(n), m - 1) for n, m in zip(cells.shape, v.shape[:2], strict=False))
    cells[:, :, : v.shape[2]] = lookup[np.clip(v, -reach, reach - 1) + reach][rows[:, None], columns]


def round_step(
    v: IntArray, mean: IntArray, index: IntArray, zone: IntArray | None, k: int, symbols: IntArray, threads: int
) -> None:
    """Rounds what a step codes.

    Args:
        v: int32 [h, w, M], in 256ths of a step.
        mean: int32 [M/4, h, w], in sixteenths.
        index: uint8 [M/4, h, w], table indices 0..63.
        zone: int32 [64], by table index: residuals of at most this magnitude, in 256ths, become 0; None for plain rounding.
        k: the step, 0 to 3.
        symbols: int32 [M/4, h, w], written: round(v − μ), halves upwards; 0 where the index is 0.
        threads: at most so many compute.
    """
    residual = take_step(v, k) - mean * np.int32(V_PER_MEAN)
    coded = index > 0
    if zone is not None:
        coded &= np.abs(residual, dtype=np.int64) > zone.take(index)
    symbols[:] = np.clip((residual + np.int32(V_UNIT // 2)) >> 8, -SYMBOL_LIMIT, SYMBOL_LIMIT) * coded


def put_step(symbols: IntArray, mean: IntArray, k: int, planes: IntArray, y16: IntArray, threads: int) -> None:
    """What a step coded, as latents in sixteenths of a step: symbol·16 + μ.

    Args:
        symbols: int32 [M/4, h, w].
        mean: int32 [M/4, h, w], in sixteenths.
        k: the step, 0 to 3.
        planes: int32 [M/4, h, w], written, for the next step; may be the symbols.
        y16: int32 [h, w, M], written where step k codes; or int16, clamped to ±32767.
        threads: at most so many compute.
    """
    planes[:] = symbols * np.int32(MEAN_UNIT) + mean
    if y16.dtype == np.int16:
        planes = np.clip(planes, -LATENT_CLAMP, LATENT_CLAMP).astype(np.int16)
    put_planes(y16, k, planes)
