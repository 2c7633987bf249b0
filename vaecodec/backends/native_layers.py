"""Layers of a model over grids of cells, by the native core: what decoder and encoder have in common.

Features are grids, see ``vaecodec.exact.kernels.reference``: int16 [rows + 2·border, columns + 2·border, channels], zeros around,
so that the depthwise convolutions meet no edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.kernels import ALIGN, Kernels, Layer


class Grid(NamedTuple):
    """Features of a grid of cells.

    Attributes:
        values: int16 [rows + 2·border, columns + 2·border, channels to a multiple of 32], zeros outside the cells.
        border: cells of zeros on each side.
    """

    values: IntArray
    border: int

    @property
    def inside(self) -> IntArray:
        """The cells, [rows, columns, channels]."""
        end = None if self.border == 0 else -self.border
        cells: IntArray = self.values[self.border : end, self.border : end]
        return cells

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.values.shape[0] - 2 * self.border, self.values.shape[1] - 2 * self.border


def empty_grid(rows: int, columns: int, channels: int, border: int) -> Grid:
    """A grid whose cells wait to be written: zeros around them, and beyond the channels; anything in the channels."""
    shape = (rows + 2 * border, columns + 2 * border, -(-channels // ALIGN) * ALIGN)
    # To fill all of a grid with zeros takes as long as a small layer, and one thread does it.
    values = np.empty(shape, np.int16)
    values[:border], values[rows + border :] = 0, 0
    values[:, :border], values[:, columns + border :] = 0, 0
    values[:, :, channels:] = 0
    return Grid(values, border)


class Block(NamedTuple):
    """A residual block made ready."""

    depthwise: Layer
    expand: Layer
    project: Layer


class Layers:
    """The layers of a model, made ready by the kernels when they are first asked for, and what computes them.

    Args:
        layers: the integers.
        kernels: what computes.
        threads: at most so many.
    """

    def __init__(self, layers: Mapping[str, LinearData | DepthwiseData], kernels: Kernels, threads: int) -> None:
        self.data, self.kernels, self.threads = layers, kernels, threads

    def linear_data(self, name: str) -> LinearData:
        """The integers of a linear layer."""
        data = self.data[name]
        if not isinstance(data, LinearData):
            raise DamagedWeightsError(f"layer {name} of the weights is of the wrong kind")
        return data

    def linear(self, name: str) -> Layer:
        """A linear layer made ready."""
        return self.kernels.linear(name, self.linear_data(name))

    def blocks(self, name: str, count: int) -> list[Block]:
        """Numbered residual blocks made ready."""
        return [self.block(f"{name}.{i}") for i in range(count)]

    def block(self, name: str) -> Block:
        """A residual block made ready."""
        depthwise = self.data[f"{name}.depthwise"]
        if not isinstance(depthwise, DepthwiseData):
            raise DamagedWeightsError(f"layer {name}.depthwise of the weights is of the wrong kind")
        return Block(
            self.kernels.depthwise(f"{name}.depthwise", depthwise), self.linear(f"{name}.expand"),
            self.linear(f"{name}.project"),
        )  # fmt: skip

    def run(self, blocks: list[Block], x: Grid) -> Grid:
        """The grid after residual blocks; x is written over."""
        if not blocks:
            return x
        y = empty_grid(*x.size, x.values.shape[2], x.border)
        self.kernels.functions.blocks(blocks, x.values, y.values, x.border, self.threads)
        return y if len(blocks) % 2 else x

    def unfold(
        self,
        layer: Layer,
        x: Grid,
        y: Grid,
        limit: int,
        *,
        side: int = 2,
        factor: IntArray | None = None,
        shift: int = 1,
        offset: IntArray | None = None,
    ) -> Grid:
        """A linear layer from x to y, which has ``side`` times the rows and columns; see the reference."""
        self.kernels.functions.unfold(
            layer, x.values, x.border, y.values, y.border, side, factor, shift, offset, limit, self.threads
        )
        return y

    def fold(self, layer: Layer, x: Grid, y: Grid, limit: int) -> Grid:
        """A linear layer from 2×2 cells of x to one cell of y; see the reference."""
        self.kernels.functions.fold(
            layer, x.values, x.border, y.values, y.border, 2, None, 1, None, limit, self.threads
        )
        return y
