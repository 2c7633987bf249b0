"""The encoding half of the image model in exact integers, in torch: the same latents and symbols of z as the native core gives."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import IntArray
from vaecodec.exact.network import LayerSet, first_exact
from vaecodec.models.decoder_data import FEATURE_SHIFT, QualityTables
from vaecodec.models.encoder_data import (
    EncoderData,
    check_encoder_data,
    finer_lookup,
    patches_of,
    seen_by_hyper_analysis,
)
from vaecodec.models.exact_image import scaled_down
from vaecodec.models.layer_list import encoder_layer_shapes
from vaecodec.models.layers import space_to_depth


class ExactAnalysis:
    """g_a and h_a in integers.

    Args:
        data: the integers.
        asinh: the table of this name of the decoding half.
        device: where to compute.
        arithmetic: what carries the integers; None picks the fastest that passes the self-test.

    Raises:
        ExactArithmeticError: none passed.
        DamagedWeightsError: the bound cannot be proven, or layers are missing.
    """

    def __init__(
        self, data: EncoderData, asinh: IntArray, device: torch.device, arithmetic: Arithmetic | None = None
    ) -> None:
        check_encoder_data(data)
        s = data.settings
        layers = first_exact(partial(LayerSet, encoder_layer_shapes(s), data.layers), device, arithmetic)
        self.dtype, self.device, self.lookup = layers.arithmetic.dtype, layers.device, finer_lookup(asinh)
        self.patches, self.blocks8 = layers.linear("g_a.patches"), layers.blocks("g_a.blocks8", s.analysis_blocks8)
        self.pairs, self.blocks16 = layers.linear("g_a.pairs"), layers.blocks("g_a.blocks16", s.analysis_blocks16)
        self.enter, self.block16 = layers.linear("h_a.enter"), layers.block("h_a.block16")
        self.down32, self.block32 = layers.linear("h_a.down32"), layers.block("h_a.block32")
        self.down64 = layers.linear("h_a.down64")
        self.quality = QualityTables(data.tables)
        self.shift = torch.from_numpy(data.tables["gain_shift"].astype(np.int32)).to(self.device)

    def latents(self, x: npt.NDArray[Any], quality16: int) -> IntArray:
        """Samples uint8, or float32 of 0..255 from 16 bits, [H, W, 3] -> latents in 256ths of a step, int32 [H/16, W/16, M]."""
        with exact_guard():
            f = self.patches(self._carried(patches_of(x))).to(torch.int32)
            limit = self.pairs.data.input_limit
            f = scaled_down(f.mul_(self._row("analysis_factor", quality16)), FEATURE_SHIFT).clamp_(-limit, limit)
            f = f.to(self.dtype)
            for block in self.blocks8:
                f = block(f)
            f = self.pairs(space_to_depth(f, 2))
            for block in self.blocks16:
                f = block(f)
            v = f[0].to(torch.int32).mul_(self._row("gain_factor", quality16))
            half = (torch.ones_like(self.shift) << self.shift) >> 1
            latents: IntArray = v.add_(half).bitwise_right_shift_(self.shift).cpu().numpy()
        return latents

    def hyper_symbols(self, v: IntArray) -> IntArray:
        """Latents of a tile, int32 [h, w, M] in 256ths of a step -> symbols of z, int32 [Z, ceil(h/4), ceil(w/4)]."""
        with exact_guard():
            f = self.block16(self.enter(self._carried(seen_by_hyper_analysis(v, self.lookup))))
            f = self.block32(self.down32(space_to_depth(f, 2)))
            z = self.down64(space_to_depth(f, 2))[0].permute(2, 0, 1).to(torch.int32).cpu().numpy()
        return np.ascontiguousarray(z)

    def _carried(self, values: IntArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, self.dtype)[None]

    def _row(self, table: str, quality16: int) -> Tensor:
        return torch.from_numpy(self.quality.at(table, quality16)).to(self.device)
