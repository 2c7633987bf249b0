"""The float models: encoder and decoder as lists of layers, posterior, likelihood, and the loss.

::

    x ─► encoder ─► μ, ln σ ─► z = μ + σ·ε ─► decoder ─► parameters of each value ─► −ln p(x | z)
                       └► KL to N(0, 1), β                    ▲ with a context: four steps, each sees
                                                              └ the pixels of those before it

How data flows is written once, in ``Flow``: the float networks here and the exact ones in ``exact.py`` share it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.models.layers import LEAK, ResidualBlock, depth_to_space, space_to_depth
from vaecodec.vae.pixels import PixelTables, hold, nodes
from vaecodec.vae.settings import (
    CELL,
    DISCRETE,
    EMBEDDING,
    LEVELS_PER_NAT,
    MEANS,
    PARTS,
    POSTERIOR_LEVELS,
    PRIOR_LEVEL,
    SPREADS,
    STEP_POSITIONS,
    Block,
    Linear,
    VaeSettings,
)

LOG_SIGMA_MIN, LOG_SIGMA_MAX = ((level - PRIOR_LEVEL) / LEVELS_PER_NAT for level in POSTERIOR_LEVELS)


class Flow(ABC):
    """How data flows through encoder and decoder, whatever carries it: [B, ...] in, [B, ...] out."""

    settings: VaeSettings

    @abstractmethod
    def run(self, name: str, x: Tensor) -> Tensor:
        """Applies the layer of this name to [..., channels]."""

    @abstractmethod
    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Adds to the stream ``decoder.half``."""

    @abstractmethod
    def embed(self, values: Tensor) -> Tensor:
        """What the context sees of values 0..255, uint8 [...]: [..., EMBEDDING]."""

    def blocks(self, name: str, x: Tensor) -> Tensor:
        """All residual blocks at one place."""
        for i in range(self.settings.blocks):
            x = self.run(f"{name}.{i}", x)
        return x

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """[B, H, W, C] of the padded size, carried -> mean [B, d] and, of a variational model, ln σ [B, d]."""
        s = self.settings
        if s.network == "dense":
            f = x.reshape(len(x), -1)
            for i in range(len(s.widths)):
                f = self.run(f"encoder.{i}", f)
        else:
            f = self.blocks("encoder.half", self.run("encoder.enter", space_to_depth(x, 2)))
            f = self.blocks("encoder.quarter", self.run("encoder.down", space_to_depth(f, 2)))
            f = self.run("encoder.squeeze", f).reshape(len(x), -1)
        return self.run("encoder.mean", f), self.run("encoder.spread", f) if s.variational else None

    def from_latents(self, z: Tensor) -> Tensor:
        """[B, d] -> parameters [B, H, W, C·P] of the padded size; with a context, features [B, H/2, W/2, half]."""
        s = self.settings
        H, W = s.padded
        if s.network == "dense":
            f = z
            for i in range(len(s.widths) - 1, -1, -1):
                f = self.run(f"decoder.{i}", f)
            return self.run("decoder.leave", f).reshape(len(z), H, W, -1)
        f = self.run("decoder.enter", z).reshape(len(z), H // CELL, W // CELL, -1)
        f = self.blocks("decoder.quarter", self.run("decoder.spread", f))
        f = depth_to_space(self.run("decoder.up", f), 2)
        if s.context:
            return f
        return depth_to_space(self.run("decoder.leave", self.blocks("decoder.half", f)), 2)

    def context_step(self, k: int, f: Tensor, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step of the context.

        Args:
            k: 0 to 3.
            f: features [B, H/2, W/2, half].
            before: uint8 [B, H/2, W/2, C], the pixels of step k − 1; None for step 0.

        Returns:
            Features, and the parameters [B, H/2, W/2, C·2] of the pixels at position ``STEP_POSITIONS[k]`` of each cell.
        """
        if before is not None:
            f = self.add(f, self.run(f"context.{k}.enter", self.embed(before).flatten(-2)))
        f = self.blocks(f"context.{k}.blocks", f)
        return f, self.run(f"context.{k}.leave", f)


class FloatLinear(nn.Module):
    """A matrix, and a leaky ReLU behind it where the layer says so.

    What a loss is computed from is not rounded to bfloat16: ``precise``.
    """

    def __init__(self, inputs: int, outputs: int, *, leaky: bool, precise: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.leaky, self.precise = leaky, precise

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        if self.precise:
            with torch.autocast(x.device.type, enabled=False):
                return cast(Tensor, self.linear(x.float()))
        y: Tensor = self.linear(x)
        return F.leaky_relu(y, LEAK) if self.leaky else y


@dataclass
class Terms:
    """The parts of the loss, in nats.

    Attributes:
        reconstruction: −ln p(x | z) [B], or of an autoencoder the squared error's.
        kl: [B, d], of each dimension; zeros of an autoencoder.
    """

    reconstruction: Tensor
    kl: Tensor


class VaeModel(Flow, nn.Module):
    """One float model."""

    def __init__(self, settings: VaeSettings, noise: float = 0.1) -> None:
        """Builds it with random weights.

        Args:
            settings: sizes.
            noise: standard deviation of the Gaussian that squared error stands for, with values of 0..1.
        """
        nn.Module.__init__(self)
        self.settings, self.noise = settings, noise
        self.net = nn.ModuleDict()
        streams = settings.streams()
        for layer in settings.layers():
            self.net[key(layer.name)] = (
                ResidualBlock(streams[layer.stream].channels, 2 * streams[layer.stream].channels, settings.kernel)
                if isinstance(layer, Block)
                else FloatLinear(
                    settings.inputs(layer),
                    settings.outputs(layer),
                    leaky=layer.leaky,
                    precise=layer.target in ("mean", "spread", "pixels"),
                )
            )
        self.tables = PixelTables(settings.likelihood == "tables") if settings.likelihood in DISCRETE else None
        if settings.context:
            x = torch.linspace(0, 1, 256)
            self.embedding = nn.Parameter(torch.stack([x, (x == 0).float(), (x > 0.97).float(), 4 * x * (1 - x)], 1))
            assert self.embedding.shape[1] == EMBEDDING
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Outputs begin near the middle of what they may be, posteriors near the prior."""
        s = self.settings
        for layer in s.layers():
            if isinstance(layer, Block):
                continue
            linear = self.layer(layer.name).linear
            if not isinstance(linear, nn.Linear):
                continue
            if layer.name == "encoder.spread":
                linear.weight.mul_(0.1)
                linear.bias.fill_(-1.0)
            if layer.target == "pixels" and self.tables is not None:
                linear.bias.copy_(torch.tensor([MEANS / 4, SPREADS / 2]).repeat(linear.out_features // 2))

    def layer(self, name: str) -> nn.Module:
        """The module of a layer."""
        return self.net[key(name)]

    def run(self, name: str, x: Tensor) -> Tensor:
        """Applies a layer."""
        return cast(Tensor, self.layer(name)(x))

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Adds to a stream."""
        return x + y

    def embed(self, values: Tensor) -> Tensor:
        """Uint8 [...] -> [..., EMBEDDING]."""
        return F.embedding(values.to(torch.int64), self.embedding)

    def to_network(self, items: Tensor) -> Tensor:
        """Uint8 [B, height, width, C] -> float [B, H, W, C] in 0..1, extended with zeros to the padded size."""
        return pad(items, self.settings).float() / 255

    def encode(self, items: Tensor) -> tuple[Tensor, Tensor | None]:
        """Uint8 [B, height, width, C] -> mean [B, d], and ln σ [B, d] of a variational model."""
        mean, log_sigma = self.posterior(self.to_network(items))
        if log_sigma is None:
            return mean.float(), None
        return mean.float(), hold(log_sigma.float(), LOG_SIGMA_MIN, LOG_SIGMA_MAX)

    def terms(self, items: Tensor, generator: torch.Generator | None = None) -> Terms:
        """The loss of uint8 [B, height, width, C] with one draw from the posterior."""
        mean, log_sigma = self.encode(items)
        if log_sigma is None:
            z, kl = mean, torch.zeros_like(mean)
        else:
            epsilon = torch.randn(mean.shape, generator=generator)
            z = mean + log_sigma.exp() * epsilon
            kl = gaussian_kl(mean, log_sigma)
        return Terms(self.reconstruction(z, items), kl)

    def reconstruction(self, z: Tensor, items: Tensor) -> Tensor:
        """−ln p(x | z) [B], of latents [B, d] and uint8 [B, height, width, C]."""
        s, B = self.settings, len(items)
        out = self.from_latents(z)
        if s.context:
            cost = torch.zeros(B)
            cells, inside = split_positions(pad(items, s)), inside_positions(s)
            f, before = out, None
            for k, position in enumerate(STEP_POSITIONS):
                f, parameters = self.context_step(k, f, before)
                before = cells[position]
                cost = cost + (self._pixel_cost(parameters, before) * inside[position]).flatten(1).sum(1)
            return cost
        out = out[:, : s.height, : s.width].float()
        if self.tables is not None:
            return self._pixel_cost(out, items).flatten(1).sum(1)
        x = items.float() / 255
        if s.likelihood == "bernoulli":
            cost = F.binary_cross_entropy_with_logits(out, x, reduction="none")
        else:
            cost = 0.5 * ((out - x) / self.noise).square()
        return cost.flatten(1).sum(1)

    def _pixel_cost(self, parameters: Tensor, values: Tensor) -> Tensor:
        assert self.tables is not None
        return self.tables.cost(_pairs(parameters), values)

    @torch.no_grad()
    def decode(self, z: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """[B, d] -> values in 0..255, float [B, height, width, C]: the mean; with a context a draw, step by step."""
        s = self.settings
        out = self.from_latents(z)
        if s.context:
            assert self.tables is not None
            probabilities = self.tables.probabilities()
            cells: list[Tensor | None] = [None] * PARTS
            f, before = out, None
            for k, position in enumerate(STEP_POSITIONS):
                f, parameters = self.context_step(k, f, before)
                chosen = probabilities[nodes(_pairs(parameters))]
                drawn = torch.multinomial(chosen.reshape(-1, 256), 1, generator=generator)
                before = drawn.reshape(chosen.shape[:-1]).to(torch.uint8)
                cells[position] = before
            whole = join_positions(cast("list[Tensor]", cells))
            return whole[:, : s.height, : s.width].float()
        out = out[:, : s.height, : s.width].float()
        if self.tables is not None:
            return self.tables.means(_pairs(out))
        return 255 * (out.sigmoid() if s.likelihood == "bernoulli" else out.clamp(0, 1))


def _pairs(parameters: Tensor) -> Tensor:
    """[..., C·2] -> [..., C, 2]."""
    return parameters.reshape(*parameters.shape[:-1], -1, 2)


def key(name: str) -> str:
    """Module names have no dots."""
    return name.replace(".", "/")


def gaussian_kl(mean: Tensor, log_sigma: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) in nats, in closed form: (μ² + σ² − 1)/2 − ln σ (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + (2 * log_sigma).exp() - 1) - log_sigma


def loss_of(terms: Terms, beta: float, free_bits: float) -> Tensor:
    """Reconstruction + β·KL, mean over items, in nats.

    Args:
        terms: of a batch.
        beta: weight of the KL.
        free_bits: bits per dimension and item, in the mean over the batch, that cost nothing (Kingma et al. 2016).
    """
    kl = terms.kl.mean(0)
    if free_bits > 0:
        kl = kl.clamp_min(free_bits * math.log(2))
    return terms.reconstruction.mean() + beta * kl.sum()


def pad(items: Tensor, s: VaeSettings) -> Tensor:
    """[B, height, width, C] -> the padded size, with zeros at the right and at the bottom."""
    H, W = s.padded
    return items if (s.height, s.width) == (H, W) else F.pad(items, (0, 0, 0, W - s.width, 0, H - s.height))


def split_positions(x: Tensor) -> list[Tensor]:
    """[B, H, W, C] -> the four [B, H/2, W/2, C] at the positions 2·row + column of every cell."""
    return [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


def join_positions(cells: list[Tensor]) -> Tensor:
    """The inverse of :func:`split_positions`."""
    return depth_to_space(torch.cat(cells, dim=-1), 2)


def inside_positions(s: VaeSettings) -> list[Tensor]:
    """Which of :func:`split_positions` lie inside of an item: bool [1, H/2, W/2, 1] each."""
    H, W = s.padded
    inside = torch.zeros((1, H, W, 1), dtype=torch.bool)
    inside[:, : s.height, : s.width] = True
    return split_positions(inside)


def linear_of(model: VaeModel, layer: Linear) -> nn.Linear:
    """The matrix of a layer."""
    return cast(nn.Linear, model.layer(layer.name).linear)
