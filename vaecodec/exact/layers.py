"""Exact layers: integers in, integers out, the same on every machine.

A layer computes ``clamp(act(floor((W·x + b) · 2^−s)), −limit, limit)`` with integer W, b, x, and s per output channel; rounding is folded
into b, and the activation, if any, is max(t, floor(t/8)). A linear layer may be cut into parts over its inputs where the
precision needs more than the bound allows: each part is shifted and floored, four fractional bits kept, then the integers are
added, and the sum is shifted by those four bits and floored. Activations are channels last and hold integers in the carrying type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.errors import DamagedWeightsError
from vaecodec.exact.arithmetic import BOUND, Arithmetic, IntArray, prove_bound

LEAK_SHIFT = 3
"""The leaky ReLU is max(x, floor(x / 2^3))."""

GUARD_SHIFT = 4
"""Parts of a split layer are added with this many more fractional bits than its outputs have."""


@dataclass(frozen=True)
class LinearData:
    """The integers of a linear layer.

    Attributes:
        weight: [groups, out, in]; one group, or four for the positions of a 2×2 cell.
        bias: [parts, groups, out]; the inputs are cut into that many equal parts.
        shift: [groups, out], 0..30; with several parts, the shift of each, which leaves four fractional bits.
        limit: outputs are within ±limit.
        input_limit: inputs are within ±input_limit.
        leaky: whether the leaky ReLU follows.
    """

    weight: IntArray
    bias: IntArray
    shift: IntArray
    limit: int
    input_limit: int
    leaky: bool


@dataclass(frozen=True)
class DepthwiseData:
    """The integers of a depthwise convolution.

    Attributes:
        weight: [channels, k, k], k odd.
        bias: [channels].
        shift: [channels], 0..30.
        limit: outputs are within ±limit.
        input_limit: inputs are within ±input_limit.
    """

    weight: IntArray
    bias: IntArray
    shift: IntArray
    limit: int
    input_limit: int


def carried(values: IntArray, shift: IntArray | int, arithmetic: Arithmetic, device: torch.device) -> Tensor:
    """values·2^−shift in the carrying type; exact, since scaling a float by a power of two is. int64 keeps the values."""
    whole = torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
    if arithmetic is Arithmetic.INT64:
        return whole.to(device)
    return torch.ldexp(whole.to(arithmetic.dtype), torch.from_numpy(np.asarray(-shift, np.int64))).to(device)


def require_integers(x: Tensor, arithmetic: Arithmetic) -> None:
    """A tensor of another type than the carrying one would be a float that strayed into the integer path."""
    if x.dtype is not arithmetic.dtype:
        raise TypeError(f"exact layers take integers carried by {arithmetic.dtype}, not {x.dtype}")


class ExactLinear:
    """A 1×1 convolution or, with four groups, one matrix for each position of a 2×2 cell."""

    def __init__(self, name: str, data: LinearData, arithmetic: Arithmetic, device: torch.device) -> None:
        self.name, self.data, self.arithmetic = name, data, arithmetic
        groups, _, inputs = data.weight.shape
        self.parts = data.bias.shape[0]
        self.slices = [slice(inputs * p // self.parts, inputs * (p + 1) // self.parts) for p in range(self.parts)]
        self.worst = max(
            prove_bound(name, data.weight[g][:, part], data.bias[p, g], data.input_limit)
            for g in range(groups)
            for p, part in enumerate(self.slices)
        )
        if self.parts > 1:
            prove_sum_of_parts(name, data, self.slices)
        weight = carried(data.weight, data.shift[:, :, None], arithmetic, device)
        bias = carried(data.bias, data.shift[None], arithmetic, device)
        self.shift = torch.from_numpy(data.shift.astype(np.int64)).to(device)
        if groups == 1:
            self.weight = [weight[0][:, part].T.contiguous() for part in self.slices]
            self.bias = [bias[p, 0] for p in range(self.parts)]
            self.shift = self.shift[0]
        else:
            self.weight = [weight[:, :, part].transpose(1, 2).contiguous() for part in self.slices]
            self.bias = [bias[p][:, None] for p in range(self.parts)]
            self.shift = self.shift[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]; with four groups [4, N, in] -> [4, N, out]."""
        require_integers(x, self.arithmetic)
        total = self._part(x if self.parts == 1 else x[..., self.slices[0]], 0)
        if self.parts > 1:
            for p in range(1, self.parts):
                total += self._part(x[..., self.slices[p]], p)
            total = shift_down(total, GUARD_SHIFT, self.arithmetic)
            if self.data.leaky:
                total = leaky_integers(total, self.arithmetic)
        return total.clamp_(-self.data.limit, self.data.limit)

    def _part(self, x: Tensor, p: int) -> Tensor:
        if self.weight[p].ndim == 2:
            y = torch.addmm(self.bias[p], x.reshape(-1, x.shape[-1]), self.weight[p]).reshape(*x.shape[:-1], -1)
        else:
            y = torch.baddbmm(self.bias[p], x, self.weight[p])
        if self.arithmetic is Arithmetic.INT64:
            y = y >> self.shift
            return leaky_integers(y, self.arithmetic) if self.data.leaky and self.parts == 1 else y
        if self.data.leaky and self.parts == 1:
            # floor(max(a, a/8)) = max(floor(a), floor(floor(a)/8)): one pass less over memory.
            y = F.leaky_relu_(y, 1 / (1 << LEAK_SHIFT))
        return y.floor_()


class ExactDepthwise:
    """A depthwise k×k convolution, zeros beyond the edge."""

    def __init__(self, name: str, data: DepthwiseData, arithmetic: Arithmetic, device: torch.device) -> None:
        self.name, self.data, self.arithmetic = name, data, arithmetic
        C, k, _ = data.weight.shape
        self.kernel = k
        self.worst = prove_bound(name, data.weight.reshape(C, -1), data.bias, data.input_limit)
        self.weight = carried(data.weight[:, None], data.shift[:, None, None, None], arithmetic, device)
        self.bias = carried(data.bias, data.shift, arithmetic, device)
        self.shift = torch.from_numpy(data.shift.astype(np.int64)).to(device)

    def __call__(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        require_integers(x, self.arithmetic)
        limit = self.data.limit
        if self.arithmetic is Arithmetic.INT64:
            return ((self._by_taps(x) + self.bias) >> self.shift).clamp_(-limit, limit)
        planes = x.permute(0, 3, 1, 2)
        y = F.conv2d(planes, self.weight, self.bias, padding=self.kernel // 2, groups=self.weight.shape[0])
        return y.permute(0, 2, 3, 1).floor_().clamp_(-limit, limit)

    def _by_taps(self, x: Tensor) -> Tensor:
        k, (H, W) = self.kernel, x.shape[1:3]
        padded = F.pad(x, (0, 0, k // 2, k // 2, k // 2, k // 2))
        total = torch.zeros_like(x)
        for i in range(k):
            for j in range(k):
                total += padded[:, i : i + H, j : j + W] * self.weight[:, 0, i, j]
        return total


class ExactBlock:
    """``clamp(x + project(leaky(expand(depthwise(x)))))``; the stream keeps one scale per channel, so that adding is exact."""

    def __init__(self, depthwise: ExactDepthwise, expand: ExactLinear, project: ExactLinear) -> None:
        self.depthwise, self.expand, self.project = depthwise, expand, project
        self.limit = depthwise.data.input_limit

    def __call__(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C], within the limit of the stream."""
        return self.project(self.expand(self.depthwise(x))).add_(x).clamp_(-self.limit, self.limit)


def prove_sum_of_parts(name: str, data: LinearData, slices: list[slice]) -> None:
    """Checks that the integers which the parts of a split layer add up to stay below 2^24 as well."""
    total = np.zeros(data.shift.shape, np.int64)
    for p, part in enumerate(slices):
        weight = np.abs(data.weight[:, :, part].astype(np.int64)).sum(axis=2)
        total += ((weight * data.input_limit + np.abs(data.bias[p].astype(np.int64))) >> data.shift) + 1
    if int(total.max()) >= BOUND:
        raise DamagedWeightsError(
            f"layer {name}: the parts can add up to {int(total.max())}, which float32 cannot hold"
        )


def shift_down(x: Tensor, shift: int, arithmetic: Arithmetic) -> Tensor:
    """floor(x · 2^−shift) on integers; may change ``x``."""
    if arithmetic is Arithmetic.INT64:
        return x >> shift
    return x.mul_(2.0**-shift).floor_()


def leaky_integers(x: Tensor, arithmetic: Arithmetic) -> Tensor:
    """max(x, floor(x/8)) on integers."""
    if arithmetic is Arithmetic.INT64:
        return torch.maximum(x, x >> LEAK_SHIFT)
    return F.leaky_relu(x, 1 / (1 << LEAK_SHIFT)).floor_()
