"""Building blocks of the float networks. Features are [B, H, W, C] (channels last): a 1×1 convolution is a matrix product.

The exact counterparts of these layers are in ``vaecodec.exact``; a layer here may only do what integers can repeat.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.125
"""Slope of the leaky ReLU below zero: a power of two, so that the integer network computes max(x, floor(x/8))."""


def space_to_depth(x: Tensor, r: int) -> Tensor:
    """[B, H, W, C] -> [B, H/r, W/r, r·r·C]; the order within a cell is (row, column, channel)."""
    B, H, W, C = x.shape
    return x.reshape(B, H // r, r, W // r, r, C).transpose(2, 3).reshape(B, H // r, W // r, r * r * C)


def depth_to_space(x: Tensor, r: int) -> Tensor:
    """[B, H, W, r·r·C] -> [B, H·r, W·r, C]; the inverse of :func:`space_to_depth`."""
    B, H, W, C = x.shape
    return x.reshape(B, H, W, r, r, C // (r * r)).transpose(2, 3).reshape(B, H * r, W * r, C // (r * r))


class _Depthwise5x5(torch.autograd.Function):
    """Depthwise 5×5 convolution whose weight gradient is taken as four 3×3 ones.

    On processors 3×3 has a fast kernel for the gradient of the weights and 5×5 has not: nine times faster together
    (bfloat16, [4, 192, 32, 32]: 2.9 ms for 27 ms on one core).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        weight = weight.to(x.dtype)
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias.to(x.dtype), padding=2, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        (gradient,) = gradients
        C, H, W = x.shape[1:]
        gradient = gradient.to(x.dtype).contiguous(memory_format=torch.channels_last)
        to_input = F.conv2d(gradient, weight.flip(2, 3), None, padding=2, groups=C)
        padded = F.pad(x, (2, 2, 2, 2))
        to_weight = torch.empty(C, 1, 5, 5, dtype=torch.float32, device=x.device)
        for i in (0, 2):
            for j in (0, 2):
                part = padded[:, :, i : i + H + 2, j : j + W + 2].contiguous(memory_format=torch.channels_last)
                to_weight[:, :, i : i + 3, j : j + 3] = torch.ops.aten.convolution_backward(
                    gradient, part, weight[:, :, :3, :3], None,
                    [1, 1], [0, 0], [1, 1], False, [0, 0], C, [False, True, False],
                )[1]  # fmt: skip
        return to_input, to_weight, gradient.sum((0, 2, 3), dtype=torch.float32)


class DepthwiseConv(nn.Module):
    """Depthwise k×k convolution on [B, H, W, C], zeros beyond the edge; starts as the identity and a little noise."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(0.3 / kernel * torch.randn(channels, 1, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))
        with torch.no_grad():
            self.weight[:, 0, kernel // 2, kernel // 2] += 1.0

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        planes = x.permute(0, 3, 1, 2)
        if self.kernel == 5 and self.training and x.device.type == "cpu":
            if torch.is_autocast_enabled("cpu"):
                planes = planes.to(torch.get_autocast_dtype("cpu"))
            y = cast(Tensor, _Depthwise5x5.apply(planes, self.weight, self.bias))  # type: ignore[no-untyped-call]
        else:
            y = F.conv2d(planes, self.weight, self.bias, padding=self.kernel // 2, groups=self.weight.shape[0])
        return y.permute(0, 2, 3, 1)


class ResidualBlock(nn.Module):
    """``x + W2·leaky(W1·dw(x))``; W2 starts at zero, so that a new block changes nothing."""

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = DepthwiseConv(channels, kernel)
        self.expand = nn.Linear(channels, hidden)
        self.project = nn.Linear(hidden, channels)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, H, W, C]."""
        change: Tensor = self.project(F.leaky_relu(self.expand(self.depthwise(x)), LEAK))
        return x + change


class PositionLinear(nn.Module):
    """One matrix for each of the four positions of a 2×2 cell: [4, N, in] -> [4, N, out]."""

    def __init__(self, inputs: int, outputs: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(scale * torch.randn(4, inputs, outputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(4, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[4, N, in] -> [4, N, out]."""
        return torch.matmul(x, self.weight) + self.bias


def split_cells(x: Tensor) -> Tensor:
    """[B, h, w, C] with even h, w -> [4, B·h/2·w/2, C]: the four positions (row, column) of every 2×2 cell."""
    B, h, w, C = x.shape
    return x.reshape(B, h // 2, 2, w // 2, 2, C).permute(2, 4, 0, 1, 3, 5).reshape(4, -1, C)


def join_cells(x: Tensor, B: int, h: int, w: int) -> Tensor:
    """[4, B·h/2·w/2, C] -> [B, h, w, C]: the inverse of :func:`split_cells`."""
    return x.reshape(2, 2, B, h // 2, w // 2, -1).permute(2, 3, 0, 4, 1, 5).reshape(B, h, w, -1)
