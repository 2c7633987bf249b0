"""Rate–distortion optimised encoding: fits the latents of one picture to the frozen decoder, by gradients through it.

::

    v ─► soft rounding, ties sharpened ─┐                    ┌─► whole steps up or down, where they pay
         gradient of bits + λ·error ◄───┘  (``soft`` passes) └─  for themselves (``whole`` passes)  ─► v'

The decoder knows nothing of it. What is minimised is what training minimised, bits + λ·error of this very picture; the
decoder's integers are taken as floats without their floors, which gradients pass. Gradients need not be exact: the file is
written by the exact decoder afterwards, as always.

Sources: Campos et al., "Content adaptive optimization for neural image compression", 2019 (latents by gradient); Agustsson
and Theis, "Universally quantized neural compression", 2020 (soft rounding); the steps up or down are the decisions that
video encoders call rate–distortion optimised quantisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.bitstream.tables import PRECISION, escape_bits
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.steps import STEPS, coded_group, coding_step
from vaecodec.exact.tables import SIGMA_MAX, SIGMA_MIN
from vaecodec.models.decoder_data import (
    CERTAIN_BELOW,
    CONTEXT_UNIT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    INDEX_LEVELS,
    INDEX_SHIFT,
    MEAN_LIMIT_UNITS,
    MEAN_SHIFT,
    MEAN_UNIT,
    ExactData,
    QualityTables,
)
from vaecodec.models.image import bound_below, gaussian_bits
from vaecodec.models.layers import LEAK, depth_to_space, join_cells, split_cells
from vaecodec.models.perceptual import SQUARED_ERROR, Distortion
from vaecodec.models.precision import has_fast_bfloat16
from vaecodec.models.settings import Z_STRIDE


@dataclass(frozen=True)
class Passes:
    """What an effort spends: passes, forward and backward, through prior and synthesis.

    Attributes:
        soft: with soft rounding, along the gradient.
        whole: with whole symbols, single ones changed by 1.
        path: what the learning rates of the soft passes add up to, about, in steps per (bit per step); longer ones trade too much error
            for bits, unless the passes are few.
        dead_zone: in place of passes, what is hardly worth its bits is rounded to 0.
    """

    soft: int
    whole: int
    path: float = 0.005
    dead_zone: bool = False


EFFORTS = (
    Passes(0, 0), Passes(0, 0, dead_zone=True), Passes(2, 1, 0.007), Passes(5, 4), Passes(8, 6), Passes(10, 9), Passes(16, 14), Passes(24, 24),
    Passes(40, 40), Passes(80, 80),
)  # fmt: skip
"""By effort, 0 to 9; bench/README.md has what each costs and gains."""

SHARPNESS = 4.0
"""α of soft rounding: less, and the error of rounding is not seen; more, and only ties move (tried: 1, 3, 4, 5, 8)."""
MOMENTUM = 0.8
LARGEST_GRADIENT = 20.0

CURVATURE = 5.0
"""Steps are judged as if each cost so many times its own energy: others are taken at the same time, and add up with it."""
SHARE = 0.3
"""Part of the steps that pay which is taken in one pass."""
GAIN = 0.5
"""Steps that gain less, in bits, are left alone."""

_COSTED = 64
"""Costs of symbols are tabulated up to this magnitude."""
_LOG_LEVEL = math.log(SIGMA_MAX / SIGMA_MIN) / (INDEX_LEVELS - 1)


class _Linear:
    """W·x + b of an exact layer, in floats: [..., in] -> [..., out], or [4, N, in] -> [4, N, out]."""

    def __init__(self, data: LinearData, device: torch.device) -> None:
        scale = torch.from_numpy(2.0 ** -data.shift.astype(np.float64))
        weight = torch.from_numpy(data.weight.astype(np.float64)) * scale[:, :, None]
        bias = torch.from_numpy(data.bias.astype(np.float64)) * scale - 0.5 * (scale < 1)
        self.one, self.leaky = len(weight) == 1, data.leaky
        self.weight = (weight[0] if self.one else weight.transpose(1, 2)).to(device, torch.float32).contiguous()
        self.bias = (bias[0] if self.one else bias[:, None]).to(device, torch.float32)

    def __call__(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias) if self.one else torch.matmul(x, self.weight) + self.bias
        return F.leaky_relu(y, LEAK) if self.leaky else y


class _Depthwise:
    """A depthwise convolution of the exact decoder, in floats: [B, H, W, C] -> [B, H, W, C]."""

    def __init__(self, data: DepthwiseData, device: torch.device) -> None:
        scale = torch.from_numpy(2.0 ** -data.shift.astype(np.float64))
        weight = torch.from_numpy(data.weight.astype(np.float64)) * scale[:, None, None]
        bias = torch.from_numpy(data.bias.astype(np.float64)) * scale - 0.5 * (scale < 1)
        self.weight, self.bias = weight[:, None].to(device, torch.float32), bias.to(device, torch.float32)

    def __call__(self, x: Tensor) -> Tensor:
        padding, groups = self.weight.shape[-1] // 2, len(self.weight)
        return F.conv2d(x.permute(0, 3, 1, 2), self.weight, self.bias, padding=padding, groups=groups).permute(
            0, 2, 3, 1
        )


@dataclass
class _Step:
    """One step of the prior: what was decided, laid out as [4, N, M/4]."""

    values: Tensor
    symbols: Tensor
    indices: Tensor


Decide = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(target − mean, mean, σ, table index) of a step -> its values, whose gradient is wanted, and its bits."""


class RelaxedDecoder:
    """The exact decoder of one model without its floors."""

    def __init__(self, data: ExactData, half_widths: IntArray, counts: IntArray, device: torch.device) -> None:
        """Takes what the weights file holds: the integers of the decoding half and the coder's tables."""
        self.settings, self.device, self.tables = data.settings, device, QualityTables(data.tables)
        self.layers = {
            name: _Linear(layer, device) if isinstance(layer, LinearData) else _Depthwise(layer, device)
            for name, layer in data.layers.items()
        }
        self.latent_shift = torch.from_numpy(np.asarray(data.tables["latent_shift"], np.float32)).to(device)
        self.costs = torch.from_numpy(symbol_costs(half_widths, counts)).to(device)
        self.half = has_fast_bfloat16(device)
        self._energies: dict[int, Tensor] = {}

    def row(self, name: str, quality16: int) -> Tensor:
        """A row of a table over quality, as floats."""
        return torch.from_numpy(self.tables.at(name, quality16)).to(self.device, torch.float32)

    def block(self, name: str, x: Tensor) -> Tensor:
        """A residual block."""
        layers = self.layers
        return x + layers[f"{name}.project"](layers[f"{name}.expand"](layers[f"{name}.depthwise"](x)))

    def synthesise(self, y: Tensor, quality16: int) -> Tensor:
        """ŷ: [B, h, w, M] in steps -> samples [B, 16h, 16w, 3], 0..255, float32, clipped."""
        f = y * (MEAN_UNIT * self.row("latent_factor", quality16) * 2.0**-self.latent_shift)
        for i in range(self.settings.synthesis_blocks16):
            f = self.block(f"g_s.blocks16.{i}", f)
        f = depth_to_space(self.layers["g_s.pairs"](f), 2)
        f = f * (self.row("feature_factor", quality16) * 2.0**-FEATURE_SHIFT)
        for i in range(self.settings.synthesis_blocks8):
            f = self.block(f"g_s.blocks8.{i}", f)
        if self.settings.features4:
            f = depth_to_space(self.layers["g_s.quads"](f), 2)
        for i in range(self.settings.synthesis_blocks4):
            f = self.block(f"g_s.blocks4.{i}", f)
        x = depth_to_space(self.layers["g_s.patches"](f).float(), self.settings.last_side)
        return (x + 128).clamp(0, 255)

    def energies(self, quality16: int) -> Tensor:
        """[M]: squared error over all samples that one step of a latent makes, by channel."""
        if quality16 not in self._energies:
            M, side = self.settings.latents, 5
            with torch.no_grad():
                nothing = self.synthesise(torch.zeros(1, side, side, M, device=self.device), quality16)
                parts = []
                for channels in torch.split(torch.arange(M, device=self.device), 64):
                    y = torch.zeros(len(channels), side, side, M, device=self.device)
                    y[torch.arange(len(channels)), side // 2, side // 2, channels] = 1
                    parts.append(((self.synthesise(y, quality16) - nothing) ** 2).sum((1, 2, 3)))
            self._energies[quality16] = torch.cat(parts)
        return self._energies[quality16]

    def features(self, z: IntArray, quality16: int) -> Tensor:
        """Symbols of z, int [Z, h/4, w/4] -> features of the prior [1, h, w, P], without gradient."""
        with torch.no_grad():
            grid = np.clip(np.asarray(z, np.float32), -HYPER_LIMIT, HYPER_LIMIT).transpose(1, 2, 0)
            f = depth_to_space(self.layers["h_s.up32"](torch.from_numpy(grid.copy()).to(self.device)[None]), 2)
            f = depth_to_space(self.layers["h_s.up16"](self.block("h_s.block32", f)), 2)
            return f + self.row("prior_vector", quality16)

    def prior(self, v: Tensor, features: Tensor, quality16: int, decide: Decide) -> tuple[Tensor, Tensor, list[_Step]]:
        """The four steps.

        Args:
            v: [1, h, w, M] in steps; h and w are multiples of 4.
            features: of z, [1, h, w, P].
            quality16: 16·q.
            decide: what becomes of the latents of a step.

        Returns:
            Bits, ŷ [1, h, w, M] in steps, and the steps.
        """
        h, w = v.shape[1:3]
        mean_factor = self.by_step(self.row("mean_factor", quality16) * (2.0**-MEAN_SHIFT / MEAN_UNIT))
        offset = self.by_step(self.row("index_offset", quality16))
        cells = split_cells(v)
        cells = cells.reshape(4, cells.shape[1], STEPS, -1)
        f, bits = features, torch.zeros((), device=self.device)
        steps: list[_Step] = []
        for k in range(STEPS):
            if k:
                context = CONTEXT_UNIT * torch.asinh(steps[-1].values)
                f = f + join_cells(self.layers[f"context.{k}.enter"](context), 1, h, w)
            for i in range(self.settings.prior_blocks):
                f = self.block(f"context.{k}.blocks.{i}", f)
            out = self.layers[f"context.{k}.leave"](F.leaky_relu(split_cells(f), LEAK)).float()
            mean, spread = out.clamp(-MEAN_LIMIT_UNITS, MEAN_LIMIT_UNITS).chunk(2, dim=-1)
            mean = mean * mean_factor[k]
            level = (spread + offset[k]) * 2.0**-INDEX_SHIFT
            index = level.detach().round().clamp(0, INDEX_LEVELS - 1).long()
            index = torch.where(index < CERTAIN_BELOW, 0, index)
            log_sigma = math.log(SIGMA_MIN) + _LOG_LEVEL * level
            sigma = bound_below(log_sigma, math.log(SIGMA_MIN)).clamp_max(math.log(SIGMA_MAX)).exp()
            target = torch.stack([cells[p, :, g] for p, g in enumerate(coded_group(k))])
            values, step_bits = decide(target - mean, mean, sigma, index)
            bits = bits + step_bits
            steps.append(_Step(values, (values - mean).detach().round(), index))
        return bits, self.join([step.values for step in steps], h, w), steps

    def cost(self, indices: Tensor, symbols: Tensor) -> Tensor:
        """Bits of symbols under the coder's tables."""
        return self.costs[indices, symbols.long().clamp(-_COSTED, _COSTED) + _COSTED]

    def by_step(self, row: Tensor) -> list[Tensor]:
        """A row over the M channels -> for each step [4, 1, M/4]: what each position of a cell codes in it."""
        groups = row.reshape(STEPS, -1)
        return [groups[coded_group(k)][:, None] for k in range(STEPS)]

    def join(self, steps: list[Tensor], h: int, w: int) -> Tensor:
        """Four steps as [4, N, M/4] -> [1, h, w, M]."""
        groups = [torch.stack([steps[k][p] for k in coding_step(p)], dim=1) for p in range(4)]
        cells = torch.stack(groups)
        return join_cells(cells.reshape(4, cells.shape[1], -1), 1, h, w)


def symbol_costs(half_widths: IntArray, counts: IntArray) -> npt.NDArray[np.float32]:
    """Bits of the symbols −64..64 under each table: float32 [64, 129]; table 0 costs nothing, escapes as they are coded."""
    costs = np.zeros((INDEX_LEVELS, 2 * _COSTED + 1), np.float32)
    symbols = np.arange(-_COSTED, _COSTED + 1)
    start = 0
    for index, half_width in enumerate(np.asarray(half_widths).tolist(), start=1):
        bits = PRECISION - np.log2(counts[start : start + 2 * half_width + 2].astype(np.float64))
        start += 2 * half_width + 2
        excess = np.abs(symbols) - half_width - 1
        inside = bits[np.clip(symbols + half_width, 0, 2 * half_width)]
        escaped = bits[-1] + escape_bits(np.maximum(excess, 0))
        costs[index] = np.where(excess < 0, inside, escaped)
    return costs


def _soft_round(r: Tensor) -> Tensor:
    """Between identity and rounding: flat at whole numbers, steep at ties."""
    middle = torch.floor(r.detach()) + 0.5
    return middle + torch.tanh(SHARPNESS * (r - middle)) / (2 * math.tanh(SHARPNESS / 2))


@dataclass(frozen=True)
class Window:
    """What of a picture a tile's samples, and those next to it, depend on.

    Attributes:
        x: uint8 [1, 16H, 16W, 3], samples.
        v: float [1, H, W, M], latents in steps before rounding.
        rows: of the cells that are the tile's; ``columns`` likewise.
    """

    x: Tensor
    v: Tensor
    rows: slice
    columns: slice


class _Objective:
    """bits + λ·error of one tile, its neighbours' latents being what they are."""

    def __init__(
        self,
        decoder: RelaxedDecoder,
        window: Window,
        z: IntArray,
        quality16: int,
        lam: float,
        distortion: Distortion,
    ) -> None:
        self.decoder, self.window, self.quality16 = decoder, window, quality16
        self.distortion, self.lam = distortion, torch.tensor([lam], device=decoder.device)
        self.weight = lam / 3
        """Bits per unit of squared error of one sample, where distortion is the MSE."""
        self.x = window.x.float()
        h, w = window.rows.stop - window.rows.start, window.columns.stop - window.columns.start
        self.size = (h, w)
        # z covers whole cells of 4 × 4 latents; beyond the tile nothing is coded.
        self.pad = (0, 0, 0, -w % Z_STRIDE, 0, -h % Z_STRIDE)
        self.features = decoder.features(z, quality16)
        inside = F.pad(torch.ones(1, h, w, 1, device=decoder.device), self.pad)
        self.inside = split_cells(inside)

    def padded(self, v: Tensor) -> Tensor:
        """[1, h, w, M] -> whole cells."""
        return F.pad(v, self.pad)

    def prior(self, v: Tensor, decide: Decide) -> tuple[Tensor, Tensor, list[_Step]]:
        """Bits, ŷ of the tile, steps, with the tile's latents in whole cells."""
        return self.decoder.prior(v, self.features, self.quality16, decide)

    def error(self, y: Tensor) -> Tensor:
        """λ·error, in bits, of ŷ in whole cells."""
        rows, columns = self.window.rows, self.window.columns
        h, w = self.size
        H, W = self.window.v.shape[1:3]
        whole = y[:, :h, :w]
        if (h, w) != (H, W):
            whole = F.pad(whole, (0, 0, columns.start, W - columns.stop, rows.start, H - rows.stop))
            around = self.window.v.clone()
            around[:, rows, columns] = 0
            whole = whole + around
        samples = self.decoder.synthesise(whole, self.quality16)
        pixels = samples.shape[1] * samples.shape[2]
        return pixels * (self.lam * self.distortion(self.x, samples, self.lam)[0]).sum()


def refine(
    decoder: RelaxedDecoder,
    window: Window,
    z: IntArray,
    quality16: int,
    lam: float,
    passes: Passes,
    distortion: Distortion = SQUARED_ERROR,
) -> Tensor:
    """Moves the latents of a tile to where bits + λ·error is smaller.

    Args:
        decoder: of the model.
        window: samples and latents of the tile and around it.
        z: symbols of z, int32 [Z, ceil(h/4), ceil(w/4)].
        quality16: 16·q.
        lam: λ of that quality, bits per pixel per unit of MSE.
        passes: what to spend.
        distortion: what error is, as in training.

    Returns:
        v: float [1, h, w, M], to be rounded and coded as ever; the one given if none better was found.
    """
    half = torch.autocast(decoder.device.type, torch.bfloat16, enabled=decoder.half)
    with torch.inference_mode(False), torch.enable_grad(), half:
        window = replace(window, v=window.v.clone())
        objective = _Objective(decoder, window, z, quality16, lam, distortion)
        given = objective.padded(window.v[:, window.rows, window.columns])
        moved = _along_the_gradient(objective, given, passes)
        best = _by_whole_steps(objective, given, moved, passes.whole)
    h, w = objective.size
    return best[:, :h, :w].detach()


def _along_the_gradient(objective: _Objective, given: Tensor, passes: Passes) -> Tensor:
    """Soft passes: gradient descent with momentum."""

    def decide(r: Tensor, mean: Tensor, sigma: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        r = torch.where(index > 0, _soft_round(r), 0.0) * objective.inside
        return (mean + r) * objective.inside, (gaussian_bits(r, sigma) * objective.inside).sum()

    v = given.clone().requires_grad_()
    speed = torch.zeros_like(given)
    for i in range(passes.soft):
        bits, y, _ = objective.prior(v, decide)
        (gradient,) = torch.autograd.grad(bits + objective.error(y), v)
        rate = passes.path / passes.soft * (1.6 - 1.2 * i / max(1, passes.soft - 1))
        speed = MOMENTUM * speed + gradient.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
        v = (v.detach() - rate * speed).requires_grad_()
    return v.detach()


def _by_whole_steps(objective: _Objective, given: Tensor, start: Tensor, passes: int) -> Tensor:
    """Whole passes from a start; the best of all that was seen, what was given included."""
    decoder, quality16 = objective.decoder, objective.quality16
    penalty = decoder.by_step(CURVATURE * objective.weight * decoder.energies(quality16))
    chance = torch.Generator().manual_seed(quality16)

    def decide(r: Tensor, mean: Tensor, sigma: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        symbols = torch.where(index > 0, r.detach().round(), 0.0) * objective.inside
        value = ((mean.detach() + symbols) * objective.inside).requires_grad_()
        # The symbol stays, so that what moves the mean or σ under it is seen.
        return value, (gaussian_bits(value.detach() - mean, sigma) * objective.inside).sum()

    with torch.no_grad():
        _, y, steps = objective.prior(given, decide)
        best, lowest = given, _true_cost(decoder, steps) + float(objective.error(y))
    v = start
    for i in range(passes + 1):
        with torch.set_grad_enabled(i < passes):
            bits, y, steps = objective.prior(v, decide)
            error = objective.error(y)
        cost = _true_cost(decoder, steps) + float(error.detach())
        if cost < lowest:
            best, lowest = v, cost
        if i == passes:
            break
        gradients = torch.autograd.grad(bits + error, [step.values for step in steps])
        values, taken = [], []
        for step, gradient, own in zip(steps, gradients, penalty, strict=True):
            now = decoder.cost(step.indices, step.symbols)
            down = torch.where(gradient > 0, -1.0, 1.0)
            with_it = gradient * down + own + decoder.cost(step.indices, step.symbols + down) - now
            against = -gradient * down + own + decoder.cost(step.indices, step.symbols - down) - now
            change = torch.minimum(with_it, against)
            drawn = torch.rand(change.shape, generator=chance).to(change.device) < SHARE
            take = (change < -GAIN) & (step.indices > 0) & drawn
            values.append(step.values.detach() + torch.where(against < with_it, -down, down) * take)
            taken.append(take)
        h, w = v.shape[1:3]
        v = torch.where(decoder.join(taken, h, w), decoder.join(values, h, w), v)
    return best


def _true_cost(decoder: RelaxedDecoder, steps: list[_Step]) -> float:
    return sum(float(decoder.cost(step.indices, step.symbols).sum()) for step in steps)
