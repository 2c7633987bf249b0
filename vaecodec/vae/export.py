"""From a trained float model to its weights file: ranges from items, rounding, tables fitted to real values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from vaecodec.bitstream.tables import TABLES
from vaecodec.exact.integers import IntArray
from vaecodec.exact.rounding import FloatArray
from vaecodec.exact.tables import SIGMA_MAX, blend_weight, gaussian_tables, quantise_counts
from vaecodec.models.layers import ResidualBlock
from vaecodec.models.rounding import (
    ChannelMaxima,
    Rounder,
    Stream,
    numpy,
    until_wide_enough,
)
from vaecodec.vae.exact import (
    BANKS,
    NODES,
    PIXEL_HALF_WIDTH,
    ExactVae,
    VaeData,
    build_vae,
    table_shapes,
)
from vaecodec.vae.networks import Flow, VaeModel, key, linear_of, pad, split_positions
from vaecodec.vae.pixels import VALUES, beta_binomial_tables
from vaecodec.vae.settings import (
    DISCRETE,
    LATENT_UNIT,
    LEVELS_PER_NAT,
    LOGIT_UNIT,
    PIXEL_LIMIT,
    POSTERIOR_LEVELS,
    PRIOR_LEVEL,
    STEP_POSITIONS,
    STREAM_LIMIT,
    Block,
    Linear,
)
from vaecodec.vae.weights import VaeWeights, save_vae

CALIBRATION_ITEMS = 1000
FITTED_ITEMS = 20_000
_TOGETHER = 250
_WIDTH_UNIT = 16
_PROBES = 16
"""Random directions for the decoder's sensitivity."""


class _Watching(Flow):
    """The float networks, taking note of the largest value of every channel of every stream."""

    def __init__(self, model: VaeModel, maxima: ChannelMaxima) -> None:
        self.settings, self.model, self.maxima = model.settings, model, maxima
        self._layers = {layer.name: layer for layer in self.settings.layers()}

    def run(self, name: str, x: Tensor) -> Tensor:
        layer = self._layers[name]
        y = self.model.run(name, x)
        if isinstance(layer, Block):
            self.maxima.see(layer.stream, y)
            block = cast(ResidualBlock, self.model.layer(name))
            inner = block.depthwise(x)
            self.maxima.see(f"{key(name)}.depthwise", inner)
            self.maxima.see(f"{key(name)}.expand", torch.nn.functional.leaky_relu(block.expand(inner), 0.125))
        else:
            self.maxima.see(layer.target, y.reshape(-1, self.settings.streams()[layer.target].channels))
        return y

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        total = self.model.add(x, y)
        self.maxima.see("decoder.half", total)
        return total

    def embed(self, values: Tensor) -> Tensor:
        return self.model.embed(values)

    def watch(self, items: Tensor) -> None:
        """One pass of uint8 [B, height, width, C] through everything."""
        mean, log_sigma = self.posterior(self.model.to_network(items))
        z = mean if log_sigma is None else mean + log_sigma.exp() * torch.randn(mean.shape)
        f = self.from_latents(z)
        if self.settings.context:
            cells, before = split_positions(pad(items, self.settings)), None
            for k, position in enumerate(STEP_POSITIONS):
                f, _ = self.context_step(k, f, before)
                before = cells[position]


def export_vae(model: VaeModel, items: Tensor, path: Path, *, card: Mapping[str, object]) -> VaeWeights:
    """Rounds the model, fits the coder's tables and writes the weights file; returns what was written.

    Args:
        model: trained.
        items: uint8 [N, height, width, C] of the training: they set ranges, tables and widths.
        path: file to write, replaced whole.
        card: what the weights' card says.
    """
    weights = make_weights(model, items, card)
    save_vae(weights, path)
    return weights


@torch.no_grad()
def make_weights(model: VaeModel, items: Tensor, card: Mapping[str, object]) -> VaeWeights:
    """Like :func:`export_vae`, without a file."""
    model.eval()
    calibration = items[:: max(1, len(items) // CALIBRATION_ITEMS)][:CALIBRATION_ITEMS]
    if not model.settings.variational:
        _standardise(model, calibration)
    data = round_vae(model, calibration)
    half_widths, counts = latent_tables()
    pixel_counts = None
    if model.settings.likelihood in DISCRETE:
        fitted = items[:: max(1, len(items) // FITTED_ITEMS)][:FITTED_ITEMS]
        pixel_counts = pixel_tables(model, value_histograms(data, fitted.numpy()))
    return VaeWeights(data, half_widths, counts, pixel_counts, card)


def _standardise(model: VaeModel, items: Tensor) -> None:
    """Latents of an autoencoder come to mean 0 and deviation 1: a grid that fits, and a prior to draw from."""
    mean, _ = model.encode(items)
    centre, spread = mean.mean(0), mean.std(0).clamp_min(1e-6)
    leave = first = None
    for layer in model.settings.layers():
        if isinstance(layer, Linear) and layer.target == "mean":
            leave = linear_of(model, layer)
        if isinstance(layer, Linear) and layer.source == "latents":
            first = linear_of(model, layer)
    assert leave is not None and first is not None
    leave.bias.copy_((leave.bias - centre) / spread)
    leave.weight.copy_(leave.weight / spread[:, None])
    first.bias.add_(first.weight @ centre)
    first.weight.mul_(spread)


def round_vae(model: VaeModel, items: Tensor) -> VaeData:
    """Makes the integers of the networks; ranges come from ``items``, uint8 [N, height, width, C]."""
    maxima = ChannelMaxima()
    torch.manual_seed(1)
    for x in torch.split(items, _TOGETHER):
        _Watching(model, maxima).watch(x)
    rounder = until_wide_enough(maxima, lambda: _round_layers(model, maxima))
    layers = {name.removeprefix("net.").replace("/", "."): data for name, data in rounder.layers.items()}
    layers = {name.removesuffix(".linear"): data for name, data in layers.items()}
    return VaeData(model.settings, layers, _tables(model, items))


def _round_layers(model: VaeModel, maxima: ChannelMaxima) -> Rounder:
    s, streams = model.settings, model.settings.streams()

    def stream(name: str) -> Stream:
        found = streams[name]
        if name == "embedding":
            return Stream(np.tile(_embedding_scale(model), s.channels), found.limit)
        if found.scale is not None:
            return Stream(np.full(found.channels, found.scale), found.limit)
        return Stream(maxima.scale(found.limit, name), found.limit, name)

    rounder = Rounder(model, maxima)
    for layer in s.layers():
        if isinstance(layer, Block):
            places = f"{key(layer.name)}.depthwise", f"{key(layer.name)}.expand"
            between, hidden = (Stream(maxima.scale(STREAM_LIMIT, place), STREAM_LIMIT, place) for place in places)
            rounder.block(f"net.{key(layer.name)}", stream(layer.stream), between, hidden)
        else:
            rounder.linear(
                f"net.{key(layer.name)}.linear", stream(layer.source), stream(layer.target), leaky=layer.leaky
            )
    return rounder


def _embedding_scale(model: VaeModel) -> FloatArray:
    largest = numpy(model.embedding.abs().amax(0))
    scale: FloatArray = (STREAM_LIMIT // 2) / np.maximum(largest, 1e-3)
    return scale


def _tables(model: VaeModel, items: Tensor) -> dict[str, IntArray]:
    s = model.settings
    tables: dict[str, FloatArray] = {"width": latent_widths(model, items) * LATENT_UNIT * _WIDTH_UNIT}
    if s.likelihood == "bernoulli":
        tables["values"] = 255 / (1 + np.exp(-np.arange(-PIXEL_LIMIT, PIXEL_LIMIT + 1) / LOGIT_UNIT))
    elif model.tables is not None:
        tables["values"] = numpy(model.tables.probabilities()) @ np.arange(VALUES)
    if s.context:
        tables["embedding"] = numpy(model.embedding) * _embedding_scale(model)
    limits = {name: largest for name, (_, largest) in table_shapes(s).items()}
    return {name: np.rint(np.clip(t, -limits[name], limits[name])).astype(np.int32) for name, t in tables.items()}


def latent_widths(model: VaeModel, items: Tensor) -> FloatArray:
    """What a step of each dimension is at quality 50, in latent units, float64 [d].

    Of a VAE the mean σ of its posterior. Of an autoencoder, which has none, what takes its place at high rate: in inverse
    proportion to how much the decoder's output moves with the dimension (by random projections of its Jacobian), with a
    mean over dimensions of a tenth.
    """
    mean, log_sigma = model.encode(items)
    if log_sigma is not None:
        return numpy(log_sigma.exp().mean(0))
    z = mean[:200].clone().requires_grad_()
    generator, total = torch.Generator().manual_seed(1), torch.zeros(z.shape[1])
    with torch.enable_grad():
        out = model.from_latents(z)
        out = out.sigmoid() if model.settings.likelihood == "bernoulli" else out
        for _ in range(_PROBES):
            (gradient,) = torch.autograd.grad(out, z, torch.randn(out.shape, generator=generator), retain_graph=True)
            total += gradient.square().sum(0)
    width = 1 / numpy(total.sqrt().clamp_min(1e-6))
    scaled: FloatArray = 0.1 * width / width.mean()
    return scaled


def latent_tables() -> tuple[IntArray, IntArray]:
    """Zero-mean Gaussians of the log-spaced σ, up to the posterior's widest; those above are never used and are minimal."""
    half_widths, counts = gaussian_tables(round(SIGMA_MAX))
    tables = np.split(counts, np.cumsum(2 * half_widths.astype(np.int64) + 2)[:-1])
    highest = POSTERIOR_LEVELS[1]
    minimal = quantise_counts(np.array([1.0, 1.0]))
    tables[highest:] = [minimal] * (TABLES - highest)
    return np.array([len(table) // 2 - 1 for table in tables], np.int32), np.concatenate(tables)


def value_histograms(data: VaeData, items: IntArray) -> IntArray:
    """How often each value is met under each node of the exact model: int64 [252, 256]."""
    vae = ExactVae(build_vae(data, torch.device("cpu")))
    rng = np.random.default_rng(1)
    counts = np.zeros((NODES + 1) * VALUES, np.int64)
    for start in range(0, len(items), _TOGETHER):
        batch = items[start : start + _TOGETHER]
        posterior = vae.encode(batch)
        z = posterior.mean
        if posterior.index is not None:
            sigma = np.exp((posterior.index.astype(np.float64) - PRIOR_LEVEL) / LEVELS_PER_NAT) * LATENT_UNIT
            z = np.rint(z + sigma * rng.standard_normal(z.shape)).astype(np.int32)
        steps = vae.begin(z)
        for values in steps.split(batch):
            at = steps.next().astype(np.int64) * VALUES + values
            counts += np.bincount(at.reshape(-1), minlength=len(counts))
            steps.put(values)
    return counts.reshape(NODES + 1, VALUES)[1:]


def pixel_tables(model: VaeModel, histograms: IntArray) -> IntArray:
    """Counts uint32 [4, 63, 258]: what was met, blended with the learnt distribution where little was met."""
    assert model.tables is not None
    learnt = numpy(model.tables.probabilities())
    smooth = 0.999 * learnt + 0.001 * beta_binomial_tables()
    tables = np.empty((NODES, 2 * PIXEL_HALF_WIDTH + 2), np.uint32)
    for node in range(NODES):
        observed = histograms[node].astype(np.float64)
        trust = 1.0
        if observed.sum() > 0:
            seen = np.flatnonzero(observed)
            trust = blend_weight(observed[seen], smooth[node][seen])
        blended = (observed + trust * smooth[node]) / (observed.sum() + trust)
        tables[node] = quantise_counts(np.append(blended, [0.0, 0.0]))
    return tables.reshape(BANKS, TABLES, -1)
