"""The image model by the native core: the exact decoding half in C, or in numpy where the extension was not built.

::

    z ─► h_s ─► features ─┬► step 0 ─► μ, index ──► (coder) ─► ŷ of step 0 ─┐
                          └► step 1 ◄───────────────────────────────────────┘ … step 3 ─► ŷ ─► g_s ─► samples

Features are grids, see ``vaecodec.exact.kernels.reference``: int16 [rows + 2·border, columns + 2·border, channels], zeros around,
so that the depthwise convolutions meet no edge. No torch here.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.kernels import ALIGN, Kernels, Layer, available_threads, find_kernels
from vaecodec.models.backend import TileLatents
from vaecodec.models.decoder_data import (
    CONTEXT_CLAMP,
    DEEP_SHIFT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    MEAN_UNIT,
    ExactData,
    Pop,
    QualityTables,
    check_data,
    no_deep_samples,
    synthesis_halo,
    with_deep_samples,
)
from vaecodec.models.settings import PATCH, STEPS, Z_STRIDE, coded_group

HYPER_KERNEL = 3
"""Side of the depthwise kernel of ``h_s.block32``."""


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
    """A grid of zeros."""
    shape = (rows + 2 * border, columns + 2 * border, -(-channels // ALIGN) * ALIGN)
    return Grid(np.zeros(shape, np.int16), border)


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

    def __init__(self, layers: dict[str, LinearData | DepthwiseData], kernels: Kernels, threads: int) -> None:
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
        y = Grid(np.zeros_like(x.values), x.border) if blocks else x
        for block in blocks:
            self.kernels.functions.block(*block, x.values, y.values, x.border, self.threads)
            x, y = y, x
        return x

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


class PriorPass:
    """One tile on its way through the prior: ask for a step, hand in its latents, four times."""

    def __init__(self, prior: NativePrior, z: IntArray, quality16: int, height: int, width: int) -> None:
        self.prior, self.height, self.width = prior, height, width
        self.planes: list[IntArray] = []
        self.features = prior.start(z, quality16)
        self.mean_factor = prior.quality.at("mean_factor", quality16).reshape(STEPS, -1)
        self.index_offset = prior.quality.at("index_offset", quality16).reshape(STEPS, -1)

    def next(self) -> tuple[IntArray, IntArray]:
        """μ in sixteenths of a step, int32 [M/4, h, w], and table indices 0..63, uint8 [M/4, h, w], of the next step."""
        k = len(self.planes)
        if k:
            self.prior.enter(k, self.planes[-1], self.features)
        self.features = self.prior.layers.run(self.prior.blocks[k], self.features)
        shape = (self.mean_factor.shape[1], self.height, self.width)
        mean, index = np.empty(shape, np.int32), np.empty(shape, np.uint8)
        groups = coded_group(k)
        self.prior.leave(k, self.features, self.mean_factor[groups], self.index_offset[groups], mean, index)
        return mean, index

    def put(self, y16: IntArray) -> None:
        """Hands in the latents of the step asked for last: int32 [M/4, h, w], symbol·16 + μ."""
        self.planes.append(np.ascontiguousarray(y16, np.int32))

    def latents(self) -> IntArray:
        """All latents, in sixteenths of a step, channels last: int32 [h, w, M]."""
        group = self.mean_factor.shape[1]
        y16 = np.empty((self.height, self.width, STEPS * group), np.int32)
        for k, planes in enumerate(self.planes):
            for position, g in enumerate(coded_group(k)):
                rows, columns = slice(position // 2, None, 2), slice(position % 2, None, 2)
                y16[rows, columns, g * group : (g + 1) * group] = planes[:, rows, columns].transpose(1, 2, 0)
        return y16


class NativePrior:
    """The prior: from symbols of z, and the latents known so far, to means and table indices."""

    def __init__(self, data: ExactData, layers: Layers) -> None:
        s = self.settings = data.settings
        self.layers = layers
        self.up32, self.block32, self.up16 = (
            layers.linear("h_s.up32"), layers.block("h_s.block32"), layers.linear("h_s.up16"),
        )  # fmt: skip
        self.entering = [layers.linear(f"context.{k}.enter") if k else None for k in range(STEPS)]
        self.blocks = [layers.blocks(f"context.{k}.blocks", s.prior_blocks) for k in range(STEPS)]
        self.leaving = [layers.linear(f"context.{k}.leave") for k in range(STEPS)]
        self.quality = QualityTables(data.tables)
        self.lookup = np.ascontiguousarray(data.tables["asinh"], np.int16)
        self.middle_limit = layers.linear_data("h_s.up32").limit
        self.stream_limit = layers.linear_data("h_s.up16").limit

    def begin(self, z: IntArray, quality16: int, height: int, width: int) -> PriorPass:
        """Starts on the symbols of z: int [Z, ceil(h/4), ceil(w/4)], for a grid of ``height`` × ``width`` latents."""
        return PriorPass(self, z, quality16, height, width)

    def start(self, z: IntArray, quality16: int) -> Grid:
        """Symbols of z, int [Z, h/4, w/4] -> features of h × w cells."""
        channels, rows, columns = z.shape
        width = self.settings.prior_width
        f = empty_grid(rows, columns, channels, 0)
        f.inside[:, :, :channels] = np.clip(z, -HYPER_LIMIT, HYPER_LIMIT).transpose(1, 2, 0)
        f = self.layers.unfold(
            self.up32, f, empty_grid(2 * rows, 2 * columns, width, HYPER_KERNEL // 2), self.middle_limit
        )
        f = self.layers.run([self.block32], f)
        grid = empty_grid(Z_STRIDE * rows, Z_STRIDE * columns, width, self.settings.prior_kernel // 2)
        vector = self.quality.at("prior_vector", quality16)
        return self.layers.unfold(self.up16, f, grid, self.stream_limit, offset=vector)

    def enter(self, k: int, planes: IntArray, f: Grid) -> None:
        """Adds to the features what the latents of step k − 1 say, int32 [M/4, h, w] in sixteenths of a step."""
        self.layers.kernels.functions.enter(
            self.entering[k], planes, self.lookup, f.values, f.border, self.stream_limit, self.layers.threads
        )

    def leave(
        self, k: int, f: Grid, mean_factor: IntArray, index_offset: IntArray, mean: IntArray, index: IntArray
    ) -> None:
        """What step k says of its latents, into ``mean`` and ``index``."""
        self.layers.kernels.functions.leave(
            self.leaving[k], f.values, f.border, np.ascontiguousarray(mean_factor),
            np.ascontiguousarray(index_offset), mean, index, self.layers.threads,
        )  # fmt: skip


class NativeSynthesis:
    """g_s: from latents to samples."""

    def __init__(self, data: ExactData, layers: Layers) -> None:
        s = self.settings = data.settings
        self.layers = layers
        self.blocks16 = layers.blocks("g_s.blocks16", s.synthesis_blocks16)
        self.pairs = layers.linear("g_s.pairs")
        self.blocks8 = layers.blocks("g_s.blocks8", s.synthesis_blocks8)
        self.patches = layers.linear("g_s.patches")
        self.quality = QualityTables(data.tables)
        self.shift = np.ascontiguousarray(data.tables["latent_shift"], np.int32)
        self.limit16 = layers.linear_data("g_s.pairs").input_limit
        self.limit8 = layers.linear_data("g_s.patches").input_limit

    @cached_property
    def patches_deep(self) -> Layer | None:
        """The last layer with the bits that samples of 16 bits need; None if it has not got them."""
        deep = with_deep_samples(self.layers.linear_data("g_s.patches"))
        if deep is None or int(np.abs(deep.bias).max()) >= 1 << 31:
            return None
        whole = LinearData(
            deep.weight, deep.bias.astype(np.int32), deep.shift.astype(np.int32), deep.limit, deep.input_limit, False
        )
        return self.layers.kernels.linear("g_s.patches of 16 bits", whole)

    def __call__(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        return self._samples(self.patches, self._features(y16, quality16), np.uint8)

    def deep(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: this model's last layer has too few fractional bits.
        """
        if self.patches_deep is None:
            raise no_deep_samples()
        x = self._samples(self.patches_deep, self._features(y16, quality16), np.int32)
        np.clip(x + (128 << DEEP_SHIFT), 0, 255 << DEEP_SHIFT, out=x)
        x *= 257
        x += 1 << (DEEP_SHIFT - 1)
        x >>= DEEP_SHIFT
        return x

    def _samples(self, layer: Layer, f: Grid, dtype: type[np.uint8 | np.int32]) -> IntArray:
        rows, columns = f.size
        out = np.empty((PATCH * rows, PATCH * columns, 3), dtype)
        self.layers.kernels.functions.samples(
            layer, f.values, f.border, out, PATCH, dtype is np.int32, self.layers.threads
        )
        return out

    def _features(self, y16: IntArray, quality16: int) -> Grid:
        """int32 [h, w, M] -> what the last layer takes, 2h × 2w cells of C1 channels."""
        s, (rows, columns, latents) = self.settings, y16.shape
        f = empty_grid(rows, columns, latents, s.kernel16 // 2)
        self.layers.kernels.functions.scale_latents(
            np.ascontiguousarray(y16), self.quality.at("latent_factor", quality16), self.shift, self.limit16, f.values,
            f.border,
        )  # fmt: skip
        f = self.layers.run(self.blocks16, f)
        grid = empty_grid(2 * rows, 2 * columns, s.features, s.kernel8 // 2)
        factor = self.quality.at("feature_factor", quality16)
        f = self.layers.unfold(self.pairs, f, grid, self.limit8, factor=factor, shift=FEATURE_SHIFT)
        return self.layers.run(self.blocks8, f)


class NativeBackend:
    """Prior and synthesis of one model; may be used from many threads at the same time.

    Args:
        data: the integers.
        threads: for each call; None takes the processors that this process may use.
        kernels: what computes; None takes the fastest, or what ``VAECODEC_KERNELS`` names.

    Raises:
        DamagedWeightsError: layers are missing, or their sums may not fit 32 bits.
        UsageError: the environment names kernels that are not here.
    """

    name = "native"

    def __init__(self, data: ExactData, *, threads: int | None = None, kernels: Kernels | None = None) -> None:
        check_data(data)
        self.data = data
        self.layers = Layers(dict(data.layers), kernels or find_kernels(), threads or available_threads())
        if len(data.tables["asinh"]) != 2 * CONTEXT_CLAMP + 1:
            raise DamagedWeightsError("the table asinh of the weights has a wrong length")

    @cached_property
    def prior(self) -> NativePrior:
        """The prior, made ready when it is first asked for."""
        return NativePrior(self.data, self.layers)

    @cached_property
    def synthesis(self) -> NativeSynthesis:
        """The synthesis, made ready when it is first asked for."""
        return NativeSynthesis(self.data, self.layers)

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return synthesis_halo(self.data.settings)

    def decode_tile(self, quality16: int, height: int, width: int, pop: Pop) -> TileLatents:
        """The integers of a tile of ``height`` × ``width`` latents, from its symbols."""
        indices = self.prior.quality.hyper_indices(quality16, height, width)
        z = pop(indices.reshape(-1)).reshape(indices.shape)
        on_the_way = self.prior.begin(z, quality16, height, width)
        for _ in range(STEPS):
            mean, index = on_the_way.next()
            mean += pop(index.reshape(-1)).reshape(index.shape) * np.int32(MEAN_UNIT)
            on_the_way.put(mean)
        return TileLatents(z, on_the_way.latents())

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        return self.synthesis(y16, quality16)

    def synthesise_deep(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        return self.synthesis.deep(y16, quality16)
