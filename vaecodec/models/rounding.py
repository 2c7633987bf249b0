"""From the layers of a trained float model to integer layers: ranges from what calibration items reach, then rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vaecodec.exact.integers import DepthwiseData, LinearData
from vaecodec.exact.rounding import FloatArray, ScaleTooFineError, round_depthwise, round_linear
from vaecodec.models.image import ImageModel
from vaecodec.models.layers import PositionLinear, ResidualBlock

CALIBRATION_QUALITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MARGIN = 3.5
"""Ranges are wider than what the calibration items reach by this factor, where nothing else is said."""
WIDENINGS = 200
"""How often ranges may be doubled."""


def numpy(x: Tensor) -> FloatArray:
    """Parameter -> float64 array."""
    return x.detach().double().cpu().numpy()


def extreme_patterns(side: int = 256) -> npt.NDArray[np.uint8]:
    """Checks, stripes and mosaics of saturated colours, with cells of 1 to 32 samples: uint8 [64, side, side, 3].

    No photograph drives a synthesis as far: where only photographs set its ranges, such pictures lost 0.2 to 1.5 dB.
    """
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:side, :side]
    colours = np.array([[c >> 2 & 1, c >> 1 & 1, c & 1] for c in range(8)]) * 255
    black_and_white = colours[[0, 7]]
    pictures = []
    for cell in (1, 2, 3, 4, 6, 8, 16, 32):
        for palette in (colours, black_and_white):
            cells = rng.integers(0, len(palette), (-(-side // cell),) * 2)
            pictures.append(palette[cells].repeat(cell, 0).repeat(cell, 1)[:side, :side])
        for cells in (x // cell + y // cell, x // cell, y // cell):
            for pair in (black_and_white, rng.permutation(colours)[:2]):
                pictures.append(pair[cells % 2])
    return np.stack(pictures).astype(np.uint8)


class ChannelMaxima:
    """Largest magnitude per channel at the outputs of modules, times a margin, over all passes of hooked models.

    Attributes:
        largest: of each name, [C].
        margin: factor for what is seen next, by name.
    """

    def __init__(self, margin: Callable[[str], float] = lambda name: MARGIN) -> None:
        self.largest: dict[str, FloatArray] = {}
        self.margin = margin

    def see(self, name: str, x: Tensor) -> None:
        """Takes note of [..., C]."""
        seen = self.margin(name) * numpy(x.abs().flatten(0, -2).amax(0))
        self.largest[name] = np.maximum(self.largest.get(name, np.zeros_like(seen)), seen)

    def watch(self, model: ImageModel) -> list[torch.utils.hooks.RemovableHandle]:
        """Hooks on everything whose range matters."""
        handles: list[torch.utils.hooks.RemovableHandle] = []
        for name, module in model.named_modules():
            if not name.startswith(("g_s", "h_s", "context")):
                continue
            if isinstance(module, ResidualBlock):
                self._hook(handles, f"{name}.depthwise", module.depthwise)
                self._hook(handles, f"{name}.expand", module.expand, leaky=True)
                self._hook(handles, f"{name}.stream", module, inputs=True)
                self._hook(handles, f"{name}.stream", module)
            elif name in ("g_s.pairs", "g_s.patches"):
                self._hook(handles, f"{name}.input", module, inputs=True)
                if name == "g_s.pairs":
                    self._hook(handles, name, module)
        return handles

    def _hook(
        self,
        handles: list[torch.utils.hooks.RemovableHandle],
        name: str,
        module: nn.Module,
        *,
        inputs: bool = False,
        leaky: bool = False,
    ) -> None:
        def hook(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            x = given[0] if inputs else out
            self.see(name, torch.nn.functional.leaky_relu(x, 0.125) if leaky else x)

        handles.append(module.register_forward_hook(hook))

    def widen(self, name: str, rows: npt.NDArray[np.bool_]) -> None:
        """Doubles the range of some channels; ``rows`` may run over the four cells of a layer that unfolds."""
        largest = self.largest[name]
        largest[rows.reshape(-1, len(largest)).any(axis=0)] *= 2

    def scale(self, limit: int, *names: str) -> FloatArray:
        """Integers per unit, per channel, so that ±limit holds the largest of all ``names``."""
        largest = np.max([self.largest[name] for name in names], axis=0)
        scale: FloatArray = limit / np.maximum(largest, 1e-3)
        return scale


class RangeTooNarrowError(Exception):
    """Inputs within their clamps could drive outputs of a layer past the bound: the range of ``name`` must be wider."""

    def __init__(self, name: str, rows: npt.NDArray[np.bool_]) -> None:
        super().__init__(name)
        self.name, self.rows = name, rows


class Rounder:
    """Collects the rounded layers of one model."""

    def __init__(self, model: nn.Module, maxima: ChannelMaxima) -> None:
        self.model, self.maxima = model, maxima
        self.layers: dict[str, LinearData | DepthwiseData] = {}

    def linear(
        self,
        name: str,
        *,
        ranged_by: str = "",
        input_scale: FloatArray,
        output_scale: FloatArray,
        input_limit: int,
        limit: int,
        leaky: bool = False,
        digits: bool = False,
    ) -> None:
        """Rounds ``nn.Linear`` or ``PositionLinear``; ``ranged_by`` names the maxima that set the output scale."""
        module = self.model.get_submodule(name)
        if isinstance(module, PositionLinear):
            weight, bias = numpy(module.weight).transpose(0, 2, 1), numpy(module.bias)[:, 0]
        else:
            assert isinstance(module, nn.Linear)
            weight, bias = numpy(module.weight)[None], numpy(module.bias)[None]
        try:
            self.layers[name] = round_linear(
                weight, bias, input_scale=input_scale, output_scale=output_scale, input_limit=input_limit, limit=limit,
                leaky=leaky, digits=digits,
            )  # fmt: skip
        except ScaleTooFineError as error:
            raise RangeTooNarrowError(ranged_by, error.rows) from error

    def block(
        self,
        name: str,
        scale: FloatArray,
        between: FloatArray,
        hidden: FloatArray,
        *,
        stream: int,
        inner: int,
        ranged_by: tuple[str, str, str],
    ) -> None:
        """Rounds one residual block.

        Args:
            name: of the module.
            scale: integers per unit of the stream; ``between`` after the depthwise convolution, ``hidden`` after expanding.
            between: see there.
            hidden: see there.
            stream: clamp of the stream; ``inner`` of what is inside.
            inner: see there.
            ranged_by: the maxima that set ``between``, ``hidden`` and ``scale``.
        """
        block = self.model.get_submodule(name)
        assert isinstance(block, ResidualBlock)
        try:
            self.layers[f"{name}.depthwise"] = round_depthwise(
                numpy(block.depthwise.weight)[:, 0], numpy(block.depthwise.bias),
                input_scale=scale, output_scale=between, input_limit=stream, limit=inner,
            )  # fmt: skip
        except ScaleTooFineError as error:
            raise RangeTooNarrowError(ranged_by[0], error.rows) from error
        self.linear(
            f"{name}.expand", ranged_by=ranged_by[1], input_scale=between, output_scale=hidden, input_limit=inner,
            limit=inner, leaky=True,
        )  # fmt: skip
        self.linear(
            f"{name}.project", ranged_by=ranged_by[2], input_scale=hidden, output_scale=scale, input_limit=inner,
            limit=stream,
        )  # fmt: skip

    def blocks(self, names: list[str], scale: FloatArray, *, stream: int, inner: int) -> None:
        """Rounds residual blocks on one stream of this scale; the input of the first names the stream."""
        for name in names:
            depthwise, expand = f"{name}.depthwise", f"{name}.expand"
            between, hidden = self.maxima.scale(inner, depthwise), self.maxima.scale(inner, expand)
            ranged_by = (depthwise, expand, f"{names[0]}.stream")
            self.block(name, scale, between, hidden, stream=stream, inner=inner, ranged_by=ranged_by)
