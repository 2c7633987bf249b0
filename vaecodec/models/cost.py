"""What a model costs: multiply–accumulates per pixel, counted from its layers."""

from __future__ import annotations

from collections.abc import Mapping

from vaecodec.exact.integers import DepthwiseData, LinearData, prove_linear
from vaecodec.models.decoder_data import ExactData
from vaecodec.models.layer_list import decoding_layers, encoding_layers
from vaecodec.models.settings import ImageSettings


def macs_per_pixel(
    settings: ImageSettings, layers: Mapping[str, LinearData | DepthwiseData] | None = None
) -> dict[str, float]:
    """Thousands of MAC per pixel of ``analysis`` (h_a included), ``synthesis`` and ``prior``; decoding is the last two.

    Args:
        settings: sizes.
        layers: of the exact decoder; those that float32 computes in two digits count twice.
    """
    macs = {
        "analysis": sum(layer.macs_per_pixel for layer in encoding_layers(settings)),
        "synthesis": 0.0,
        "prior": 0.0,
    }
    for layer in decoding_layers(settings):
        data = (layers or {}).get(layer.name)
        digits = 2 if isinstance(data, LinearData) and prove_linear(layer.name, data)[0] else 1
        macs["synthesis" if layer.name.startswith("g_s") else "prior"] += digits * layer.macs_per_pixel
    return {name: value / 1000 for name, value in macs.items()}


def count_macs(data: ExactData) -> dict[str, float]:
    """Thousands of MAC per pixel of the networks, and of decoding as float32 executes it: layers in two digits count twice there."""
    executed = macs_per_pixel(data.settings, data.layers)
    return macs_per_pixel(data.settings) | {"decode_as_executed": executed["synthesis"] + executed["prior"]}
