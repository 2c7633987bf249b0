"""The exact decoding half in onnxruntime: for machines without torch, and as a second arithmetic that gives the same integers."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from vaecodec.backends.onnx_graphs import START, STEP, SYNTHESIS, SYNTHESIS_DEEP, GraphWriter
from vaecodec.errors import ExactArithmeticError
from vaecodec.exact.integers import LEAK_SHIFT, DepthwiseData, IntArray, LinearData
from vaecodec.models.decoder_data import ExactData, QualityTables, synthesis_halo
from vaecodec.models.settings import STRIDE, Z_STRIDE

_ERRORS_ONLY = 3


def open_session(model: onnx.ModelProto, threads: int | None = None) -> onnxruntime.InferenceSession:
    """A session on the processor.

    Args:
        model: a graph.
        threads: of the session; None leaves the number to onnxruntime.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    # Between calls no thread shall spin: the coder runs in between.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class OnnxBackend:
    """Prior and synthesis of one model; it has no encoder.

    Args:
        data: the integers of the decoding half; the graphs are built from them here.
        threads: of each session; None leaves the number to onnxruntime.

    Raises:
        DamagedWeightsError: something is missing, or the bound of a layer's sums cannot be proven.
        ExactArithmeticError: sums of integers are not exact in this onnxruntime.
    """

    name = "onnx"

    def __init__(self, data: ExactData, *, threads: int | None = None) -> None:
        self.settings = data.settings
        writer = GraphWriter(data)
        if not self_test(data, open_session(writer.self_test(), threads)):
            raise ExactArithmeticError(
                "sums of integers are not exact in this onnxruntime: nothing can be decoded here"
            )
        self.sessions = {name: open_session(model, threads) for name, model in writer.graphs().items()}
        self.quality = QualityTables(data.tables)
        self._writer, self._threads, self._lock = writer, threads, Lock()

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return synthesis_halo(self.settings)

    @property
    def latents(self) -> int:
        """M: channels of y."""
        return self.settings.latents

    def hyper_indices(self, quality16: int, height: int, width: int) -> IntArray:
        """Table indices of z for a grid of ``height`` × ``width`` latents: uint8 [Z, ceil(h/4), ceil(w/4)]."""
        return self.quality.hyper_indices(quality16, height, width)

    def begin(self, z: IntArray, quality16: int, height: int, width: int) -> OnnxPriorPass:
        """Starts on the symbols of z: int32 [Z, ceil(h/4), ceil(w/4)], for a grid of ``height`` × ``width`` latents."""
        return OnnxPriorPass(self, z, quality16, height, width)

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        samples: npt.NDArray[np.uint8] = self._synthesise(SYNTHESIS, y16, quality16)
        return samples

    def _synthesise(self, graph: str, y16: IntArray, quality16: int) -> IntArray:
        if y16.dtype != np.int32:
            raise TypeError(f"latents are int32 sixteenths of a step, not {y16.dtype}")
        if 0 in y16.shape:
            return np.zeros((STRIDE * y16.shape[0], STRIDE * y16.shape[1], 3), np.uint8)
        rows = {name: self.quality.at(name, quality16) for name in ("latent_factor", "feature_factor")}
        samples: IntArray
        (samples,) = self.run(graph, y16=np.ascontiguousarray(y16.transpose(2, 0, 1)), **rows)
        return samples

    def synthesise_16_bit(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        with self._lock:
            if SYNTHESIS_DEEP not in self.sessions:
                self.sessions[SYNTHESIS_DEEP] = open_session(self._writer.synthesis_deep(), self._threads)
        return self._synthesise(SYNTHESIS_DEEP, y16, quality16)

    def run(self, name: str, **inputs: IntArray) -> list[Any]:
        """Runs a graph."""
        outputs: list[Any] = self.sessions[name].run(None, inputs)
        return outputs


class OnnxPriorPass:
    """One tile on its way through the prior."""

    def __init__(self, backend: OnnxBackend, z: IntArray, quality16: int, height: int, width: int) -> None:
        self._backend, self._size = backend, (height, width)
        self._padded = (Z_STRIDE * z.shape[1], Z_STRIDE * z.shape[2])
        rows = {name: backend.quality.at(name, quality16) for name in ("prior_vector", "mean_factor", "index_offset")}
        (self._features,) = backend.run(START, z=z, prior_vector=rows.pop("prior_vector"))
        self._rows, self._k = rows, 0
        self._previous: dict[str, IntArray] = {}

    def next(self) -> tuple[IntArray, IntArray]:
        """μ in sixteenths of a step, int32 [M/4, h, w], and table indices 0..63, uint8 [M/4, h, w], of the next step."""
        step = STEP.format(self._k)
        *forward, mean, index = self._backend.run(step, features=self._features, **self._previous, **self._rows)
        self._features = forward[0] if forward else None
        height, width = self._size
        return mean[:, :height, :width], np.ascontiguousarray(index[:, :height, :width])

    def put(self, y16: IntArray) -> None:
        """Hands in the latents of the step asked for last: int32 [M/4, h, w], symbol·16 + μ."""
        height, width = self._size
        # Zeros beyond the tile.
        grid = np.zeros((len(y16), *self._padded), np.int32)
        grid[:, :height, :width] = y16
        self._previous, self._k = {"y16": grid}, self._k + 1


def self_test(data: ExactData, session: onnxruntime.InferenceSession) -> bool:
    """Known integers through every layer, worst cases among them, against float64: whether float32 is exact here."""
    generator = np.random.default_rng(20260101)
    inputs: dict[str, npt.NDArray[np.float32]] = {}
    expected: dict[str, IntArray] = {}
    for name, layer in data.layers.items():
        limit = layer.input_limit
        if isinstance(layer, LinearData):
            groups, outputs, width = layer.weight.shape
            worst = np.sign(layer.weight[:, :: max(1, outputs // 8)]) * limit
            x = np.concatenate([worst, generator.integers(-limit, limit + 1, (groups, 8, width))], axis=1)
            inputs[f"{name}.x"] = _columns(x).astype(np.float32)
            expected[f"{name}.y"] = _columns(_linear_in_float64(layer, x))
        else:
            x = np.sign(layer.weight) * limit
            inputs[f"{name}.x"] = x[None].astype(np.float32)
            expected[f"{name}.y"] = _depthwise_in_float64(layer, x)
    got = dict(zip((output.name for output in session.get_outputs()), session.run(None, inputs), strict=True))
    return all(np.array_equal(got[name], values) for name, values in expected.items())


def _columns(x: IntArray) -> IntArray:
    """[groups, n, channels] -> [1, groups·channels, n, 1]."""
    columns: IntArray = x.transpose(0, 2, 1).reshape(1, -1, x.shape[1], 1)
    return columns


def _linear_in_float64(layer: LinearData, x: IntArray) -> IntArray:
    """[groups, n, in] -> [groups, n, out]; float64 holds every sum that is below 2^53."""
    product = x.astype(np.float64) @ layer.weight.astype(np.float64).transpose(0, 2, 1)
    t = (product.astype(np.int64) + layer.bias[:, None]) >> layer.shift[:, None]
    t = np.maximum(t, t >> LEAK_SHIFT) if layer.leaky else t
    clamped: IntArray = np.clip(t, -layer.limit, layer.limit)
    return clamped


def _depthwise_in_float64(layer: DepthwiseData, x: IntArray) -> IntArray:
    """[C, k, k] -> [1, C, k, k]."""
    k = layer.weight.shape[1]
    padded = np.pad(x.astype(np.int64), ((0, 0), (k // 2, k // 2), (k // 2, k // 2)))
    total = sum(
        padded[:, i : i + k, j : j + k] * layer.weight[:, i, j, None, None].astype(np.int64)
        for i in range(k)
        for j in range(k)
    )
    t = (total + layer.bias[:, None, None]) >> layer.shift[:, None, None]
    clamped: IntArray = np.clip(t, -layer.limit, layer.limit)
    return clamped[None]
