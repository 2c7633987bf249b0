"""The decoding half of the image model in exact integers: prior and synthesis.

::

    ẑ ─► h_s ─► features ─┬► step 0 ─► μ, index ──► (coder) ─► ŷ of step 0 ─┐
                          └► step 1 ◄───────────────────────────────────────┘ … step 3 ─► ŷ ─► g_s ─► samples

The encoder runs the same code, so that what it codes is what a decoder sees. Nothing here is a float: tensors carry
integers, as ``vaecodec.exact`` explains. Latents are in sixteenths of a step (``y16``).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import IntArray
from vaecodec.exact.layers import ExactLinear, leaky_integers
from vaecodec.exact.network import LayerSet, first_exact
from vaecodec.exact.steps import STEPS, coded_group
from vaecodec.models.decoder_data import (
    CERTAIN_BELOW,
    CONTEXT_CLAMP,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    INDEX_LEVELS,
    INDEX_SHIFT,
    LATENT_CLAMP,
    MEAN_SHIFT,
    SHIFT_16_BIT,
    ExactData,
    QualityTables,
    check_data,
    no_16_bit_samples,
    synthesis_halo,
    with_16_bit_samples,
)
from vaecodec.models.layer_list import layer_shapes
from vaecodec.models.layers import depth_to_space, join_cells, split_cells
from vaecodec.models.settings import Z_STRIDE


class Layers(LayerSet):
    """The layers of one image model, built for one arithmetic and device."""

    def __init__(self, data: ExactData, arithmetic: Arithmetic, device: torch.device) -> None:
        super().__init__(layer_shapes(data.settings), data.layers, arithmetic, device)
        self.data = data


class PriorPass:
    """One picture or tile on its way through the prior: ask for a step, hand in its latents, four times."""

    def __init__(self, prior: ExactPrior, z: Tensor, quality16: int, height: int, width: int) -> None:
        self.prior, self.quality16 = prior, quality16
        self.height, self.width = height, width
        self.padded = (z.shape[0] * Z_STRIDE, z.shape[1] * Z_STRIDE)
        self.k, self.asked = 0, False
        self.context: Tensor | None = None
        with exact_guard():
            self.features = prior.start(z, quality16)
            self.mean_factor = prior.by_step(prior.quality.at("mean_factor", quality16))
            self.index_offset = prior.by_step(prior.quality.at("index_offset", quality16))

    def next(self) -> tuple[IntArray, IntArray]:
        """μ in sixteenths of a step, int32 [M/4, h, w], and table indices 0..63, uint8 [M/4, h, w], of the next step."""
        prior, k = self.prior, self.k
        self.asked = True
        with exact_guard():
            self.features, out = prior.step(k, self.features, self.context)
            mean, spread = out.to(torch.int32).chunk(2, dim=-1)
            mean = scaled_down(mean * self.mean_factor[k][:, None], MEAN_SHIFT)
            index = scaled_down(spread + self.index_offset[k][:, None], INDEX_SHIFT).clamp_(0, INDEX_LEVELS - 1)
            index = torch.where(index < CERTAIN_BELOW, 0, index).to(torch.uint8)
            return self._to_planes(mean), self._to_planes(index)

    def put(self, y16: IntArray) -> None:
        """Hands in the latents of the step asked for last: int32 [M/4, h, w], symbol·16 + μ."""
        if not self.asked or y16.dtype != np.int32:
            raise TypeError("hand in one int32 array of latents for every step asked for")
        self.k, self.asked = self.k + 1, False
        if self.k == STEPS:
            return
        with exact_guard():
            H, W = self.padded
            planes = torch.from_numpy(y16).to(self.prior.device)
            grid = F.pad(planes.permute(1, 2, 0), (0, 0, 0, W - self.width, 0, H - self.height))
            self.context = self.prior.look_up(split_cells(grid[None]))

    def _to_planes(self, cells: Tensor) -> IntArray:
        grid = join_cells(cells, 1, *self.padded)[0]
        planes: IntArray = grid[: self.height, : self.width].permute(2, 0, 1).contiguous().cpu().numpy()
        return planes


class ExactPrior:
    """The prior: from symbols of z, and the latents known so far, to means and table indices."""

    def __init__(self, layers: Layers) -> None:
        s = self.settings = layers.data.settings
        self.arithmetic, self.device = layers.arithmetic, layers.device
        self.up32 = layers.linear("h_s.up32")
        self.block32 = layers.block("h_s.block32")
        self.up16 = layers.linear("h_s.up16")
        self.enter = [layers.linear(f"context.{k}.enter") if k else None for k in range(STEPS)]
        self.blocks = [layers.blocks(f"context.{k}.blocks", s.prior_blocks) for k in range(STEPS)]
        self.leave = [layers.linear(f"context.{k}.leave") for k in range(STEPS)]
        self.quality = QualityTables(layers.data.tables)
        self.asinh = torch.from_numpy(np.asarray(layers.data.tables["asinh"], np.int64)).to(
            self.device, self.arithmetic.dtype
        )
        self.stream_limit = self.up16.data.limit

    @property
    def latents(self) -> int:
        """M: channels of y."""
        return self.settings.latents

    def hyper_indices(self, quality16: int, height: int, width: int) -> IntArray:
        """Table indices of z for a grid of ``height`` × ``width`` latents: uint8 [Z, ceil(h/4), ceil(w/4)]."""
        return self.quality.hyper_indices(quality16, height, width)

    def begin(self, z: IntArray, quality16: int, height: int, width: int) -> PriorPass:
        """Starts on the symbols of z: int [Z, ceil(h/4), ceil(w/4)], for a grid of ``height`` × ``width`` latents."""
        grid = np.clip(np.asarray(z, np.int64), -HYPER_LIMIT, HYPER_LIMIT).transpose(1, 2, 0)
        carried = torch.from_numpy(np.ascontiguousarray(grid)).to(self.device, self.arithmetic.dtype)
        return PriorPass(self, carried, quality16, height, width)

    def start(self, z: Tensor, quality16: int) -> Tensor:
        """[h/4, w/4, Z] -> features [1, h, w, P]."""
        f = depth_to_space(self.up32(z[None]), 2)
        f = depth_to_space(self.up16(self.block32(f)), 2)
        vector = torch.from_numpy(self.quality.at("prior_vector", quality16)).to(self.device, self.arithmetic.dtype)
        return (f + vector).clamp_(-self.stream_limit, self.stream_limit)

    def step(self, k: int, f: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """Features [1, h, w, P] and the looked-up latents of step k−1, [4, N, M/4] -> features, [4, N, M/2]."""
        enter = self.enter[k]
        if enter is not None and context is not None:
            f = (f + join_cells(enter(context), 1, f.shape[1], f.shape[2])).clamp_(
                -self.stream_limit, self.stream_limit
            )
        for block in self.blocks[k]:
            f = block(f)
        return f, self.leave[k](leaky_integers(split_cells(f), self.arithmetic))

    def look_up(self, y16: Tensor) -> Tensor:
        """64·asinh of latents, from the table: int32 sixteenths of a step -> carried integers."""
        return self.asinh[y16.clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP) + CONTEXT_CLAMP]

    def by_step(self, row: IntArray) -> list[Tensor]:
        """A row over the M channels -> for each step [4, M/4]: what each position of a cell codes in it."""
        groups = torch.from_numpy(row).reshape(STEPS, -1).to(self.device)
        return [groups[coded_group(k)] for k in range(STEPS)]


class ExactSynthesis:
    """g_s: from latents to samples."""

    def __init__(self, layers: Layers) -> None:
        s = self.settings = layers.data.settings
        self.arithmetic, self.device = layers.arithmetic, layers.device
        self.blocks16 = layers.blocks("g_s.blocks16", s.synthesis_blocks16)
        self.pairs = layers.linear("g_s.pairs")
        self.blocks8 = layers.blocks("g_s.blocks8", s.synthesis_blocks8)
        self.quads = layers.linear("g_s.quads") if s.features4 else None
        self.blocks4 = layers.blocks("g_s.blocks4", s.synthesis_blocks4)
        self.patches = layers.linear("g_s.patches")
        layer = with_16_bit_samples(self.patches.data)
        self.patches_16_bit = (
            None if layer is None else ExactLinear("g_s.patches of 16 bits", layer, self.arithmetic, self.device)
        )
        self.quality = QualityTables(layers.data.tables)
        self.shift = torch.from_numpy(np.asarray(layers.data.tables["latent_shift"], np.int32)).to(self.device)
        self.half = (torch.ones_like(self.shift) << self.shift) >> 1
        self.limit16 = self.pairs.data.input_limit
        self.limit8 = (self.quads or self.patches).data.input_limit

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return synthesis_halo(self.settings)

    def __call__(self, y16: Tensor, quality16: int) -> Tensor:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        with exact_guard():
            x = self.patches(self._features(y16, quality16)).add_(128).clamp_(0, 255).to(torch.uint8)
            return depth_to_space(x, self.settings.last_side)[0]

    def samples_16_bit(self, y16: Tensor, quality16: int) -> Tensor:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        The same network: its last layer keeps SHIFT_16_BIT more bits of the same sums.

        Raises:
            UnsupportedPictureError: this model's last layer has too few fractional bits.
        """
        if self.patches_16_bit is None:
            raise no_16_bit_samples()
        with exact_guard():
            x = self.patches_16_bit(self._features(y16, quality16))
            x = depth_to_space(x, self.settings.last_side)[0].to(torch.int32)
            x = (x + (128 << SHIFT_16_BIT)).clamp_(0, 255 << SHIFT_16_BIT)
            return (x * 257 + (1 << (SHIFT_16_BIT - 1))) >> SHIFT_16_BIT

    def _features(self, y16: Tensor, quality16: int) -> Tensor:
        """int32 [h, w, M] -> what the last layer takes, [1, 2h, 2w, C1] or [1, 4h, 4w, channels at 1/4]."""
        if y16.dtype is not torch.int32:
            raise TypeError(f"latents are int32 sixteenths of a step, not {y16.dtype}")
        dtype = self.arithmetic.dtype
        factor = torch.from_numpy(self.quality.at("latent_factor", quality16)).to(self.device)
        f32 = y16.clamp(-LATENT_CLAMP, LATENT_CLAMP).mul_(factor).add_(self.half).bitwise_right_shift_(self.shift)
        f = f32.clamp_(-self.limit16, self.limit16)[None].to(dtype)
        for block in self.blocks16:
            f = block(f)
        f = depth_to_space(self.pairs(f), 2)
        factor = torch.from_numpy(self.quality.at("feature_factor", quality16)).to(self.device)
        # Beyond 2^24: in 32-bit integers, whatever carries the rest.
        f = scaled_down(f.to(torch.int32).mul_(factor), FEATURE_SHIFT).clamp_(-self.limit8, self.limit8).to(dtype)
        for block in self.blocks8:
            f = block(f)
        if self.quads is not None:
            f = depth_to_space(self.quads(f), 2)
        for block in self.blocks4:
            f = block(f)
        return f


def scaled_down(x: Tensor, shift: int) -> Tensor:
    """round(x·2^−shift), halves upwards, in place: int32."""
    return x.add_(1 << (shift - 1)).bitwise_right_shift_(shift)


def build_layers(data: ExactData, device: torch.device, arithmetic: Arithmetic | None = None) -> Layers:
    """Builds the layers as :func:`vaecodec.exact.network.first_exact` does, and raises what that raises."""
    check_data(data)
    return first_exact(partial(Layers, data), device, arithmetic)
