"""From the layers of a trained float model to integer layers: ranges from what calibration items reach, then rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vaecodec.exact.integers import DepthwiseData, LinearData
from vaecodec.exact.rounding import FloatArray, ScaleTooFineError, round_depthwise, round_linear
from vaecodec.models.decoder_data import FEATURE_LIMIT, FEATURE_SHIFT
from vaecodec.models.layers import LEAK, PositionLinear, ResidualBlock

CALIBRATION_QUALITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MARGIN = 3.5
"""Ranges are wider than what the calibration items reach by this factor, where nothing else is said."""
WIDENINGS = 200
"""How often ranges may be doubled."""


def numpy(x: Tensor) -> FloatArray:
    """Parameter -> float64 array."""
    return x.detach().double().cpu().numpy()


ZONE_CONTRAST = 0.85
"""Of the zone plates. More would cost photographs precision."""


def extreme_patterns(side: int = 256) -> npt.NDArray[np.uint8]:
    """Checks, stripes and mosaics of saturated colours, with cells of 1 to 32 samples, and zone plates: uint8 [72, side, side, 3].

    No photograph drives a synthesis as far: where only photographs set its ranges, such pictures lost 0.2 to 1.5 dB, and gratings 5 to 15.
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
    # Rings of every frequency and direction, around a corner or the middle.
    for number, (oy, ox) in enumerate([(0, 0), (0, side - 1), (side / 2, side / 2), (side - 1, 0)] * 2):
        reach = side / 2 if oy == side / 2 else side
        phase = 0.7 * (number // 2)
        wave = 0.5 + ZONE_CONTRAST / 2 * np.cos(np.pi * ((x - ox) ** 2 + (y - oy) ** 2) / (2 * reach) + phase)
        low, high = black_and_white if number < 2 else rng.permutation(colours)[:2]
        pictures.append(np.rint(low + (high - low) * wave[:, :, None]))
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

    def watch(self, name: str, module: nn.Module, *, inputs: bool = False, leaky: bool = False) -> RemovableHandle:
        """Takes note of what a module gives, or takes, whenever it runs."""

        def hook(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            x = given[0] if inputs else out
            self.see(name, torch.nn.functional.leaky_relu(x, LEAK) if leaky else x)

        return module.register_forward_hook(hook)

    def watch_block(self, name: str, block: ResidualBlock) -> list[RemovableHandle]:
        """Takes note of what is inside a residual block, and of the stream on both sides of it."""
        return [
            self.watch(f"{name}.depthwise", block.depthwise),
            self.watch(f"{name}.expand", block.expand, leaky=True),
            self.watch(f"{name}.stream", block, inputs=True),
            self.watch(f"{name}.stream", block),
        ]

    def widen(self, name: str, rows: npt.NDArray[np.bool_]) -> None:
        """Doubles the range of some channels; ``rows`` may run over the four cells of a layer that unfolds."""
        largest = self.largest[name]
        largest[rows.reshape(-1, len(largest)).any(axis=0)] *= 2

    def scale(self, limit: int, *names: str) -> FloatArray:
        """Integers per unit, per channel, so that ±limit holds the largest of all ``names``."""
        largest = np.max([self.largest[name] for name in names], axis=0)
        scale: FloatArray = limit / np.maximum(largest, 1e-3)
        return scale


@dataclass(frozen=True)
class Margins:
    """By which factors ranges of one half of the image model are wider than what calibration crops reach.

    Attributes:
        transform: ``g_s`` or ``g_a``: it holds what :func:`extreme_patterns` reach besides; there saturation shows.
        stream: on residual streams of the transform.
        inner: inside its residual blocks.
        other: in what surrounds it, the prior or the hyper analysis.
        patterns16: for the patterns on its streams at 1/16, where one frequency may fill a channel; elsewhere they count as they are.
    """

    transform: str
    stream: float
    inner: float
    other: float
    patterns16: float = 2.0

    def on_pictures(self, name: str) -> float:
        """The factor for crops at ``name``."""
        if not name.startswith(self.transform):
            return self.other
        return self.stream if self._is_stream(name) else self.inner

    def on_patterns(self, name: str) -> float:
        """The same for extreme patterns: what does not show ignores them."""
        if not name.startswith(self.transform):
            return 0.0
        at16 = ".blocks16." in name or name in ("g_s.pairs.input", "g_a.pairs")
        return self.patterns16 if at16 and self._is_stream(name) else 1.0

    def _is_stream(self, name: str) -> bool:
        return name.startswith(self.transform) and not name.endswith((".depthwise", ".expand"))


def calibrate(
    model: nn.Module,
    crops: Tensor,
    run: Callable[[Tensor, Tensor], object],
    margins: Margins,
    *,
    parts: tuple[str, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
) -> ChannelMaxima:
    """What the channels of one half of the image model reach, with margins.

    Args:
        model: float, on the processor.
        crops: uint8 [N, H, W, 3], H and W multiples of 64.
        run: computes this half of crops, [B, H, W, 3], at qualities, [B].
        margins: see there.
        parts: whose residual blocks are watched, by the beginnings of their names.
        inputs: modules whose inputs are watched.
        outputs: modules whose outputs are.
    """
    maxima = ChannelMaxima()
    handles: list[RemovableHandle] = []
    for name, module in model.named_modules():
        if isinstance(module, ResidualBlock) and name.startswith(parts):
            handles += maxima.watch_block(name, module)
        if name in inputs:
            handles.append(maxima.watch(f"{name}.input", module, inputs=True))
        if name in outputs:
            handles.append(maxima.watch(name, module))
    patterns = torch.from_numpy(extreme_patterns())
    for margin, pictures in ((margins.on_pictures, crops), (margins.on_patterns, patterns)):
        maxima.margin = margin
        for x in torch.split(pictures, 8):
            for quality in CALIBRATION_QUALITIES:
                run(x, torch.full((len(x),), quality))
    for handle in handles:
        handle.remove()
    return maxima


class RangeTooNarrowError(Exception):
    """Inputs within their clamps could drive outputs of a layer past the bound: the range of ``name`` must be wider."""

    def __init__(self, name: str, rows: npt.NDArray[np.bool_]) -> None:
        super().__init__(name)
        self.name, self.rows = name, rows


_T = TypeVar("_T")


def until_wide_enough(maxima: ChannelMaxima, round_layers: Callable[[], _T]) -> _T:
    """Rounds layers, doubling ranges until the bound of exact sums holds.

    They are too narrow for channels that the pictures hardly drive, as in a model that has not been trained for long.
    """
    for _ in range(WIDENINGS):
        try:
            return round_layers()
        except RangeTooNarrowError as error:
            if not error.name:
                raise
            maxima.widen(error.name, error.rows)
    raise ValueError(f"after {WIDENINGS} doublings of ranges the bound of exact sums still does not hold")


class Stream(NamedTuple):
    """What passes from layer to layer.

    Attributes:
        scale: integers per unit, [C].
        limit: its clamp.
        ranged_by: the maxima that set the scale; empty where it is fixed.
    """

    scale: FloatArray
    limit: int
    ranged_by: str = ""


def scale_behind(before: Stream, scale: FloatArray, log_factors: Tensor) -> FloatArray:
    """A scale behind the factors over quality: coarser where the integers of a factor, from ``before`` to it, would leave their range.

    Args:
        before: what is multiplied.
        scale: integers per unit of the product, [C].
        log_factors: at each anchor, [A, C].
    """
    highest = 0.99 * FEATURE_LIMIT / (1 << FEATURE_SHIFT)
    coarsened: FloatArray = np.minimum(scale, highest * before.scale / numpy(log_factors.exp()).max(axis=0))
    return coarsened


Scales = dict[str, npt.NDArray[np.float32]]
"""Integers per unit by layer and side, and parameters of channels, [C]: with them integers can be made floats again."""


def as_scales(parameters: Mapping[str, Tensor]) -> Scales:
    """Parameters of channels, by their names in the float model."""
    return {name: numpy(value).astype(np.float32) for name, value in parameters.items()}


SOURCE, TARGET = "source", "target"
"""Of a layer: the stream that it reads, the one that it writes."""


class Rounder:
    """Collects the rounded layers of one model, and how many integers a unit has on both sides of each."""

    def __init__(self, model: nn.Module, maxima: ChannelMaxima) -> None:
        self.model, self.maxima = model, maxima
        self.layers: dict[str, LinearData | DepthwiseData] = {}
        self.scales: Scales = {}

    def _note(self, name: str, source: Stream, target: Stream) -> None:
        for side, stream in ((SOURCE, source), (TARGET, target)):
            self.scales[f"{name}.{side}"] = stream.scale.astype(np.float32)

    def linear(self, name: str, source: Stream, target: Stream, *, leaky: bool = False, digits: bool = False) -> None:
        """Rounds ``nn.Linear`` or ``PositionLinear``; where it folds or unfolds, the channels of a stream come several times."""
        self._note(name, source, target)
        module = self.model.get_submodule(name)
        if isinstance(module, PositionLinear):
            weight, bias = numpy(module.weight).transpose(0, 2, 1), numpy(module.bias)[:, 0]
        else:
            assert isinstance(module, nn.Linear)
            weight, bias = numpy(module.weight)[None], numpy(module.bias)[None]
        _, outputs, inputs = weight.shape
        try:
            self.layers[name] = round_linear(
                weight, bias, input_scale=np.tile(source.scale, inputs // len(source.scale)),
                output_scale=np.tile(target.scale, outputs // len(target.scale)), input_limit=source.limit,
                limit=target.limit, leaky=leaky, digits=digits,
            )  # fmt: skip
        except ScaleTooFineError as error:
            raise RangeTooNarrowError(target.ranged_by, error.rows) from error

    def block(self, name: str, stream: Stream, between: Stream, hidden: Stream, *, digits: bool = False) -> None:
        """Rounds one residual block on a stream; ``between`` follows its depthwise convolution, ``hidden`` its expanding layer."""
        self._note(f"{name}.depthwise", stream, between)
        block = self.model.get_submodule(name)
        assert isinstance(block, ResidualBlock)
        try:
            self.layers[f"{name}.depthwise"] = round_depthwise(
                numpy(block.depthwise.weight)[:, 0], numpy(block.depthwise.bias), input_scale=stream.scale,
                output_scale=between.scale, input_limit=stream.limit, limit=between.limit,
            )  # fmt: skip
        except ScaleTooFineError as error:
            raise RangeTooNarrowError(between.ranged_by, error.rows) from error
        self.linear(f"{name}.expand", between, hidden, leaky=True, digits=digits)
        self.linear(f"{name}.project", hidden, stream, digits=digits)

    def blocks(self, names: list[str], stream: Stream, *, inner: int, digits: bool = False) -> None:
        """Rounds residual blocks on one stream, with ``inner`` as the clamp of what is inside; their linear layers take that in two digits if asked."""
        for name in names:
            places = f"{name}.depthwise", f"{name}.expand"
            between, hidden = (Stream(self.maxima.scale(inner, place), inner, place) for place in places)
            self.block(name, stream._replace(ranged_by=f"{names[0]}.stream"), between, hidden, digits=digits)
