"""The exact decoding half as ONNX graphs, from the integers of a weights file; needs the package onnx and no torch.

::

    z ─► prior_start ─► features ─┬► prior_step_0 ─► mean, index ─► (coder) ─► y16 of step 0 ─┐
                                  └► prior_step_1 ◄───────────────────────────────────────────┘ … y16 of all ─► synthesis ─► samples

float32 carries the integers, as ``vaecodec.exact`` explains; products that pass 2^24 (of means, latents and features with their
factors) are computed in float64, which holds them. Features are [1, channel, row, column]. Rows of the tables at the file's quality
are inputs: interpolating them is the caller's, and so are the edges: graphs take whole cells of 4 × 4 latents, zeros outside the tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from vaecodec.exact.integers import (
    DIGIT_SHIFT,
    LEAK_SHIFT,
    DepthwiseData,
    IntArray,
    LinearData,
    prove_bound,
    prove_linear,
)
from vaecodec.models.decoder_data import (
    CERTAIN_BELOW,
    CONTEXT_CLAMP,
    DEEP_SHIFT,
    FEATURE_SHIFT,
    HYPER_LIMIT,
    INDEX_LEVELS,
    INDEX_SHIFT,
    LATENT_CLAMP,
    MEAN_SHIFT,
    ExactData,
    check_data,
    no_deep_samples,
    with_deep_samples,
)
from vaecodec.models.settings import PATCH, STEPS
from vaecodec.models.steps import coded_group

OPSET = 17
IR_VERSION = 8
"""Both of 2022: every runtime since reads them."""

LEAK = 2.0**-LEAK_SHIFT
START, STEP, SYNTHESIS, SYNTHESIS_DEEP = "prior_start", "prior_step_{}", "synthesis", "synthesis_deep"
"""Names of the graphs."""


class _Graph:
    """A graph that grows node by node; names of values are given out here."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value: str, name: str, kind: int, shape: Sequence[int | str]) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def cast(self, value: str, kind: int) -> str:
        return self.node("Cast", value, to=kind)

    def clamp(self, value: str, low: int, high: int, dtype: npt.DTypeLike = np.float32) -> str:
        return self.node("Clip", value, self.constant(low, dtype), self.constant(high, dtype))

    def leaky(self, value: str) -> str:
        """max(x, x/8); the floor that follows gives max(⌊x⌋, ⌊⌊x⌋/8⌋)."""
        return self.node("LeakyRelu", value, alpha=LEAK)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, producer_name="vaecodec", opset_imports=opsets, ir_version=IR_VERSION)


def _scaled(values: IntArray, shift: IntArray) -> npt.NDArray[np.float32]:
    """values·2^−shift; exact, since scaling a float by a power of two is."""
    scaled: npt.NDArray[np.float32] = np.ldexp(values.astype(np.float32), -shift.astype(np.int32))
    return scaled


def _add_linear(g: _Graph, data: LinearData, x: str, *, digits: bool, outputs: slice = slice(None)) -> str:
    """[1, groups·in, H, W] -> [1, groups·out, H, W]: a 1 × 1 convolution, grouped where positions have matrices of their own."""
    weight, bias, shift = data.weight[:, outputs], data.bias[:, outputs], data.shift[:, outputs]
    groups, out, inputs = weight.shape

    def convolution(value: str, by: IntArray, *, with_bias: bool) -> str:
        matrices = _scaled(weight, by[:, :, None]).reshape(groups * out, inputs, 1, 1)
        constants = [g.constant(matrices, np.float32)]
        if with_bias:
            constants.append(g.constant(_scaled(bias, by).reshape(-1), np.float32))
        return g.node("Conv", value, *constants, kernel_shape=[1, 1], group=groups)

    if digits:
        digit = np.full_like(shift, DIGIT_SHIFT)
        high = g.node("Floor", g.node("Mul", x, g.constant(2.0**-DIGIT_SHIFT, np.float32)))
        low = g.node("Sub", x, g.node("Mul", high, g.constant(2**DIGIT_SHIFT, np.float32)))
        y = g.node("Floor", convolution(low, digit, with_bias=True))
        y = g.node("Add", convolution(high, 0 * digit, with_bias=False), y)
        rest = _scaled(np.ones_like(shift), shift - digit).reshape(1, groups * out, 1, 1)
        y = g.node("Mul", y, g.constant(rest, np.float32))
    else:
        y = convolution(x, shift, with_bias=True)
    if data.leaky:
        y = g.leaky(y)
    return g.clamp(g.node("Floor", y), -data.limit, data.limit)


def _add_depthwise(g: _Graph, data: DepthwiseData, x: str) -> str:
    C, k, _ = data.weight.shape
    weight = g.constant(_scaled(data.weight, data.shift[:, None, None])[:, None], np.float32)
    bias = g.constant(_scaled(data.bias, data.shift), np.float32)
    y = g.node("Conv", x, weight, bias, kernel_shape=[k, k], pads=[k // 2] * 4, group=C)
    return g.clamp(g.node("Floor", y), -data.limit, data.limit)


class GraphWriter:
    """Writes the graphs of one model.

    Raises:
        DamagedWeightsError: layers or tables are missing, or the bound of a layer's sums cannot be proven.
    """

    def __init__(self, data: ExactData) -> None:
        check_data(data)
        self.data, self.s = data, data.settings
        self.digits = {}
        for name, layer in data.layers.items():
            if isinstance(layer, LinearData):
                self.digits[name], _ = prove_linear(name, layer)
            else:
                prove_bound(name, layer.weight.reshape(len(layer.weight), -1), layer.bias, layer.input_limit)

    def graphs(self) -> dict[str, onnx.ModelProto]:
        """By name: ``prior_start``, ``prior_step_0`` to ``prior_step_3``, ``synthesis``."""
        steps = {STEP.format(k): self._step(k) for k in range(STEPS)}
        return {START: self._start()} | steps | {SYNTHESIS: self._synthesis()}

    def self_test(self) -> onnx.ModelProto:
        """Every layer by itself, from an input to an output of its name: for known integers."""
        g = _Graph("self_test")
        for name, layer in self.data.layers.items():
            if isinstance(layer, LinearData):
                groups, outputs, inputs = layer.weight.shape
                y = self._linear(g, name, g.input(f"{name}.x", TensorProto.FLOAT, [1, groups * inputs, "n", 1]))
                g.output(y, f"{name}.y", TensorProto.FLOAT, [1, groups * outputs, "n", 1])
            else:
                C = layer.weight.shape[0]
                y = _add_depthwise(g, layer, g.input(f"{name}.x", TensorProto.FLOAT, [1, C, "k", "k"]))
                g.output(y, f"{name}.y", TensorProto.FLOAT, [1, C, "k", "k"])
        return g.model()

    def _linear(self, g: _Graph, name: str, x: str, outputs: slice = slice(None)) -> str:
        layer = self.data.layers[name]
        assert isinstance(layer, LinearData)  # checked above
        return _add_linear(g, layer, x, digits=self.digits[name], outputs=outputs)

    def _block(self, g: _Graph, name: str, x: str) -> str:
        depthwise = self.data.layers[f"{name}.depthwise"]
        assert isinstance(depthwise, DepthwiseData)
        y = _add_depthwise(g, depthwise, x)
        y = self._linear(g, f"{name}.project", self._linear(g, f"{name}.expand", y))
        return g.clamp(g.node("Add", y, x), -depthwise.input_limit, depthwise.input_limit)

    def _blocks(self, g: _Graph, name: str, count: int, x: str) -> str:
        for i in range(count):
            x = self._block(g, f"{name}.{i}", x)
        return x

    def _unfold(self, g: _Graph, x: str, by: int) -> str:
        return g.node("DepthToSpace", x, blocksize=by, mode="DCR")

    def _fold(self, g: _Graph, x: str) -> str:
        """[1, C, H, W] -> [1, 4·C, H/2, W/2]: the four positions of a cell one after the other."""
        return g.node("SpaceToDepth", x, blocksize=2)

    def _per_channel(self, g: _Graph, row: str, kind: int) -> str:
        """int32 [C] -> [1, C, 1, 1]."""
        return g.node("Reshape", g.cast(row, kind), g.constant([1, -1, 1, 1], np.int64))

    def _planes(self, g: _Graph, x: str, kind: int) -> str:
        """[1, 4·C, H/2, W/2] by position -> [C, H, W] of an integer type."""
        return g.node("Squeeze", g.cast(self._unfold(g, x, 2), kind), g.constant([0], np.int64))

    def _start(self) -> onnx.ModelProto:
        g, s = _Graph(START), self.s
        stream = self.data.layers["h_s.up16"].limit
        z = g.input("z", TensorProto.INT32, [s.hyper_latents, "rows", "columns"])
        vector = g.input("prior_vector", TensorProto.INT32, [s.prior_width])
        f = g.cast(g.clamp(z, -HYPER_LIMIT, HYPER_LIMIT, np.int32), TensorProto.FLOAT)
        f = g.node("Unsqueeze", f, g.constant([0], np.int64))
        f = self._unfold(g, self._linear(g, "h_s.up32", f), 2)
        f = self._unfold(g, self._linear(g, "h_s.up16", self._block(g, "h_s.block32", f)), 2)
        f = g.clamp(g.node("Add", f, self._per_channel(g, vector, TensorProto.FLOAT)), -stream, stream)
        g.output(f, "features", TensorProto.FLOAT, [1, s.prior_width, "H", "W"])
        return g.model()

    def _step(self, k: int) -> onnx.ModelProto:
        g, s = _Graph(STEP.format(k)), self.s
        group, stream = s.latents // STEPS, self.data.layers["h_s.up16"].limit
        f = g.input("features", TensorProto.FLOAT, [1, s.prior_width, "H", "W"])
        if k:
            y16 = g.input("y16", TensorProto.INT32, [group, "H", "W"])
            place = g.clamp(y16, -CONTEXT_CLAMP, CONTEXT_CLAMP, np.int32)
            place = g.node("Add", place, g.constant(CONTEXT_CLAMP, np.int32))
            u = g.node("Gather", g.constant(self.data.tables["asinh"], np.float32), place, axis=0)
            u = self._fold(g, g.node("Unsqueeze", u, g.constant([0], np.int64)))
            entered = self._unfold(g, self._linear(g, f"context.{k}.enter", u), 2)
            f = g.clamp(g.node("Add", f, entered), -stream, stream)
        f = self._blocks(g, f"context.{k}.blocks", s.prior_blocks, f)
        if k + 1 < STEPS:
            g.output(f, "features_out", TensorProto.FLOAT, [1, s.prior_width, "H", "W"])
        cells = self._fold(g, g.node("Floor", g.leaky(f)))

        def of_step(name: str, kind: int) -> str:
            """A row over the M channels -> [1, 4·M/4, 1, 1]: what each position codes in this step."""
            row = g.node("Reshape", g.input(name, TensorProto.INT32, [s.latents]), g.constant([STEPS, -1], np.int64))
            return self._per_channel(g, g.node("Gather", row, g.constant(coded_group(k), np.int64), axis=0), kind)

        # Means reach 2^30 before the shift: float64.
        mean = g.cast(self._linear(g, f"context.{k}.leave", cells, slice(0, group)), TensorProto.DOUBLE)
        mean = g.node("Mul", mean, of_step("mean_factor", TensorProto.DOUBLE))
        mean = _shifted(g, mean, MEAN_SHIFT)
        g.output(
            self._planes(g, g.cast(mean, TensorProto.FLOAT), TensorProto.INT32),
            "mean", TensorProto.INT32, [group, "H", "W"],
        )  # fmt: skip
        index = self._linear(g, f"context.{k}.leave", cells, slice(group, None))
        index = g.node("Add", index, of_step("index_offset", TensorProto.FLOAT))
        index = g.clamp(_shifted(g, index, INDEX_SHIFT, np.float32), 0, INDEX_LEVELS - 1)
        coded = g.cast(g.node("GreaterOrEqual", index, g.constant(CERTAIN_BELOW, np.float32)), TensorProto.FLOAT)
        index = g.node("Mul", index, coded)
        g.output(self._planes(g, index, TensorProto.UINT8), "index", TensorProto.UINT8, [group, "H", "W"])
        return g.model()

    @property
    def has_deep_samples(self) -> bool:
        """Whether there is a graph :meth:`synthesis_deep`."""
        layer = self.data.layers["g_s.patches"]
        return isinstance(layer, LinearData) and with_deep_samples(layer) is not None

    def synthesis_deep(self) -> onnx.ModelProto:
        """As the graph of the synthesis, with samples of 16 bits, int32.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        layer = self.data.layers["g_s.patches"]
        assert isinstance(layer, LinearData)  # checked above
        deep = with_deep_samples(layer)
        if deep is None:
            raise no_deep_samples()
        g = _Graph(SYNTHESIS_DEEP)
        digits, _ = prove_linear("g_s.patches of 16 bits", deep)
        x = _add_linear(g, deep, self._features(g), digits=digits)
        x = g.node("Add", g.cast(x, TensorProto.DOUBLE), g.constant(128 << DEEP_SHIFT, np.float64))
        x = g.node("Mul", g.clamp(x, 0, 255 << DEEP_SHIFT, np.float64), g.constant(257, np.float64))
        self._samples(g, _shifted(g, x, DEEP_SHIFT), TensorProto.INT32)
        return g.model()

    def _synthesis(self) -> onnx.ModelProto:
        g = _Graph(SYNTHESIS)
        x = g.node("Add", self._linear(g, "g_s.patches", self._features(g)), g.constant(128, np.float32))
        self._samples(g, g.clamp(x, 0, 255), TensorProto.UINT8)
        return g.model()

    def _samples(self, g: _Graph, x: str, kind: int) -> None:
        """[1, 192, H, W] -> the output [8H, 8W, 3]."""
        x = g.node("Squeeze", self._unfold(g, x, PATCH), g.constant([0], np.int64))
        g.output(g.cast(g.node("Transpose", x, perm=[1, 2, 0]), kind), "samples", kind, ["16h", "16w", 3])

    def _features(self, g: _Graph) -> str:
        """The inputs, and what the last layer takes."""
        s = self.s
        pairs, patches = self.data.layers["g_s.pairs"], self.data.layers["g_s.patches"]
        y16 = g.input("y16", TensorProto.INT32, [s.latents, "h", "w"])
        latent_factor = g.input("latent_factor", TensorProto.INT32, [s.latents])
        feature_factor = g.input("feature_factor", TensorProto.INT32, [s.features])
        # Products of features and factors reach 2^31: float64.
        shift = self.data.tables["latent_shift"].reshape(1, -1, 1, 1).astype(np.int32)
        half = ((1 << shift.astype(np.int64)) >> 1).astype(np.float64)
        f = g.cast(g.clamp(y16, -LATENT_CLAMP, LATENT_CLAMP, np.int32), TensorProto.DOUBLE)
        f = g.node("Unsqueeze", f, g.constant([0], np.int64))
        f = g.node("Mul", f, self._per_channel(g, latent_factor, TensorProto.DOUBLE))
        f = g.node("Add", f, g.constant(half, np.float64))
        f = g.node("Floor", g.node("Mul", f, g.constant(np.ldexp(1.0, -shift), np.float64)))
        f = g.cast(g.clamp(f, -pairs.input_limit, pairs.input_limit, np.float64), TensorProto.FLOAT)
        f = self._blocks(g, "g_s.blocks16", s.synthesis_blocks16, f)
        f = self._unfold(g, self._linear(g, "g_s.pairs", f), 2)
        f = g.node("Mul", g.cast(f, TensorProto.DOUBLE), self._per_channel(g, feature_factor, TensorProto.DOUBLE))
        f = g.cast(_shifted(g, f, FEATURE_SHIFT), TensorProto.FLOAT)
        f = g.clamp(f, -patches.input_limit, patches.input_limit)
        return self._blocks(g, "g_s.blocks8", s.synthesis_blocks8, f)


def _shifted(g: _Graph, value: str, shift: int, dtype: npt.DTypeLike = np.float64) -> str:
    """(x + 2^(shift − 1)) >> shift."""
    rounded = g.node("Add", value, g.constant(1 << (shift - 1), dtype))
    return g.node("Floor", g.node("Mul", rounded, g.constant(2.0**-shift, dtype)))
