"""From the float encoder to integers: ranges from training pictures, rounding, the dead zone; what ``export`` does for the decoder.

The model id does not cover the encoder: another one for the same decoder keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.models.decoder_data import (
    FEATURE_LIMIT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    LATENT_CLAMP,
    QUALITIES,
)
from vaecodec.models.encoder_data import SAMPLE_INPUT_LIMIT, SAMPLE_UNIT, SEEN_LIMIT, SEEN_UNIT, V_UNIT, EncoderData
from vaecodec.models.image import SAMPLE_SCALE, ImageEncoder
from vaecodec.models.rounding import (
    ChannelMaxima,
    Margins,
    Rounder,
    Scales,
    Stream,
    as_scales,
    calibrate,
    numpy,
    scale_behind,
    until_wide_enough,
)

STREAM, INNER = 16383, 16383
"""Clamps of the analysis: its residual streams, and what is inside its blocks, as in the synthesis."""
HYPER_STREAM, HYPER_INNER = 16383, 2047
"""Clamps of the hyper analysis: at low qualities its features are a fiftieth of what they are at high ones, and with the clamps of the
prior z was shifted by up to a quarter: 0.01 dB."""
MARGINS = Margins("g_a", stream=1.5, inner=2.5, other=1.25)


class _Rounded(NamedTuple):
    """Layers, and the streams that the tables over quality lie between: what ``g_a.patches`` gives, those at 1/8 and 1/16."""

    layers: Mapping[str, LinearData | DepthwiseData]
    scales: Scales
    before8: Stream
    at8: Stream
    at16: Stream


def _round_layers(encoder: ImageEncoder, maxima: ChannelMaxima) -> _Rounded:
    s, largest, rounder = encoder.settings, maxima.largest, Rounder(encoder, maxima)
    blocks8 = [f"g_a.blocks8.{i}" for i in range(s.analysis_blocks8)]
    blocks16 = [f"g_a.blocks16.{i}" for i in range(s.analysis_blocks16)]
    before8 = Stream(maxima.scale(STREAM, "g_a.patches"), STREAM, "g_a.patches")
    reached8 = [largest[f"{name}.stream"] for name in blocks8]
    reached8.append(largest["g_a.pairs.input"].reshape(4, -1).max(axis=0))
    scale8 = STREAM / np.maximum(np.max(reached8, axis=0), 1e-3)
    at8 = Stream(scale_behind(before8, scale8, encoder.analysis_vector), STREAM)
    at16 = Stream(maxima.scale(STREAM, "g_a.pairs", *(f"{name}.stream" for name in blocks16)), STREAM, "g_a.pairs")
    samples = Stream(np.array([float(SAMPLE_UNIT * SAMPLE_SCALE)]), SAMPLE_INPUT_LIMIT)
    rounder.linear("g_a.patches", samples, before8, digits=True)
    rounder.blocks(blocks8, at8, inner=INNER, digits=True)
    rounder.linear("g_a.pairs", at8, at16, digits=True)
    rounder.blocks(blocks16, at16, inner=INNER, digits=True)

    seen = Stream(np.full(s.latents, float(SEEN_UNIT)), SEEN_LIMIT)
    hyper16, hyper32 = (
        Stream(maxima.scale(HYPER_STREAM, name), HYPER_STREAM, name)
        for name in ("h_a.block16.stream", "h_a.block32.stream")
    )
    rounder.linear("h_a.enter", seen, hyper16, leaky=True, digits=True)
    rounder.blocks(["h_a.block16"], hyper16, inner=HYPER_INNER)
    rounder.linear("h_a.down32", hyper16, hyper32, leaky=True, digits=True)
    rounder.blocks(["h_a.block32"], hyper32, inner=HYPER_INNER)
    rounder.linear("h_a.down64", hyper32, Stream(np.ones(s.hyper_latents), HYPER_LIMIT), digits=True)
    return _Rounded(rounder.layers, rounder.scales, before8, at8, at16)


@torch.no_grad()
def round_encoder(encoder: ImageEncoder, crops: Tensor, zeroed: IntArray) -> EncoderData:
    """Makes the integers of the encoding half.

    Args:
        encoder: trained, float32, on the processor; a whole model will do.
        crops: uint8 [N, H, W, 3] of training pictures, H and W multiples of 64: they set the ranges.
        zeroed: int32 [64], the dead zone by table index, see ``dead_zone_table``.
    """
    encoder.eval()
    maxima = calibrate(
        encoder, crops, lambda x, q: encoder.h_a(encoder.analyse(x, q)), MARGINS,
        parts=("g_a", "h_a"), inputs=("g_a.patches", "g_a.pairs"), outputs=("g_a.patches", "g_a.pairs"),
    )  # fmt: skip
    rounded = until_wide_enough(maxima, lambda: _round_layers(encoder, maxima))

    q = torch.linspace(0, 1, QUALITIES)
    feature = numpy(encoder.at_quality(encoder.analysis_vector, q).exp()) * rounded.at8.scale / rounded.before8.scale
    per_unit = SAMPLE_SCALE * numpy(encoder.g_a.log_scale.exp()) / rounded.at16.scale
    gain = numpy(encoder.gain(q)) * per_unit * V_UNIT
    shift = np.clip(np.floor(np.log2(LATENT_CLAMP / gain.max(axis=0))), 0, 24)
    tables = {
        "analysis_factor": np.minimum(feature * 2.0**FEATURE_SHIFT, FEATURE_LIMIT),
        "gain_factor": np.minimum(gain * 2.0**shift, LATENT_CLAMP),
        "gain_shift": shift,
        "dead_zone": zeroed,
    }
    integers = {name: np.rint(table).astype(np.int32) for name, table in tables.items()}
    scales = rounded.scales | as_scales({"g_a.log_scale": encoder.g_a.log_scale})
    return EncoderData(encoder.settings, rounded.layers, integers, scales)
