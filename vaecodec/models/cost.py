"""What a model costs: multiply–accumulates per pixel, counted from the shapes of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from vaecodec.exact.integers import DepthwiseData, LinearData, prove_linear
from vaecodec.models.decoder_data import ExactData, layer_shapes
from vaecodec.models.settings import PATCH, STRIDE, ImageSettings, encoder_shapes

PER_PIXEL = {"patches": PATCH**2, "blocks8": PATCH**2, "pairs": STRIDE**2, "blocks16": STRIDE**2}
"""Pixels per position of the layers of g_a and g_s."""
HYPER = {"up32": 64**2, "block32": 32**2, "up16": 32**2}
HYPER_ANALYSIS = {"enter": 16**2, "block16": 16**2, "down32": 32**2, "block32": 32**2, "down64": 64**2}


def macs_per_pixel(
    settings: ImageSettings, layers: Mapping[str, LinearData | DepthwiseData] | None = None
) -> dict[str, float]:
    """Thousands of MAC per pixel of ``analysis`` (h_a included), ``synthesis`` and ``prior``; decoding is the last two.

    Args:
        settings: sizes.
        layers: of the exact decoder; those that float32 computes in two digits count twice.
    """
    macs = {"analysis": 0.0, "synthesis": 0.0, "prior": 0.0}
    for name, shape in layer_shapes(settings).items():
        half, part, *rest = name.split(".")
        layer = (layers or {}).get(name)
        count = prod(shape) * (2 if isinstance(layer, LinearData) and prove_linear(name, layer)[0] else 1)
        if half == "g_s":
            macs["synthesis"] += count / PER_PIXEL[part]
        elif half == "h_s":
            macs["prior"] += count / HYPER[part]
        else:
            # Layers with a matrix for each position of a cell use one of the four at each.
            macs["prior"] += count / (4 if rest[0] in ("enter", "leave") else 1) / STRIDE**2
    for name, shape in encoder_shapes(settings).items():
        half, part = name.split(".")[:2] if name.endswith(".weight") else ("", "")
        if half:
            macs["analysis"] += prod(shape) / (PER_PIXEL if half == "g_a" else HYPER_ANALYSIS)[part]
    return {name: value / 1000 for name, value in macs.items()}


def count_macs(data: ExactData) -> dict[str, float]:
    """Thousands of MAC per pixel of the networks, and of decoding as float32 executes it: layers in two digits count twice there."""
    executed = macs_per_pixel(data.settings, data.layers)
    return macs_per_pixel(data.settings) | {"decode_as_executed": executed["synthesis"] + executed["prior"]}
