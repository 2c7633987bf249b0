"""The layers of the image model, written down once: float parameters, integer layers, their checks and costs follow from this list.

::

    pixels a position covers:   8²        16²       32²       64²
    g_a                         patches   pairs
                                blocks8   blocks16
    h_a                                   enter     down32    down64
                                          block16   block32
    h_s                                             up16      up32
                                                    block32
    context 0..3                          enter, blocks, leave
    g_s                         blocks8   blocks16
                                patches   pairs
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import numpy as np

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.steps import STEPS
from vaecodec.models.settings import PATCH, QUAD, STRIDE, ImageSettings

LayerData = LinearData | DepthwiseData
Shape = tuple[int, ...]

_AT_32, _AT_64 = 32, 64


class ImageLayer(NamedTuple):
    """One layer.

    Attributes:
        name: of the float module; those of depthwise convolutions end with ``.depthwise``.
        shape: of its weight as integers: [groups, out, in] or [channels, k, k]. Of four groups each position of a 2×2 cell uses one.
        side: of the square of pixels that one position covers.
    """

    name: str
    shape: Shape
    side: int

    @property
    def depthwise(self) -> bool:
        """Whether it is a depthwise convolution; else a matrix."""
        return self.name.endswith(".depthwise")

    @property
    def macs_per_pixel(self) -> float:
        """Multiply–accumulates for each pixel of the picture."""
        return prod(self.shape if self.depthwise else self.shape[1:]) / self.side**2

    def parameters(self) -> dict[str, Shape]:
        """Shapes of the float parameters of a layer with one matrix."""
        if self.depthwise:
            channels, kernel, _ = self.shape
            return {f"{self.name}.weight": (channels, 1, kernel, kernel), f"{self.name}.bias": (channels,)}
        return {f"{self.name}.weight": self.shape[1:], f"{self.name}.bias": self.shape[1:2]}


def _block(name: str, channels: int, hidden: int, kernel: int, side: int) -> Iterator[ImageLayer]:
    yield ImageLayer(f"{name}.depthwise", (channels, kernel, kernel), side)
    yield ImageLayer(f"{name}.expand", (1, hidden, channels), side)
    yield ImageLayer(f"{name}.project", (1, channels, hidden), side)


def encoding_layers(s: ImageSettings) -> Iterator[ImageLayer]:
    """g_a and h_a, in the order in which data flows."""
    P = s.prior_width
    yield ImageLayer("g_a.patches", (1, s.features, 3 * PATCH * PATCH), PATCH)
    for i in range(s.analysis_blocks8):
        yield from _block(f"g_a.blocks8.{i}", s.features, s.hidden8, s.kernel8, PATCH)
    yield ImageLayer("g_a.pairs", (1, s.latents, 4 * s.features), STRIDE)
    for i in range(s.analysis_blocks16):
        yield from _block(f"g_a.blocks16.{i}", s.latents, s.hidden16, s.kernel16, STRIDE)
    yield ImageLayer("h_a.enter", (1, P, s.latents), STRIDE)
    yield from _block("h_a.block16", P, 2 * P, s.prior_kernel, STRIDE)
    yield ImageLayer("h_a.down32", (1, P, 4 * P), _AT_32)
    yield from _block("h_a.block32", P, 2 * P, s.prior_kernel, _AT_32)
    yield ImageLayer("h_a.down64", (1, s.hyper_latents, 4 * P), _AT_64)


def decoding_layers(s: ImageSettings) -> Iterator[ImageLayer]:
    """h_s, the four steps of the context, and g_s, in the order in which data flows."""
    P, group = s.prior_width, s.latents // STEPS
    yield ImageLayer("h_s.up32", (1, 4 * P, s.hyper_latents), _AT_64)
    yield from _block("h_s.block32", P, 2 * P, 3, _AT_32)
    yield ImageLayer("h_s.up16", (1, 4 * P, P), _AT_32)
    for k in range(STEPS):
        if k:
            yield ImageLayer(f"context.{k}.enter", (4, P, group), STRIDE)
        for i in range(s.prior_blocks):
            yield from _block(f"context.{k}.blocks.{i}", P, 2 * P, s.prior_kernel, STRIDE)
        yield ImageLayer(f"context.{k}.leave", (4, 2 * group, P), STRIDE)
    for i in range(s.synthesis_blocks16):
        yield from _block(f"g_s.blocks16.{i}", s.latents, s.hidden16, s.kernel16, STRIDE)
    yield ImageLayer("g_s.pairs", (1, 4 * s.features, s.latents), STRIDE)
    for i in range(s.synthesis_blocks8):
        yield from _block(f"g_s.blocks8.{i}", s.features, s.synthesis_hidden8(i), s.kernel8, PATCH)
    if not s.features4:
        yield ImageLayer("g_s.patches", (1, 3 * PATCH * PATCH, s.features), PATCH)
        return
    yield ImageLayer("g_s.quads", (1, 4 * s.features4, s.features), PATCH)
    for i in range(s.synthesis_blocks4):
        yield from _block(f"g_s.blocks4.{i}", s.features4, s.hidden4, s.kernel8, QUAD)
    yield ImageLayer("g_s.patches", (1, 3 * QUAD * QUAD, s.features4), QUAD)


def layer_shapes(s: ImageSettings) -> dict[str, Shape]:
    """Weight shape of every layer of the decoding half."""
    return {layer.name: layer.shape for layer in decoding_layers(s)}


def encoder_layer_shapes(s: ImageSettings) -> dict[str, Shape]:
    """Weight shape of every layer of the encoding half."""
    return {layer.name: layer.shape for layer in encoding_layers(s)}


def encoder_shapes(s: ImageSettings) -> dict[str, Shape]:
    """Shape of every parameter of the float encoder, by its name there."""
    shapes = {name: shape for layer in encoding_layers(s) for name, shape in layer.parameters().items()}
    vectors = {"log_gain": (s.anchors, s.latents), "analysis_vector": (s.anchors, s.features)}
    return shapes | {"g_a.log_scale": (s.latents,), "log_lambda": (s.anchors,)} | vectors


def check_integers(
    layers: Mapping[str, LayerData],
    shapes: Mapping[str, Shape],
    tables: Mapping[str, IntArray],
    table_shapes: Mapping[str, tuple[Shape, int]],
) -> None:
    """Checks that layers and tables are there, their shapes, and the largest magnitudes of tables.

    Raises:
        DamagedWeightsError: something is missing or wrong.
    """
    for name, shape in shapes.items():
        layer = layers.get(name)
        if layer is None or layer.weight.shape != shape:
            raise DamagedWeightsError(f"layer {name} of the weights is missing or has another shape than {shape}")
        if isinstance(layer, DepthwiseData) != name.endswith(".depthwise"):
            raise DamagedWeightsError(f"layer {name} of the weights is of the wrong kind")
    for name, (shape, largest) in table_shapes.items():
        table = tables.get(name)
        if table is None or table.shape != shape or int(np.abs(table.astype(np.int64)).max()) > largest:
            raise DamagedWeightsError(f"table {name} of the weights is missing, or has a wrong shape or range")
