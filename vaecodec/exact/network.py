"""A set of exact layers built for one arithmetic and device, and the self-test that says whether that is exact here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from vaecodec.errors import DamagedWeightsError, ExactArithmeticError
from vaecodec.exact.arithmetic import Arithmetic, exact_guard
from vaecodec.exact.integers import DepthwiseData, LinearData
from vaecodec.exact.layers import ExactBlock, ExactDepthwise, ExactLinear


class LayerSet:
    """The layers of one model.

    Args:
        shapes: of the weight of every layer by name, [groups, out, in] or [channels, k, k].
        data: their integers.
        arithmetic: what carries the integers.
        device: where.

    Raises:
        DamagedWeightsError: a layer is missing or has another shape, or its bound cannot be proven.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        data: Mapping[str, LinearData | DepthwiseData],
        arithmetic: Arithmetic,
        device: torch.device,
    ) -> None:
        self.arithmetic, self.device = arithmetic, device
        self.built: dict[str, ExactLinear | ExactDepthwise] = {}
        for name, shape in shapes.items():
            layer = data.get(name)
            if layer is None or layer.weight.shape != shape:
                raise DamagedWeightsError(f"layer {name} of the weights is missing or has another shape than {shape}")
            self.built[name] = (
                ExactLinear(name, layer, arithmetic, device)
                if isinstance(layer, LinearData)
                else ExactDepthwise(name, layer, arithmetic, device)
            )

    def linear(self, name: str) -> ExactLinear:
        """The linear layer of this name."""
        layer = self.built[name]
        if not isinstance(layer, ExactLinear):
            raise DamagedWeightsError(f"layer {name} of the weights is of the wrong kind")
        return layer

    def block(self, name: str) -> ExactBlock:
        """The residual block of this name."""
        depthwise = self.built[f"{name}.depthwise"]
        if not isinstance(depthwise, ExactDepthwise):
            raise DamagedWeightsError(f"layer {name}.depthwise of the weights is of the wrong kind")
        return ExactBlock(depthwise, self.linear(f"{name}.expand"), self.linear(f"{name}.project"))

    def blocks(self, name: str, count: int) -> list[ExactBlock]:
        """``count`` numbered blocks."""
        return [self.block(f"{name}.{i}") for i in range(count)]


def self_test(layers: LayerSet) -> bool:
    """Known integers through every layer, worst cases among them, against int64: whether this arithmetic is exact here."""
    if layers.arithmetic is Arithmetic.INT64 and layers.device.type == "cpu":
        return True
    generator = np.random.default_rng(20260101)
    cpu = torch.device("cpu")
    for name, layer in layers.built.items():
        limit = layer.data.input_limit
        if isinstance(layer, ExactLinear):
            groups, outputs, inputs = layer.data.weight.shape
            worst = np.sign(layer.data.weight[:, :: max(1, outputs // 8)]).astype(np.int64) * limit
            x = np.concatenate([worst, generator.integers(-limit, limit + 1, (groups, 8, inputs))], axis=1)
            x = x if groups == 4 else x[0]
            reference: ExactLinear | ExactDepthwise = ExactLinear(name, layer.data, Arithmetic.INT64, cpu)
        else:
            C, k, _ = layer.data.weight.shape
            x = generator.integers(-limit, limit + 1, (1, 8, 8, C))
            x[0, :k, :k] = (np.sign(layer.data.weight).astype(np.int64) * limit).transpose(1, 2, 0)
            reference = ExactDepthwise(name, layer.data, Arithmetic.INT64, cpu)
        whole = torch.from_numpy(np.ascontiguousarray(x, dtype=np.int64))
        with exact_guard():
            got = layer(whole.to(layers.device, layers.arithmetic.dtype)).cpu().to(torch.int64)
            if not torch.equal(got, reference(whole)):
                return False
    return True


L = TypeVar("L", bound=LayerSet)


def first_exact(
    make: Callable[[Arithmetic, torch.device], L], device: torch.device, arithmetic: Arithmetic | None = None
) -> L:
    """Layers in the first arithmetic that passes the self-test: float32, float64, then int64 on the processor.

    Args:
        make: builds them.
        device: where to compute.
        arithmetic: only this one, for tests.

    Raises:
        ExactArithmeticError: none passed.
        DamagedWeightsError: the bound cannot be proven, or layers are missing.
    """
    for candidate in [arithmetic] if arithmetic else list(Arithmetic):
        layers = make(candidate, torch.device("cpu") if candidate is Arithmetic.INT64 else device)
        if self_test(layers):
            return layers
    raise ExactArithmeticError(f"sums of integers are not exact on {device}: nothing can be decoded here")
