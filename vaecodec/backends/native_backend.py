"""The image model by the native core: exact integers in C, or in numpy where the extension was not built.

::

    z ─► h_s ─► features ─┬► step 0 ─► μ, index ──► (coder) ─► ŷ of step 0 ─┐
                          └► step 1 ◄───────────────────────────────────────┘ … step 3 ─► ŷ ─► g_s ─► samples

Features are grids of int16 with zeros around, see ``native_layers``. No torch here.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.backends.native_encoder import NativeAnalysis
from vaecodec.backends.native_layers import Grid, Layers, empty_grid
from vaecodec.errors import UsageError
from vaecodec.exact.integers import IntArray, LinearData
from vaecodec.exact.kernels import Kernels, Layer, available_threads, find_kernels
from vaecodec.exact.steps import STEPS, coded_group
from vaecodec.models.decoder_data import (
    FEATURE_SHIFT,
    HYPER_LIMIT,
    SHIFT_16_BIT,
    ExactData,
    QualityTables,
    check_data,
    no_16_bit_samples,
    synthesis_halo,
    with_16_bit_samples,
)
from vaecodec.models.encoder_data import (
    Analysed,
    EncoderData,
    analysis_halo,
)
from vaecodec.models.rectangle import Rectangle
from vaecodec.models.settings import LARGEST_EXACT_EFFORT, Z_STRIDE

HYPER_KERNEL = 3
"""Side of the depthwise kernel of ``h_s.block32``."""


class PriorPass:
    """One tile on its way through the prior: ask for a step, hand in its latents, four times."""

    def __init__(self, prior: NativePrior, z: IntArray, quality16: int, height: int, width: int) -> None:
        self.prior, self.height, self.width = prior, height, width
        self.k, self.planes = 0, np.zeros(0, np.int32)
        self.features = prior.start(z, quality16)
        self.mean_factor = prior.quality.at("mean_factor", quality16).reshape(STEPS, -1)
        self.index_offset = prior.quality.at("index_offset", quality16).reshape(STEPS, -1)

    def next(self) -> tuple[IntArray, IntArray]:
        """μ in sixteenths of a step, int32 [M/4, h, w], and table indices 0..63, uint8 [M/4, h, w], of the next step."""
        k = self.k
        if k:
            self.prior.enter(k, self.planes, self.features)
        self.features = self.prior.layers.run(self.prior.blocks[k], self.features)
        shape = (self.mean_factor.shape[1], self.height, self.width)
        mean, index = np.empty(shape, np.int32), np.empty(shape, np.uint8)
        groups = coded_group(k)
        self.prior.leave(k, self.features, self.mean_factor[groups], self.index_offset[groups], mean, index)
        return mean, index

    def put(self, y16: IntArray) -> None:
        """Hands in the latents of the step asked for last: int32 [M/4, h, w], symbol·16 + μ."""
        self.k, self.planes = self.k + 1, np.ascontiguousarray(y16, np.int32)


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
        self.quads = layers.linear("g_s.quads") if s.features4 else None
        self.blocks4 = layers.blocks("g_s.blocks4", s.synthesis_blocks4)
        self.patches = layers.linear("g_s.patches")
        self.quality = QualityTables(data.tables)
        self.shift = np.ascontiguousarray(data.tables["latent_shift"], np.int32)
        self.limit16 = layers.linear_data("g_s.pairs").input_limit
        self.limit8 = layers.linear_data(s.leaving8).input_limit

    @cached_property
    def patches_16_bit(self) -> Layer | None:
        """The last layer with the bits that samples of 16 bits need; None if it has not got them."""
        layer = with_16_bit_samples(self.layers.linear_data("g_s.patches"))
        if layer is None or int(np.abs(layer.bias).max()) >= 1 << 31:
            return None
        bias, shift = layer.bias.astype(np.int32), layer.shift.astype(np.int32)
        whole = LinearData(layer.weight, bias, shift, layer.limit, layer.input_limit, False)
        return self.layers.kernels.linear("g_s.patches of 16 bits", whole)

    def __call__(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        return self._samples(self.patches, self._features(y16, quality16), np.uint8)

    def samples_16_bit(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: this model's last layer has too few fractional bits.
        """
        if self.patches_16_bit is None:
            raise no_16_bit_samples()
        x = self._samples(self.patches_16_bit, self._features(y16, quality16), np.int32)
        np.clip(x + (128 << SHIFT_16_BIT), 0, 255 << SHIFT_16_BIT, out=x)
        x *= 257
        x += 1 << (SHIFT_16_BIT - 1)
        x >>= SHIFT_16_BIT
        return x

    def _samples(self, layer: Layer, f: Grid, dtype: type[np.uint8 | np.int32]) -> IntArray:
        (rows, columns), side = f.size, self.settings.last_side
        out = np.empty((side * rows, side * columns, 3), dtype)
        self.layers.kernels.functions.samples(
            layer, f.values, f.border, out, side, dtype is np.int32, self.layers.threads
        )
        return out

    def _features(self, y16: IntArray, quality16: int) -> Grid:
        """[h, w, M] -> what the last layer takes: 2h × 2w cells of C1 channels, or 4h × 4w of those at 1/4."""
        s, (rows, columns, latents) = self.settings, y16.shape
        f = empty_grid(rows, columns, latents, s.kernel16 // 2)
        self.layers.kernels.functions.scale_latents(
            np.ascontiguousarray(y16), self.quality.at("latent_factor", quality16), self.shift, self.limit16, f.values,
            f.border, self.layers.threads,
        )  # fmt: skip
        f = self.layers.run(self.blocks16, f)
        grid = empty_grid(2 * rows, 2 * columns, s.features, s.kernel8 // 2)
        factor = self.quality.at("feature_factor", quality16)
        f = self.layers.unfold(self.pairs, f, grid, self.limit8, factor=factor, shift=FEATURE_SHIFT)
        f = self.layers.run(self.blocks8, f)
        if self.quads is None:
            return f
        grid = empty_grid(4 * rows, 4 * columns, s.features4, s.kernel8 // 2)
        f = self.layers.unfold(self.quads, f, grid, self.layers.linear_data("g_s.quads").limit)
        return self.layers.run(self.blocks4, f)


class NativeBackend:
    """Prior, synthesis and encoder of one model; may be used from many threads at the same time.

    Args:
        data: the integers of the decoding half.
        analysis: those of the encoding half, where there are any.
        threads: for each call; None takes the processors that this process may use.
        kernels: what computes; None takes the fastest, or what ``VAECODEC_KERNELS`` names.

    Raises:
        DamagedWeightsError: layers are missing, or their sums may not fit 32 bits.
        UsageError: the environment names kernels that are not here.
    """

    name = "native"

    def __init__(
        self,
        data: ExactData,
        analysis: EncoderData | None = None,
        *,
        threads: int | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        check_data(data)
        self.data, self.encoder_data = data, analysis
        self.kernels, self.threads = kernels or find_kernels(), threads or available_threads()
        self.layers = Layers(data.layers, self.kernels, self.threads)

    @property
    def functions(self) -> Any:
        """What rounds latents and puts them together, see ``vaecodec.models.coding``."""
        return self.kernels.functions

    @property
    def largest_effort(self) -> int:
        """Up to which effort it encodes, in integers; −1 where the weights have their encoder in floats only."""
        return -1 if self.encoder_data is None else LARGEST_EXACT_EFFORT

    @cached_property
    def prior(self) -> NativePrior:
        """The prior, made ready when it is first asked for."""
        return NativePrior(self.data, self.layers)

    @cached_property
    def synthesis(self) -> NativeSynthesis:
        """The synthesis, made ready when it is first asked for."""
        return NativeSynthesis(self.data, self.layers)

    @cached_property
    def analysis(self) -> NativeAnalysis | None:
        """The encoder, made ready when it is first asked for; None where the weights have it in floats only."""
        if self.encoder_data is None:
            return None
        layers = Layers(self.encoder_data.layers, self.kernels, self.threads)
        return NativeAnalysis(self.encoder_data, layers, self.prior.lookup)

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return synthesis_halo(self.data.settings)

    @property
    def latents(self) -> int:
        """M: channels of y."""
        return self.data.settings.latents

    def hyper_indices(self, quality16: int, height: int, width: int) -> IntArray:
        """Table indices of z for a grid of ``height`` × ``width`` latents: uint8 [Z, ceil(h/4), ceil(w/4)]."""
        return self.prior.quality.hyper_indices(quality16, height, width)

    def begin(self, z: IntArray, quality16: int, height: int, width: int) -> PriorPass:
        """Starts on the symbols of z: int32 [Z, ceil(h/4), ceil(w/4)], for a grid of ``height`` × ``width`` latents."""
        return PriorPass(self.prior, z, quality16, height, width)

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        return self.synthesis(y16, quality16)

    def synthesise_16_bit(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        return self.synthesis.samples_16_bit(y16, quality16)

    def analyse(self, x: npt.NDArray[Any], cells: Rectangle, quality16: int, effort: int) -> Analysed:
        """Latents of some cells, seen with their neighbours.

        Args:
            x: samples uint8, or float32 of 0..255 from 16 bits, [H, W, 3]; H and W are multiples of 16.
            cells: which.
            quality16: 16·q.
            effort: 0, or 1 for rounding with a dead zone.

        Raises:
            UsageError: a larger effort, or weights that have their encoder in floats only: those need torch.
        """
        if self.analysis is None or effort > LARGEST_EXACT_EFFORT:
            raise UsageError(f"the native backend encodes with efforts up to {LARGEST_EXACT_EFFORT}, in integers")
        frame = Rectangle.of(x)
        seen = cells.grown(analysis_halo(self.data.settings), frame.cells())
        v = self.analysis.latents(x[seen.pixels().within(frame)], quality16, cells.seen_from(seen))
        return Analysed(v, self.analysis.hyper_symbols(v), self.analysis.dead_zone if effort > 0 else None)
