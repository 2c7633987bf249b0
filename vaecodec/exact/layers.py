"""Exact layers: integers in, integers out, the same on every machine.

A layer computes ``clamp(act(floor((W·x + b) · 2^−s)), −limit, limit)`` with integer W, b, x, and s per output channel; rounding is folded
into b, and the activation, if any, is max(t, floor(t/8)). Activations are channels last and hold integers in the carrying type.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.integers import (
    DIGIT_SHIFT,
    LEAK_SHIFT,
    DepthwiseData,
    IntArray,
    LinearData,
    prove_bound,
    prove_linear,
)


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
    """A 1×1 convolution or, with four groups, one matrix for each position of a 2×2 cell.

    Where inputs are so large that W·x could pass 2^24, floats take them in two digits, x = 128·high + low: both sums stay below, and
    floor((128·W·high + W·low + b)·2^−s) = floor((W·high + floor((W·low + b)·2^−7))·2^(7−s)), integer for integer.
    """

    def __init__(self, name: str, data: LinearData, arithmetic: Arithmetic, device: torch.device) -> None:
        self.name, self.data, self.arithmetic = name, data, arithmetic
        self.digits, self.worst = prove_linear(name, data)
        one = data.weight.shape[0] == 1

        def matrices(shift: IntArray) -> Tensor:
            """W·2^−shift, as [in, out] or [4, in, out]."""
            weight = carried(data.weight, shift[:, :, None], arithmetic, device).transpose(1, 2).contiguous()
            return weight[0] if one else weight

        def rows(values: IntArray, shift: IntArray) -> Tensor:
            """One number for each output."""
            carrying = carried(values, shift, arithmetic, device)
            return carrying[0] if one else carrying[:, None]

        self.shift = rows(data.shift, np.zeros_like(data.shift)).to(torch.int64)
        if self.digits and arithmetic is not Arithmetic.INT64:
            digit = np.full_like(data.shift, DIGIT_SHIFT)
            self.weight, self.low = matrices(0 * digit), matrices(digit)
            self.bias, self.rest = rows(data.bias, digit), rows(np.ones_like(data.bias), data.shift - digit)
        else:
            self.weight, self.bias = matrices(data.shift), rows(data.bias, data.shift)

    def __call__(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]; with four groups [4, N, in] -> [4, N, out]."""
        require_integers(x, self.arithmetic)
        rows = x.reshape(-1, x.shape[-1]) if self.weight.ndim == 2 else x
        product = torch.addmm if self.weight.ndim == 2 else torch.baddbmm
        if self.arithmetic is Arithmetic.INT64:
            y = product(self.bias, rows, self.weight) >> self.shift
            y = leaky_integers(y, self.arithmetic) if self.data.leaky else y
        else:
            if self.digits:
                high = torch.mul(rows, 2.0**-DIGIT_SHIFT).floor_()
                y = product(self.bias, torch.add(rows, high, alpha=-(2**DIGIT_SHIFT)), self.low).floor_()
                y = product(y, high, self.weight).mul_(self.rest)
            else:
                y = product(self.bias, rows, self.weight)
            if self.data.leaky:
                # floor(max(a, a/8)) = max(floor(a), floor(floor(a)/8)): one pass less over memory.
                y = F.leaky_relu_(y, 1 / (1 << LEAK_SHIFT))
            y = y.floor_()
        return y.clamp_(-self.data.limit, self.data.limit).reshape(*x.shape[:-1], -1)


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


def leaky_integers(x: Tensor, arithmetic: Arithmetic) -> Tensor:
    """max(x, floor(x/8)) on integers."""
    if arithmetic is Arithmetic.INT64:
        return torch.maximum(x, x >> LEAK_SHIFT)
    return F.leaky_relu(x, 1 / (1 << LEAK_SHIFT)).floor_()
