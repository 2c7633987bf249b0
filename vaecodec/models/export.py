"""From a trained float model to the weights file: ranges from training pictures, rounding, tables fitted to real residuals.

Every channel has a scale of its own: its largest value on the training pictures, with some margin, fills the range of the
integers. So quiet channels are as precise as loud ones. The synthesis holds what drawn patterns of the strongest colours reach,
too: there saturation shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.rounding import FloatArray
from vaecodec.exact.steps import STEPS
from vaecodec.exact.tables import SIGMA_MAX, SIGMA_MIN, fit_tables
from vaecodec.models.analysis import hyper_symbols, in_256ths
from vaecodec.models.coding import dead_zone_table, encode_tile
from vaecodec.models.decoder_data import (
    CONTEXT_CLAMP,
    CONTEXT_LIMIT,
    CONTEXT_UNIT,
    FEATURE_LIMIT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    INDEX_LEVELS,
    INDEX_LIMIT,
    INDEX_SHIFT,
    LATENT_CLAMP,
    MEAN_LIMIT_UNITS,
    MEAN_SHIFT,
    MEAN_UNIT,
    QUALITIES,
    QUALITY_UNITS,
    SAMPLE_LIMIT,
    ExactData,
    unit_quality,
)
from vaecodec.models.exact_image import ExactPrior, build_layers
from vaecodec.models.export_encoder import round_encoder
from vaecodec.models.image import MEAN_LIMIT, SAMPLE_SCALE, ImageModel
from vaecodec.models.refine import symbol_costs
from vaecodec.models.rounding import (
    CALIBRATION_QUALITIES,
    ChannelMaxima,
    Margins,
    Rounder,
    Scales,
    Stream,
    as_scales,
    calibrate,
    extreme_patterns,
    numpy,
    scale_behind,
    until_wide_enough,
)
from vaecodec.models.tunes import DistortionWeights
from vaecodec.models.weights import Weights, save_weights

MARGINS = Margins("g_s", stream=1.5, inner=2.5, other=1.25)
"""In the prior narrow: what saturates there costs a few bits of rare pictures, finer weights save bits of all."""
GAIN_MARGIN = 1.02
"""Latents may be larger than those of the calibration pictures and patterns by this factor before they are clamped."""
RANGE_CROPS = 48
"""Crops that set the ranges; the tables are fitted to all that are given."""

INDEX_UNITS_PER_NAT = (1 << INDEX_SHIFT) * (INDEX_LEVELS - 1) / math.log(SIGMA_MAX / SIGMA_MIN)
"""Units of a table index (32nds of a level) per natural logarithm of σ."""


@dataclass(frozen=True)
class Ranges:
    """Clamps of the kinds of activations: more is more precise, until the bound of 2^24 takes the bits from the weights.

    Attributes:
        stream: residual streams of the prior.
        synthesis_stream: residual streams of the synthesis; the layers that leave them read them in two digits.
        inner: inside residual blocks of the prior.
        synthesis_inner: inside residual blocks of the synthesis; the linear layers that read it take it in two digits.
    """

    stream: int = 2047
    synthesis_stream: int = 16383
    inner: int = 1023
    synthesis_inner: int = 16383


@dataclass(frozen=True)
class RoundedLayers:
    """Layers, and the streams that the tables over quality write to: the prior's, those at 1/16 and 1/8, and what ``g_s.pairs`` gives."""

    layers: Mapping[str, LinearData | DepthwiseData]
    scales: Scales
    prior: Stream
    at16: Stream
    at8: Stream
    before8: Stream


def _round_layers(model: ImageModel, maxima: ChannelMaxima, r: Ranges) -> RoundedLayers:
    s, rounder, group = model.settings, Rounder(model, maxima), model.settings.latents // STEPS
    # Prior.
    context_blocks = [f"context.{k}.blocks.{i}" for k in range(STEPS) for i in range(s.prior_blocks)]
    z = Stream(np.ones(s.hyper_latents), HYPER_LIMIT)
    at32 = Stream(maxima.scale(r.stream, "h_s.block32.stream"), r.stream, "h_s.block32.stream")
    prior = Stream(
        maxima.scale(r.stream, *(f"{name}.stream" for name in context_blocks)), r.stream, f"{context_blocks[0]}.stream"
    )
    context = Stream(np.full(group, float(CONTEXT_UNIT)), CONTEXT_LIMIT)
    means, indices = (np.full(group, unit) for unit in ((MEAN_LIMIT_UNITS + 1) / MEAN_LIMIT, INDEX_UNITS_PER_NAT))
    parameters = Stream(np.concatenate([means, indices]), MEAN_LIMIT_UNITS)
    rounder.linear("h_s.up32", z, at32, leaky=True)
    rounder.blocks(["h_s.block32"], at32, inner=r.inner)
    rounder.linear("h_s.up16", at32, prior)
    rounder.blocks(context_blocks, prior, inner=r.inner)
    for k in range(STEPS):
        if k:
            rounder.linear(f"context.{k}.enter", context, prior)
        rounder.linear(f"context.{k}.leave", prior, parameters)

    # Synthesis.
    blocks16 = [f"g_s.blocks16.{i}" for i in range(s.synthesis_blocks16)]
    blocks8 = [f"g_s.blocks8.{i}" for i in range(s.synthesis_blocks8)]
    wide, inner = r.synthesis_stream, r.synthesis_inner
    at16 = Stream(maxima.scale(wide, "g_s.pairs.input", *(f"{name}.stream" for name in blocks16)), wide)
    before = np.max(maxima.largest["g_s.pairs"].reshape(4, -1), axis=0)
    before8 = Stream(wide / np.maximum(before, 1e-3), wide, "g_s.pairs")
    scale8 = maxima.scale(wide, f"{s.leaving8}.input", *(f"{name}.stream" for name in blocks8))
    at8 = Stream(scale_behind(before8, scale8, model.synthesis_vector), wide)
    rounder.blocks(blocks16, at16, inner=inner, digits=True)
    rounder.linear("g_s.pairs", at16, before8, digits=True)
    rounder.blocks(blocks8, at8, inner=inner, digits=True)
    last = at8
    if s.features4:
        blocks4 = [f"g_s.blocks4.{i}" for i in range(s.synthesis_blocks4)]
        last = Stream(
            maxima.scale(wide, "g_s.patches.input", *(f"{name}.stream" for name in blocks4)),
            wide,
            f"{blocks4[0]}.stream",
        )
        rounder.linear("g_s.quads", at8, last, digits=True)
        rounder.blocks(blocks4, last, inner=inner, digits=True)
    rounder.linear("g_s.patches", last, Stream(np.array([SAMPLE_SCALE]), SAMPLE_LIMIT), digits=True)
    return RoundedLayers(rounder.layers, rounder.scales, prior, at16, at8, before8)


@torch.no_grad()
def round_model(model: ImageModel, crops: Tensor, ranges: Ranges | None = None) -> ExactData:
    """Makes the integers of the decoding half.

    Args:
        model: trained, float32, on the processor.
        crops: uint8 [N, H, W, 3] of training pictures, H and W multiples of 64: they set the ranges.
        ranges: clamps; the measured defaults when None.

    Returns:
        Layers and tables over quality; the tables of the coder are fitted afterwards.
    """
    r = ranges or Ranges()
    s = model.settings
    model.eval()
    maxima = calibrate(
        model, crops, lambda x, q: model(x, q, quantise=True), MARGINS,
        parts=("g_s", "h_s", "context"), inputs=("g_s.pairs", s.leaving8, "g_s.patches"), outputs=("g_s.pairs",),
    )  # fmt: skip
    rounded = until_wide_enough(maxima, lambda: _round_layers(model, maxima, r))

    # Tables over quality.
    q = torch.linspace(0, 1, QUALITIES)
    inverse_gain = numpy(model.at_quality(model.log_inverse_gain, q).exp())
    latent = inverse_gain * numpy(model.g_s.log_scale.exp()) / SAMPLE_SCALE * rounded.at16.scale / MEAN_UNIT
    latent_shift = np.clip(np.floor(np.log2(LATENT_CLAMP / latent.max(axis=0))), 0, 24)
    feature = numpy(model.at_quality(model.synthesis_vector, q).exp()) * rounded.at8.scale / rounded.before8.scale
    channel_scale = numpy(model.channel_std * model.gain(q))
    mean = channel_scale * MEAN_UNIT * 2.0**MEAN_SHIFT * MEAN_LIMIT / (MEAN_LIMIT_UNITS + 1)
    sigma_z = numpy(model.at_quality(model.log_sigma_z, q))
    asinh = np.arcsinh(np.arange(-CONTEXT_CLAMP, CONTEXT_CLAMP + 1) / MEAN_UNIT) * CONTEXT_UNIT
    tables: dict[str, FloatArray] = {
        "latent_factor": np.minimum(latent * 2.0**latent_shift, LATENT_CLAMP),
        "latent_shift": latent_shift,
        "feature_factor": np.minimum(feature * 2.0**FEATURE_SHIFT, FEATURE_LIMIT),
        "mean_factor": np.minimum(mean, (1 << 20) - 1),
        "index_offset": np.log(channel_scale / SIGMA_MIN) * INDEX_UNITS_PER_NAT,
        "hyper_index": np.clip((sigma_z - math.log(SIGMA_MIN)) * INDEX_UNITS_PER_NAT, 0, INDEX_LIMIT),
        "prior_vector": np.clip(numpy(model.at_quality(model.prior_vector, q)) * rounded.prior.scale, -4095, 4095),
        "asinh": asinh,
    }
    integers = {name: np.rint(t).astype(np.int32) for name, t in tables.items()}
    known = {"g_s.log_scale": model.g_s.log_scale, "channel_std": model.channel_std}
    return ExactData(s, rounded.layers, integers, rounded.scales | as_scales(known))


@torch.no_grad()
def residual_histograms(model: ImageModel, data: ExactData, crops: Tensor) -> list[IntArray]:
    """Counts of real residuals under the exact prior, for each of the 63 indices: arrays over −K..K."""
    prior = ExactPrior(build_layers(data, torch.device("cpu")))
    reach = 4096
    counts = np.zeros((INDEX_LEVELS, 2 * reach + 1), np.int64)

    def count(symbols: IntArray, indices: IntArray) -> None:
        s = np.clip(symbols.reshape(-1), -reach, reach).astype(np.int64) + reach
        np.add.at(counts, (indices.reshape(-1).astype(np.int64), s), 1)

    rng = np.random.default_rng(1)
    for x in crops:
        quality16 = int(rng.integers(0, 100 * QUALITY_UNITS + 1))
        v = model.analyse(x[None], torch.tensor([unit_quality(quality16)]))
        encode_tile(in_256ths(v[0]), hyper_symbols(model, v), prior, quality16, count)
    return list(counts[1:])


@torch.no_grad()
def cap_gains(model: ImageModel, crops: Tensor) -> None:
    """Makes steps of a channel coarser where its latents would leave ±LATENT_CLAMP sixteenths of a step; changes the model.

    That is the mean of a bright picture at the top of the scale: 2,700 steps at λ = 3, of which 2,047 can be held.
    """
    model.eval()
    largest = torch.zeros(model.settings.latents)
    patterns = torch.from_numpy(extreme_patterns())  # of another size than the crops, perhaps
    for x in (*torch.split(crops, 8), *torch.split(patterns, 8)):
        for quality in CALIBRATION_QUALITIES:
            q = torch.full((len(x),), quality)
            y = model.analyse(x, q) / model.gain(q)[:, None, None]
            largest = torch.maximum(largest, y.abs().flatten(0, 2).amax(0))
    highest = math.log(LATENT_CLAMP / MEAN_UNIT / GAIN_MARGIN) - largest.clamp_min(1e-6).log()
    excess = (model.log_gain - highest).clamp_min(0)
    model.log_gain.sub_(excess)
    model.log_inverse_gain.add_(excess)


def export_weights(
    model: ImageModel,
    crops: Tensor,
    path: Path,
    *,
    card: Mapping[str, object],
    tune: str = "psnr",
    trained_for: DistortionWeights | None = None,
    ranges: Ranges | None = None,
) -> Weights:
    """Rounds the model, fits the coder's tables and writes the weights file; returns what was written.

    Args:
        model: trained, on the processor.
        crops: uint8 [N, 256, 256, 3] of training pictures.
        path: file to write, replaced whole.
        card: what the weights' card says besides: steps, hours, data.
        tune: what the model was trained for, a name in ``TUNES``.
        trained_for: the distortion that training minimised; None: the tune's in ``UNSAID``.
        ranges: see :func:`round_model`.
    """
    cap_gains(model, crops[:RANGE_CROPS])
    data = round_model(model, crops[:RANGE_CROPS], ranges)
    half_widths, counts = fit_tables(list(residual_histograms(model, data, crops)))
    zeroed = dead_zone_table(symbol_costs(half_widths, counts), tune)
    analysis = round_encoder(model, crops[:RANGE_CROPS], zeroed)
    floats = {"log_lambda": model.log_lambda.numpy()}
    weights = Weights(data, half_widths, counts, floats, card, tune, analysis, trained_for)
    save_weights(weights, path)
    return weights
