"""The VAE in exact integers: encoder and decoder, both, since bits-back coding runs the encoder when it decodes.

Nothing here is a float: tensors carry integers, as ``vaecodec.exact`` explains. Latents are whole points of a uniform
grid, 71.6 of them per unit of the standard normal prior; σ of the posterior is the index of a frozen table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.bitstream.tables import TABLES
from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import IntArray
from vaecodec.exact.layers import ExactBlock, ExactLinear
from vaecodec.exact.network import LayerSet, first_exact
from vaecodec.models.layer_list import check_integers
from vaecodec.models.weights_file import LayerData
from vaecodec.vae.networks import Flow, inside_positions, join_positions, pad, split_positions
from vaecodec.vae.settings import (
    DISCRETE,
    EMBEDDING,
    LATENT_LIMIT,
    LEVEL_UNIT,
    MEANS,
    PIXEL_LIMIT,
    POSTERIOR_LEVELS,
    PRIOR_LEVEL,
    SPREADS,
    STEP_POSITIONS,
    STREAM_LIMIT,
    WIDE_LIMIT,
    Block,
    VaeSettings,
)

NODES = MEANS * SPREADS
BANKS = NODES // TABLES
"""Tables of pixels come in four banks of 63: node n is table 1 + n mod 63 of bank n div 63."""
PIXEL_HALF_WIDTH = 128
"""Tables of pixels cover value − 128, −128 to 127; 128 does not occur."""
_HALF_LEVEL = LEVEL_UNIT // 2


@dataclass(frozen=True)
class VaeData:
    """All integers of one model, as a weights file holds them.

    Attributes:
        settings: sizes.
        layers: by name.
        tables: ``width`` [d], what one quantised step of each dimension is in sixteenths of a grid point where quality is 50;
            ``values`` [2047], of a Bernoulli model, or [252], of a discrete one: the mean value of what the decoder says;
            ``embedding`` [256, 4] of a model with context.
    """

    settings: VaeSettings
    layers: Mapping[str, LayerData]
    tables: Mapping[str, IntArray] = field(default_factory=dict)


def layer_shapes(s: VaeSettings) -> dict[str, tuple[int, ...]]:
    """Weight shape of every layer: [groups, out, in] or [channels, k, k]."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in s.layers():
        if isinstance(layer, Block):
            C = s.streams()[layer.stream].channels
            shapes[f"{layer.name}.depthwise"] = (C, s.kernel, s.kernel)
            shapes[f"{layer.name}.expand"] = (1, 2 * C, C)
            shapes[f"{layer.name}.project"] = (1, C, 2 * C)
        else:
            shapes[layer.name] = (1, s.outputs(layer), s.inputs(layer))
    return shapes


def table_shapes(s: VaeSettings) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and largest magnitude of every table."""
    shapes: dict[str, tuple[tuple[int, ...], int]] = {"width": ((s.latents,), 1 << 20)}
    if s.likelihood in DISCRETE:
        shapes["values"] = ((NODES,), 255)
    elif s.likelihood == "bernoulli":
        shapes["values"] = ((2 * PIXEL_LIMIT + 1,), 255)
    if s.context:
        shapes["embedding"] = ((256, EMBEDDING), STREAM_LIMIT)
    return shapes


class VaeLayers(LayerSet):
    """The layers of one model, built for one arithmetic and device."""

    def __init__(self, data: VaeData, arithmetic: Arithmetic, device: torch.device) -> None:
        super().__init__(layer_shapes(data.settings), data.layers, arithmetic, device)
        self.data = data


def build_vae(data: VaeData, device: torch.device, arithmetic: Arithmetic | None = None) -> VaeLayers:
    """Builds the layers in the first arithmetic that is exact here.

    Raises:
        ExactArithmeticError: none is.
        DamagedWeightsError: the bound cannot be proven, or something is missing or out of range.
    """
    check_integers({}, {}, data.tables, table_shapes(data.settings))
    return first_exact(partial(VaeLayers, data), device, arithmetic)


@dataclass(frozen=True)
class Posterior:
    """Of a batch: mean int32 [B, d] in grid points, and table index uint8 [B, d] of σ (none of an autoencoder)."""

    mean: IntArray
    index: IntArray | None


class ExactVae(Flow):
    """Encoder and decoder of one model."""

    def __init__(self, layers: VaeLayers) -> None:
        self.settings, self.arithmetic, self.device = layers.data.settings, layers.arithmetic, layers.device
        self._steps: dict[str, ExactLinear | ExactBlock] = {
            layer.name: layers.block(layer.name) if isinstance(layer, Block) else layers.linear(layer.name)
            for layer in self.settings.layers()
        }
        self.width = np.asarray(layers.data.tables["width"], np.int64)
        values = layers.data.tables.get("values")
        self._values = None if values is None else torch.from_numpy(np.asarray(values, np.int64))
        self._embedding = None
        if self.settings.context:
            table = torch.from_numpy(np.asarray(layers.data.tables["embedding"], np.int64))
            self._embedding = table.to(self.device, self.arithmetic.dtype)
        self._inside = [part.expand(-1, -1, -1, self.settings.channels) for part in inside_positions(self.settings)]

    def run(self, name: str, x: Tensor) -> Tensor:
        """Applies a layer."""
        return self._steps[name](x)

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        """Adds to the stream ``decoder.half``."""
        return (x + y).clamp_(-WIDE_LIMIT, WIDE_LIMIT)

    def embed(self, values: Tensor) -> Tensor:
        """Uint8 [...] -> integers [..., EMBEDDING]."""
        assert self._embedding is not None
        return F.embedding(values.to(torch.int64), self._embedding)

    def encode(self, items: IntArray) -> Posterior:
        """Uint8 [B, height, width, C] -> the posterior."""
        with exact_guard():
            mean, spread = self.posterior(pad(self._carry(items), self.settings))
            index = None
            if spread is not None:
                level = (spread.to(torch.int64) + (PRIOR_LEVEL * LEVEL_UNIT + _HALF_LEVEL)) >> (
                    LEVEL_UNIT.bit_length() - 1
                )
                index = level.clamp_(*POSTERIOR_LEVELS).to(torch.uint8).cpu().numpy()
            return Posterior(mean.to(torch.int32).cpu().numpy(), index)

    def decode(self, latents: IntArray) -> IntArray:
        """Grid points, int [B, d] -> mean values uint8 [B, height, width, C]; not for models with a context."""
        s = self.settings
        with exact_guard():
            out = self.from_latents(self._carry_latents(latents))[:, : s.height, : s.width]
            if s.likelihood in DISCRETE:
                assert self._values is not None
                return self._values[self._nodes(out)].to(torch.uint8).numpy()
            whole = out.to(torch.int64).cpu()
            if self._values is not None:
                whole = self._values[whole + PIXEL_LIMIT]
            return whole.clamp_(0, 255).to(torch.uint8).numpy()

    def begin(self, latents: IntArray) -> PixelSteps:
        """Starts on the pixels of items with these latents, int [B, d]: ask for tables, hand in values, step by step."""
        return PixelSteps(self, latents)

    def _carry(self, values: IntArray) -> Tensor:
        whole = _tensor(values).to(self.device)
        return whole.to(self.arithmetic.dtype)

    def _carry_latents(self, latents: IntArray) -> Tensor:
        return self._carry(np.clip(latents, -LATENT_LIMIT, LATENT_LIMIT).astype(np.int32))

    def _nodes(self, parameters: Tensor) -> Tensor:
        """Integers [..., 2·C] in 32nds of a level -> nodes of the grid of distributions [..., C], int64."""
        pairs = parameters.to(torch.int64).cpu()
        pairs = (pairs.reshape(*pairs.shape[:-1], -1, 2) + _HALF_LEVEL) >> (LEVEL_UNIT.bit_length() - 1)
        return pairs[..., 0].clamp(0, MEANS - 1) * SPREADS + pairs[..., 1].clamp(0, SPREADS - 1)


class PixelSteps:
    """A batch on its way through the likelihood: one step, or four with a context. Values are uint8, nodes are 0..251."""

    def __init__(self, vae: ExactVae, latents: IntArray) -> None:
        self.vae, self.settings = vae, vae.settings
        self.steps = len(STEP_POSITIONS) if self.settings.context else 1
        self.k = 0
        self.cells: list[Tensor] = []
        with exact_guard():
            self.features = vae.from_latents(vae._carry_latents(latents))

    def next(self) -> IntArray:
        """1 + node of every value of the next step, uint8 [B, h, w, C]; 0 beyond the edge, where nothing is coded."""
        vae, s = self.vae, self.settings
        with exact_guard():
            if not s.context:
                nodes = vae._nodes(self.features[:, : s.height, : s.width])
                return (nodes + 1).to(torch.uint8).numpy()
            before = self.cells[-1] if self.cells else None
            self.features, parameters = vae.context_step(self.k, self.features, before)
            inside = vae._inside[STEP_POSITIONS[self.k]]
            return ((vae._nodes(parameters) + 1) * inside).to(torch.uint8).numpy()

    def put(self, values: IntArray) -> None:
        """Hands in the values of the step asked for last."""
        self.cells.append(_tensor(values))
        self.k += 1

    def items(self) -> IntArray:
        """All values: uint8 [B, height, width, C]."""
        s = self.settings
        if not s.context:
            return self.cells[0].numpy()
        ordered = [self.cells[STEP_POSITIONS.index(position)] for position in range(len(STEP_POSITIONS))]
        return join_positions(ordered)[:, : s.height, : s.width].contiguous().numpy()

    def split(self, items: IntArray) -> list[IntArray]:
        """Uint8 [B, height, width, C] -> the values of each step, those beyond the edge 0."""
        if not self.settings.context:
            return [items]
        cells = split_positions(pad(_tensor(items), self.settings))
        return [cells[position].contiguous().numpy() for position in STEP_POSITIONS]


def _tensor(values: IntArray) -> Tensor:
    """Shares memory where torch allows it."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))
