"""From the float encoder to integers: ranges from training pictures, rounding, the dead zone; what ``export`` does for the decoder.

The model id does not cover the encoder: another one for the same decoder keeps it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vaecodec.exact.integers import IntArray
from vaecodec.models.decoder_data import (
    FEATURE_LIMIT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    LATENT_CLAMP,
    QUALITIES,
)
from vaecodec.models.encoder_data import SAMPLE_INPUT_LIMIT, SAMPLE_UNIT, SEEN_LIMIT, SEEN_UNIT, V_UNIT, EncoderData
from vaecodec.models.image import SAMPLE_SCALE, ImageEncoder
from vaecodec.models.layers import ResidualBlock
from vaecodec.models.rounding import (
    CALIBRATION_QUALITIES,
    WIDENINGS,
    ChannelMaxima,
    RangeTooNarrowError,
    Rounder,
    extreme_patterns,
    numpy,
)

STREAM, INNER = 16383, 2047
"""Clamps of the analysis: its residual streams, and what is inside its blocks, as in the synthesis."""
HYPER_STREAM, HYPER_INNER = 16383, 2047
"""Clamps of the hyper analysis: at low qualities its features are a fiftieth of what they are at high ones, and with the clamps of the
prior z was shifted by up to a quarter: 0.01 dB."""
STREAM_MARGIN, INNER_MARGIN, HYPER_MARGIN = 1.5, 2.5, 1.25
"""Ranges are wider than what calibration crops reach by these factors."""
FEATURE_FACTOR_LIMIT = FEATURE_LIMIT / (1 << FEATURE_SHIFT)


def _is_stream(name: str) -> bool:
    return name.startswith("g_a") and not name.endswith((".depthwise", ".expand"))


def margin_on_pictures(name: str) -> float:
    """By which factor ranges are wider than what calibration crops reach at ``name``."""
    if not name.startswith("g_a"):
        return HYPER_MARGIN
    return STREAM_MARGIN if _is_stream(name) else INNER_MARGIN


def margin_on_patterns(name: str) -> float:
    """Same for extreme patterns: streams of the analysis hold them as they are, and what does not show ignores them."""
    return 1.0 if _is_stream(name) else 0.0


def _watch(encoder: ImageEncoder, maxima: ChannelMaxima) -> list[torch.utils.hooks.RemovableHandle]:
    handles: list[torch.utils.hooks.RemovableHandle] = []

    def watch(name: str, module: nn.Module, *, inputs: bool = False, leaky: bool = False) -> None:
        def hook(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            x = given[0] if inputs else out
            maxima.see(name, nn.functional.leaky_relu(x, 0.125) if leaky else x)

        handles.append(module.register_forward_hook(hook))

    for name, module in encoder.named_modules():
        if isinstance(module, ResidualBlock):
            watch(f"{name}.depthwise", module.depthwise)
            watch(f"{name}.expand", module.expand, leaky=True)
            watch(f"{name}.stream", module, inputs=True)
            watch(f"{name}.stream", module)
        elif name in ("g_a.patches", "g_a.pairs"):
            watch(name, module)
            watch(f"{name}.input", module, inputs=True)
    return handles


class _Scales:
    """Integers per unit of the streams."""

    def __init__(self, maxima: ChannelMaxima, encoder: ImageEncoder) -> None:
        s, largest = encoder.settings, maxima.largest
        self.blocks8 = [f"g_a.blocks8.{i}" for i in range(s.analysis_blocks8)]
        self.blocks16 = [f"g_a.blocks16.{i}" for i in range(s.analysis_blocks16)]
        at8 = [largest[f"{name}.stream"] for name in self.blocks8]
        at8.append(largest["g_a.pairs.input"].reshape(4, -1).max(axis=0))
        at16 = [largest[name] for name in ["g_a.pairs", *(f"{name}.stream" for name in self.blocks16)]]
        self.before = STREAM / np.maximum(largest["g_a.patches"], 1e-3)
        self.at8 = STREAM / np.maximum(np.max(at8, axis=0), 1e-3)
        # The factors over quality between the two must be within their own range.
        vectors = numpy(encoder.analysis_vector.exp()).max(axis=0)
        self.at8 = np.minimum(self.at8, 0.99 * FEATURE_FACTOR_LIMIT * self.before / vectors)
        self.at16 = STREAM / np.maximum(np.max(at16, axis=0), 1e-3)


def _round_layers(encoder: ImageEncoder, maxima: ChannelMaxima) -> tuple[Rounder, _Scales]:
    s, scales, rounder = encoder.settings, _Scales(maxima, encoder), Rounder(encoder, maxima)
    rounder.linear(
        "g_a.patches",
        ranged_by="g_a.patches",
        input_scale=np.full(3 * 64, SAMPLE_UNIT * SAMPLE_SCALE),
        output_scale=scales.before,
        input_limit=SAMPLE_INPUT_LIMIT,
        limit=STREAM,
        digits=True,
    )
    rounder.blocks(scales.blocks8, scales.at8, stream=STREAM, inner=INNER)
    rounder.linear(
        "g_a.pairs",
        ranged_by="g_a.pairs",
        input_scale=np.tile(scales.at8, 4),
        output_scale=scales.at16,
        input_limit=STREAM,
        limit=STREAM,
        digits=True,
    )
    rounder.blocks(scales.blocks16, scales.at16, stream=STREAM, inner=INNER)
    at16, at32 = (maxima.scale(HYPER_STREAM, f"h_a.{name}.stream") for name in ("block16", "block32"))
    rounder.linear(
        "h_a.enter",
        ranged_by="h_a.block16.stream",
        input_scale=np.full(s.latents, float(SEEN_UNIT)),
        output_scale=at16,
        input_limit=SEEN_LIMIT,
        limit=HYPER_STREAM,
        leaky=True,
        digits=True,
    )
    rounder.blocks(["h_a.block16"], at16, stream=HYPER_STREAM, inner=HYPER_INNER)
    rounder.linear(
        "h_a.down32",
        ranged_by="h_a.block32.stream",
        input_scale=np.tile(at16, 4),
        output_scale=at32,
        input_limit=HYPER_STREAM,
        limit=HYPER_STREAM,
        leaky=True,
        digits=True,
    )
    rounder.blocks(["h_a.block32"], at32, stream=HYPER_STREAM, inner=HYPER_INNER)
    rounder.linear(
        "h_a.down64",
        input_scale=np.tile(at32, 4),
        output_scale=np.ones(s.hyper_latents),
        input_limit=HYPER_STREAM,
        limit=HYPER_LIMIT,
        digits=True,
    )
    return rounder, scales


@torch.no_grad()
def round_encoder(encoder: ImageEncoder, crops: Tensor, zeroed: IntArray) -> EncoderData:
    """Makes the integers of the encoding half.

    Args:
        encoder: trained, float32, on the processor; a whole model will do.
        crops: uint8 [N, H, W, 3] of training pictures, H and W multiples of 64: they set the ranges.
        zeroed: int32 [64], the dead zone by table index, see ``dead_zone_table``.
    """
    encoder.eval()
    maxima = ChannelMaxima()
    handles = _watch(encoder, maxima)
    patterns = torch.from_numpy(extreme_patterns())
    for margin, pictures in ((margin_on_pictures, crops), (margin_on_patterns, patterns)):
        maxima.margin = margin
        for x in torch.split(pictures, 8):
            for quality in CALIBRATION_QUALITIES:
                encoder.h_a(encoder.analyse(x, torch.full((len(x),), quality)))
    for handle in handles:
        handle.remove()
    for _ in range(WIDENINGS):
        try:
            rounder, scales = _round_layers(encoder, maxima)
            break
        except RangeTooNarrowError as error:
            if not error.name:
                raise
            maxima.widen(error.name, error.rows)
    else:
        raise ValueError(f"after {WIDENINGS} doublings of ranges the bound of exact sums still does not hold")

    q = torch.linspace(0, 1, QUALITIES)
    feature = numpy(encoder.at_quality(encoder.analysis_vector, q).exp()) * scales.at8 / scales.before
    per_unit = SAMPLE_SCALE * numpy(encoder.g_a.log_scale.exp()) / scales.at16
    gain = numpy(encoder.gain(q)) * per_unit * V_UNIT
    shift = np.clip(np.floor(np.log2(LATENT_CLAMP / gain.max(axis=0))), 0, 24)
    tables = {
        "analysis_factor": np.minimum(feature * 2.0**FEATURE_SHIFT, FEATURE_LIMIT),
        "gain_factor": np.minimum(gain * 2.0**shift, LATENT_CLAMP),
        "gain_shift": shift,
        "dead_zone": zeroed,
    }
    return EncoderData(
        encoder.settings, rounder.layers, {name: np.rint(t).astype(np.int32) for name, t in tables.items()}
    )
