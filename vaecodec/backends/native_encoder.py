"""The encoding half of the image model by the native core: from samples to latents before rounding, and to the symbols of z.

Features are grids, as in ``native_backend``. No torch here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.backends.native_layers import Grid, Layers, empty_grid
from vaecodec.exact.integers import IntArray
from vaecodec.models.decoder_data import FEATURE_SHIFT, QualityTables
from vaecodec.models.encoder_data import (
    EncoderData,
    check_encoder_data,
    finer_lookup,
    patches_of,
)
from vaecodec.models.rectangle import Rectangle
from vaecodec.models.settings import PATCH, Z_STRIDE


class NativeAnalysis:
    """g_a and h_a in integers.

    Args:
        data: the integers.
        layers: the same layers, ready to be made ready.
        asinh: the table of this name of the decoding half.
    """

    def __init__(self, data: EncoderData, layers: Layers, asinh: IntArray) -> None:
        check_encoder_data(data)
        s = self.settings = data.settings
        self.layers, self.lookup = layers, finer_lookup(asinh)
        self.patches = layers.linear("g_a.patches")
        self.blocks8 = layers.blocks("g_a.blocks8", s.analysis_blocks8)
        self.pairs = layers.linear("g_a.pairs")
        self.blocks16 = layers.blocks("g_a.blocks16", s.analysis_blocks16)
        self.enter, self.block16 = layers.linear("h_a.enter"), layers.block("h_a.block16")
        self.down32, self.block32 = layers.linear("h_a.down32"), layers.block("h_a.block32")
        self.down64 = layers.linear("h_a.down64")
        self.quality = QualityTables(data.tables)
        self.shift = data.tables["gain_shift"].astype(np.int32)
        self.dead_zone = data.tables["dead_zone"].astype(np.int32)
        """int32 [64], by table index, in 256ths of a step."""
        self.limit8 = layers.linear_data("g_a.pairs").input_limit

    def latents(self, x: npt.NDArray[Any], quality16: int, cells: Rectangle | None = None) -> IntArray:
        """Samples uint8, or float32 of 0..255 from 16 bits, [H, W, 3] -> latents in 256ths of a step, int32 [h, w, M].

        Args:
            x: samples; H and W are multiples of 16.
            quality16: 16·q.
            cells: which of the [H/16, W/16] latents to return; None for all.
        """
        s, functions, threads = self.settings, self.layers.kernels.functions, self.layers.threads
        rows, columns, channels = x.shape[0] // PATCH, x.shape[1] // PATCH, PATCH * PATCH * x.shape[2]
        f = empty_grid(rows, columns, channels, 0)
        if x.dtype == np.uint8:
            functions.patches(np.ascontiguousarray(x), PATCH, f.values, f.border, threads)
        else:
            f.inside[:, :, :channels] = patches_of(x)
        factor = self.quality.at("analysis_factor", quality16)
        grid = empty_grid(rows, columns, s.features, s.kernel8 // 2)
        f = self.layers.unfold(self.patches, f, grid, self.limit8, side=1, factor=factor, shift=FEATURE_SHIFT)
        f = self.layers.run(self.blocks8, f)
        grid = empty_grid(rows // 2, columns // 2, s.latents, s.kernel16 // 2)
        f = self.layers.run(self.blocks16, self._fold("g_a.pairs", self.pairs, f, grid))
        cells = cells or Rectangle(0, 0, columns // 2, rows // 2)
        v = np.empty((cells.height, cells.width, s.latents), np.int32)
        factor = self.quality.at("gain_factor", quality16)
        functions.gain(f.values, f.border, cells.top, cells.left, factor, self.shift, v, threads)
        return v

    def hyper_symbols(self, v: IntArray) -> IntArray:
        """Latents of a tile, int32 [h, w, M] in 256ths of a step -> symbols of z, int32 [Z, ceil(h/4), ceil(w/4)]."""
        s, (rows, columns, channels) = self.settings, v.shape
        rows, columns = (-(-side // Z_STRIDE) * Z_STRIDE for side in (rows, columns))
        width, border = s.prior_width, s.prior_kernel // 2
        f = empty_grid(rows, columns, channels, 0)
        self.layers.kernels.functions.seen(v, self.lookup, f.values, f.border, self.layers.threads)
        grid = empty_grid(rows, columns, width, border)
        limit = self.layers.linear_data("h_a.enter").limit
        f = self.layers.run([self.block16], self.layers.unfold(self.enter, f, grid, limit, side=1))
        f = self._fold("h_a.down32", self.down32, f, empty_grid(rows // 2, columns // 2, width, border))
        f = self.layers.run([self.block32], f)
        f = self._fold("h_a.down64", self.down64, f, empty_grid(rows // 4, columns // 4, s.hyper_latents, 0))
        return np.ascontiguousarray(f.inside[:, :, : s.hyper_latents].transpose(2, 0, 1), np.int32)

    def _fold(self, name: str, layer: Any, x: Grid, y: Grid) -> Grid:
        return self.layers.fold(layer, x, y, self.layers.linear_data(name).limit)
