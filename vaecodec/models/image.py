"""The image model in float: what is trained, and what the exact decoder is made from.

::

    x ─► g_a ─► y ─► v = y·gain ─► ŷ = round(v − μ) + μ ─► g_s(ŷ·inverse gain) ─► x̂
                       │                  ▲ │
                       ▼                  │ ▼
                      h_a ─► z ─► ẑ ─► h_s ─► four steps of context ─► μ, σ

Latents before the prior are in steps; y itself is in units of samples (0..255), the transform being orthonormal at the start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.exact.steps import STEPS, coded_group, coding_step
from vaecodec.exact.tables import SIGMA_MAX, SIGMA_MIN
from vaecodec.models.layers import (
    PositionLinear,
    ResidualBlock,
    depth_to_space,
    join_cells,
    space_to_depth,
    split_cells,
)
from vaecodec.models.settings import PATCH, QUAD, STRIDE, ImageSettings, log_lambdas

SAMPLE_MIDDLE = 128.0
SAMPLE_SCALE = 64.0
"""Samples enter the networks as (x − 128)/64: with larger numbers a step of Adam moves whole coefficients."""

"""Range of the standard deviations that the coder's tables cover, in steps."""

MEAN_LIMIT = 4.0
"""Means reach at most this many standard deviations of their channel."""

PROBABILITY_FLOOR = 2.0**-18


class Analysis(nn.Module):
    """g_a: samples to latents. [B, H, W, 3] in (x−128)/64 -> y: [B, H/16, W/16, M] in sample units."""

    def __init__(self, s: ImageSettings) -> None:
        super().__init__()
        self.patches = nn.Linear(3 * PATCH * PATCH, s.features)
        self.blocks8 = nn.Sequential(
            *(ResidualBlock(s.features, s.hidden8, s.kernel8) for _ in range(s.analysis_blocks8))
        )
        self.pairs = nn.Linear(4 * s.features, s.latents)
        self.blocks16 = nn.Sequential(
            *(ResidualBlock(s.latents, s.hidden16, s.kernel16) for _ in range(s.analysis_blocks16))
        )
        self.log_scale = nn.Parameter(torch.zeros(s.latents))

    def forward(self, x: Tensor, vector: Tensor) -> Tensor:
        """``vector``: [B, C1], multiplies the features at 1/8 (quality)."""
        f = self.patches(space_to_depth(x, PATCH))
        f = self.blocks8(f * vector[:, None, None])
        f = self.blocks16(self.pairs(space_to_depth(f, 2)))
        y: Tensor = f.float() * (SAMPLE_SCALE * self.log_scale.exp())
        return y


class Synthesis(nn.Module):
    """g_s: latents to samples. ŷ: [B, h, w, M] in sample units -> [B, 16h, 16w, 3] in (x−128)/64."""

    def __init__(self, s: ImageSettings) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(s.latents))
        self.blocks16 = nn.Sequential(
            *(ResidualBlock(s.latents, s.hidden16, s.kernel16) for _ in range(s.synthesis_blocks16))
        )
        self.pairs = nn.Linear(s.latents, 4 * s.features)
        self.blocks8 = nn.Sequential(
            *(ResidualBlock(s.features, s.synthesis_hidden8(i), s.kernel8) for i in range(s.synthesis_blocks8))
        )
        if s.features4:
            self.quads = nn.Linear(s.features, 4 * s.features4)
            self.blocks4 = nn.Sequential(
                *(ResidualBlock(s.features4, s.hidden4, s.kernel8) for _ in range(s.synthesis_blocks4))
            )
        self.side = s.last_side
        self.patches = nn.Linear(s.features4 or s.features, 3 * self.side**2)

    def forward(self, y: Tensor, vector: Tensor) -> Tensor:
        """``vector``: [B, C1], multiplies the features at 1/8 (quality)."""
        f = self.blocks16(y * (self.log_scale.exp() / SAMPLE_SCALE))
        f = depth_to_space(self.pairs(f), 2)
        f = self.blocks8(f * vector[:, None, None])
        if self.side == QUAD:
            f = self.blocks4(depth_to_space(self.quads(f), 2))
        return depth_to_space(self.patches(f).float(), self.side)

    @property
    def leaving8(self) -> nn.Linear:
        """The layer that takes the features at 1/8 to larger sides."""
        return self.quads if self.side == QUAD else self.patches

    @torch.no_grad()
    def patch_matrix(self) -> Tensor:
        """What a linear layer that draws 8×8 patches would have as its weight, blocks at 1/4 left out: [192, C1]."""
        if self.side == PATCH:
            return self.patches.weight
        cells = self.patches.weight @ self.quads.weight.reshape(4, self.patches.in_features, -1)
        return cells.reshape(2, 2, QUAD, 3 * QUAD, -1).transpose(1, 2).reshape(3 * PATCH**2, -1)

    @torch.no_grad()
    def draw_patches(self, weight: Tensor, bias: Tensor) -> None:
        """Makes what follows the features at 1/8 a linear layer that draws 8×8 patches: [192, C1] and [192]."""
        if self.side == PATCH:
            self.patches.weight.copy_(weight)
            self.patches.bias.copy_(bias)
            return
        samples = 3 * QUAD**2
        self.patches.weight.copy_(torch.eye(samples, self.patches.in_features))
        self.patches.bias.zero_()
        for target, rows in ((self.quads.weight, weight), (self.quads.bias, bias[:, None])):
            cells = rows.reshape(2, QUAD, 2, 3 * QUAD, -1).transpose(1, 2).reshape(4, samples, -1)
            target.view(4, -1, cells.shape[-1])[:, :samples] = cells


class HyperAnalysis(nn.Module):
    """h_a: latents in steps, [B, h, w, M] with h, w multiples of 4 -> z: [B, h/4, w/4, Z]."""

    def __init__(self, s: ImageSettings) -> None:
        super().__init__()
        P = s.prior_width
        self.enter = nn.Linear(s.latents, P)
        self.block16 = ResidualBlock(P, 2 * P, s.prior_kernel)
        self.down32 = nn.Linear(4 * P, P)
        self.block32 = ResidualBlock(P, 2 * P, s.prior_kernel)
        self.down64 = nn.Linear(4 * P, s.hyper_latents)
        # z starts as nearly nothing: what it costs must be earned.
        nn.init.normal_(self.down64.weight, std=0.1 / (4 * P) ** 0.5)
        nn.init.zeros_(self.down64.bias)

    def forward(self, v: Tensor) -> Tensor:
        """``v`` = y·gain, in steps."""
        f = self.block16(F.leaky_relu(self.enter(torch.asinh(v)), 0.125))
        f = self.block32(F.leaky_relu(self.down32(space_to_depth(f, 2)), 0.125))
        z: Tensor = self.down64(space_to_depth(f, 2))
        return z.float()


class HyperSynthesis(nn.Module):
    """h_s: ẑ: [B, h/4, w/4, Z] -> features of the prior [B, h, w, P]."""

    def __init__(self, s: ImageSettings) -> None:
        super().__init__()
        P = s.prior_width
        self.up32 = nn.Linear(s.hyper_latents, 4 * P)
        self.block32 = ResidualBlock(P, 2 * P, 3)
        self.up16 = nn.Linear(P, 4 * P)

    def forward(self, z: Tensor, vector: Tensor) -> Tensor:
        """``vector``: [B, P], added at 1/16 (quality)."""
        f = F.leaky_relu(depth_to_space(self.up32(z), 2), 0.125)
        return depth_to_space(self.up16(self.block32(f)), 2) + vector[:, None, None]


class ContextStep(nn.Module):
    """One of the four steps: sees the features so far and the latents just decoded, gives μ and log σ of the next."""

    def __init__(self, s: ImageSettings, *, first: bool) -> None:
        super().__init__()
        group = s.latents // STEPS
        self.enter = None if first else PositionLinear(group, s.prior_width, scale=0.5)
        self.blocks = nn.Sequential(
            *(ResidualBlock(s.prior_width, 2 * s.prior_width, s.prior_kernel) for _ in range(s.prior_blocks))
        )
        self.leave = PositionLinear(s.prior_width, 2 * group, scale=0.05)

    def forward(self, f: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """``f``: [B, h, w, P]; ``context``: asinh of the latents coded last, [4, N, M/4] -> f, [4, N, M/2]."""
        B, h, w, _ = f.shape
        if self.enter is not None and context is not None:
            f = f + join_cells(self.enter(context), B, h, w)
        f = self.blocks(f)
        return f, self.leave(F.leaky_relu(split_cells(f), 0.125)).float()


@dataclass
class ForwardOutput:
    """What one pass in training gives: samples, and bits per picture."""

    x_hat: Tensor
    """[B, H, W, 3], samples 0..255, float32, not clipped."""
    bits_y: Tensor
    """[B]."""
    bits_z: Tensor
    """[B]."""


def gaussian_bits(v: Tensor, sigma: Tensor) -> Tensor:
    """−log2 of the probability that N(0, σ²) gives a value in v ± 1/2; float32, floor of 2^-18."""
    inverse = math.sqrt(0.5) / sigma
    a = v.abs()
    p = 0.5 * (torch.erf((a + 0.5) * inverse) - torch.erf((a - 0.5) * inverse))
    return -torch.log2(p.clamp_min(PROBABILITY_FLOOR))


class _BoundBelow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        (gradient,) = gradients
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def bound_below(x: Tensor, bound: float) -> Tensor:
    """max(x, bound); below the bound the gradient passes where it would raise x (Ballé et al. 2018, appendix)."""
    return cast(Tensor, _BoundBelow.apply(x, bound))  # type: ignore[no-untyped-call]


def straight_through(v: Tensor) -> Tensor:
    """Rounds to the nearest integer; the gradient passes as if it had not."""
    return v + (v.round() - v).detach()


class ImageEncoder(nn.Module):
    """What only an encoder needs: g_a, h_a and their gains. Quality is q in 0..1 here (0..100 outside), one per picture."""

    log_lambda: Tensor

    def __init__(self, settings: ImageSettings) -> None:
        super().__init__()
        s = self.settings = settings
        self.g_a = Analysis(s)
        self.h_a = HyperAnalysis(s)
        log_lambda = torch.tensor(log_lambdas(s))[:, None]
        # Log-linear while training; a finished model may have its qualities laid out anew.
        self.register_buffer("log_lambda", log_lambda[:, 0].clone())
        # High-rate theory: with rate −3·log2 Δ bits and distortion Δ²/12 per pixel, d(R + λD)/dΔ = 0 at Δ² = 18/(λ ln 2).
        self.log_gain = nn.Parameter((0.5 * (log_lambda + math.log(math.log(2) / 18))).repeat(1, s.latents))
        self.analysis_vector = nn.Parameter(torch.zeros(s.anchors, s.features))

    def at_quality(self, table: Tensor, q: Tensor) -> Tensor:
        """Linear interpolation of a table over the anchors: [A, C], q: [B] in 0..1 -> [B, C]."""
        t = q * (table.shape[0] - 1)
        i = t.floor().clamp(0, table.shape[0] - 2).long()
        w = (t - i)[:, None]
        return torch.lerp(table[i], table[i + 1], w)

    def lambda_at(self, q: Tensor) -> Tensor:
        """λ of quality q (0..1): [B] -> [B]."""
        return self.at_quality(self.log_lambda[:, None], q)[:, 0].exp()

    def gain(self, q: Tensor) -> Tensor:
        """[B] -> [B, M]: steps per sample unit."""
        return self.at_quality(self.log_gain, q).exp()

    def analyse(self, x: Tensor, q: Tensor) -> Tensor:
        """x: [B, H, W, 3] samples 0..255, H and W multiples of 16 -> v = y·gain: [B, H/16, W/16, M], in steps."""
        x = (x.float() - SAMPLE_MIDDLE) / SAMPLE_SCALE
        y: Tensor = self.g_a(x, self.at_quality(self.analysis_vector, q).exp())
        return y * self.gain(q)[:, None, None]

    @property
    def halo(self) -> int:
        """Pixels around a tile that its latents depend on, a multiple of 16."""
        s = self.settings
        at16 = s.analysis_blocks16 * (s.kernel16 // 2) * STRIDE
        at8 = s.analysis_blocks8 * (s.kernel8 // 2) * PATCH
        return -(-(at16 + at8) // STRIDE) * STRIDE


class ImageModel(ImageEncoder):
    """The whole model: transforms, prior and the tables over quality."""

    channel_std: Tensor

    def __init__(self, settings: ImageSettings) -> None:
        super().__init__(settings)
        s = settings
        self.g_s = Synthesis(s)
        self.h_s = HyperSynthesis(s)
        self.context = nn.ModuleList(ContextStep(s, first=k == 0) for k in range(STEPS))
        self.log_inverse_gain = nn.Parameter(-self.log_gain.detach())
        self.synthesis_vector = nn.Parameter(torch.zeros(s.anchors, s.features))
        self.prior_vector = nn.Parameter(torch.zeros(s.anchors, s.prior_width))
        self.log_sigma_z = nn.Parameter(torch.full((s.anchors, s.hyper_latents), math.log(0.2)))
        self.register_buffer("channel_std", torch.ones(s.latents))

    def synthesise(self, y_hat: Tensor, q: Tensor) -> Tensor:
        """ŷ: [B, h, w, M] in steps -> samples [B, 16h, 16w, 3], 0..255, not clipped."""
        y = y_hat * self.at_quality(self.log_inverse_gain, q).exp()[:, None, None]
        x: Tensor = self.g_s(y, self.at_quality(self.synthesis_vector, q).exp())
        return x * SAMPLE_SCALE + SAMPLE_MIDDLE

    def split_groups(self, v: Tensor) -> Tensor:
        """[B, h, w, M] -> [step 4, position 4, N, M/4]: what is coded in each step at each position of a cell."""
        cells = split_cells(v)
        cells = cells.reshape(4, cells.shape[1], STEPS, -1)
        return torch.stack([torch.stack([cells[p, :, g] for p, g in enumerate(coded_group(k))]) for k in range(STEPS)])

    def join_groups(self, steps: Tensor, B: int, h: int, w: int) -> Tensor:
        """The inverse of :meth:`split_groups`."""
        cells = torch.stack([torch.stack([steps[k, p] for k in coding_step(p)], dim=1) for p in range(4)])
        return join_cells(cells.reshape(4, cells.shape[1], -1), B, h, w)

    def scales(self, q: Tensor, cells: int) -> Tensor:
        """s_c·gain_c(q) laid out as :meth:`split_groups` does: [4, 4, N, M/4], in steps."""
        channel_scale = self.channel_std * self.gain(q)
        return self.split_groups(channel_scale[:, None, None].expand(-1, 2, 2, -1)).repeat_interleave(cells, dim=2)

    def forward(self, x: Tensor, q: Tensor, *, quantise: bool = False) -> ForwardOutput:
        """One pass in training: uniform noise for the rate, straight-through rounding for distortion and context.

        Args:
            x: [B, H, W, 3] samples 0..255 (uint8 or float), H and W multiples of 64.
            q: [B], 0..1.
            quantise: rounding instead of noise for the rate too: what a file would have.
        """
        v = self.analyse(x, q)
        B, h, w, _ = v.shape
        z = self.h_a(v)
        sigma_z = self.at_quality(self.log_sigma_z, q).exp().clamp_min(SIGMA_MIN)[:, None, None]
        z_rate = z.round() if quantise else z + torch.rand_like(z) - 0.5
        bits_z = gaussian_bits(z_rate, sigma_z).flatten(1).sum(1)
        f = self.h_s(straight_through(z), self.at_quality(self.prior_vector, q))

        groups = self.split_groups(v)
        channel_scale = self.scales(q, groups.shape[2] // B)
        log_channel_scale = channel_scale.log()
        context, decoded, bits = None, [], []
        for k, step in enumerate(self.context):
            f, parameters = step(f, context)
            mean, log_sigma = parameters.chunk(2, dim=-1)
            mean = mean.clamp(-MEAN_LIMIT, MEAN_LIMIT) * channel_scale[k]
            log_sigma = (log_sigma + log_channel_scale[k]).clamp_max(math.log(SIGMA_MAX))
            sigma = bound_below(log_sigma, math.log(SIGMA_MIN)).exp()
            residual = groups[k] - mean
            rounded = residual.round()
            bits.append(gaussian_bits(rounded if quantise else residual + torch.rand_like(residual) - 0.5, sigma))
            y_hat = groups[k] + (rounded - residual).detach()
            decoded.append(y_hat)
            context = torch.asinh(y_hat)
        per_picture = torch.stack(bits).reshape(4, 4, B, -1).sum((0, 1, 3))
        y_hat = self.join_groups(torch.stack(decoded), B, h, w)
        return ForwardOutput(self.synthesise(y_hat, q), per_picture, bits_z)
