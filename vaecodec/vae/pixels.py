"""Distributions of a pixel's value 0..255: a grid of 18 × 14 of them, chosen by two numbers that the decoder gives.

The grid starts as beta-binomial distributions: 18 means, 14 concentrations. With the likelihood ``tables`` every one of
them is learnt together with the networks; with ``beta-binomial`` they stay. Training takes the expected cost of rounding
the two numbers to one of the four nodes around them at random, so that what is minimised is what coding will cost.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaecodec.exact.tables import FloatArray
from vaecodec.vae.settings import MEANS, SPREADS

VALUES = 256
NODES = MEANS * SPREADS
_UNIFORM_PART = 0.002
"""Part of a uniform distribution in every table, so that no value is impossible."""


def beta_binomial(value_count: int, alpha: float, beta: float) -> FloatArray:
    """P(k) = C(n, k)·B(k + α, n − k + β)/B(α, β) for k = 0..n, n = value_count − 1."""
    n = value_count - 1
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        + math.lgamma(k + alpha) + math.lgamma(n - k + beta) - math.lgamma(n + alpha + beta)
        - math.lgamma(alpha) - math.lgamma(beta) + math.lgamma(alpha + beta)
        for k in range(value_count)
    ]  # fmt: skip
    probabilities: FloatArray = np.exp(np.array(logs))
    return probabilities


def beta_binomial_tables() -> FloatArray:
    """Probabilities float64 [252, 256]: node m·14 + s has mean σ(−7..7), evenly in logits, and concentration 0.05 to 200."""
    tables = []
    for m in range(MEANS):
        mean = 1 / (1 + math.exp(7 - 14 * m / (MEANS - 1)))
        for s in range(SPREADS):
            concentration = 0.05 * 4000 ** (s / (SPREADS - 1))
            tables.append(beta_binomial(VALUES, mean * concentration, (1 - mean) * concentration))
    mixed: FloatArray = (1 - _UNIFORM_PART) * np.stack(tables) + _UNIFORM_PART / VALUES
    return mixed


class PixelTables(nn.Module):
    """The grid of distributions; learnable logits, or fixed."""

    logits: Tensor

    def __init__(self, learnt: bool) -> None:
        super().__init__()
        logits = torch.from_numpy(np.log(beta_binomial_tables())).float()
        if learnt:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits)

    def cost(self, parameters: Tensor, values: Tensor) -> Tensor:
        """−ln p of values, in expectation over rounding.

        Args:
            parameters: [..., 2], level of the mean and of the spread; outside of the grid they are clamped.
            values: uint8 [...].
        """
        u = hold(parameters[..., 0].float(), 0.0, MEANS - 1.0)
        v = hold(parameters[..., 1].float(), 0.0, SPREADS - 1.0)
        i, j = u.detach().floor().clamp_(0, MEANS - 2), v.detach().floor().clamp_(0, SPREADS - 2)
        a, b = u - i, v - j
        costs = -F.log_softmax(self.logits, dim=1).reshape(-1)
        at = (i * SPREADS + j).to(torch.int64) * VALUES + values.to(torch.int64)
        near, right = costs[at], costs[at + VALUES]
        below, across = costs[at + SPREADS * VALUES], costs[at + (SPREADS + 1) * VALUES]
        return (1 - a) * ((1 - b) * near + b * right) + a * ((1 - b) * below + b * across)

    def means(self, parameters: Tensor) -> Tensor:
        """Mean value 0..255 of the nearest node's distribution: [..., 2] -> [...]."""
        return self.probabilities()[nodes(parameters)] @ torch.arange(VALUES, dtype=torch.float32)

    def probabilities(self) -> Tensor:
        """[252, 256]."""
        return F.softmax(self.logits.detach(), dim=1)


def nodes(parameters: Tensor) -> Tensor:
    """The nearest node of [..., 2], int64."""
    m = (parameters[..., 0].float() + 0.5).floor().clamp(0, MEANS - 1)
    s = (parameters[..., 1].float() + 0.5).floor().clamp(0, SPREADS - 1)
    return (m * SPREADS + s).to(torch.int64)


class _Held(torch.autograd.Function):
    """A clamp whose gradient passes outside too, but only inwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, lowest: float, highest: float) -> Tensor:
        ctx.save_for_backward((x < lowest).to(torch.int8) - (x > highest).to(torch.int8))
        return x.clamp(lowest, highest)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (side,) = gradients, ctx.saved_tensors
        # Below, a positive gradient would push further down; above, a negative one further up.
        return gradient.masked_fill(side * gradient > 0, 0.0), None, None


def hold(x: Tensor, lowest: float, highest: float) -> Tensor:
    """Clamps; what lies outside can come back, and nothing is driven further out."""
    return cast(Tensor, _Held.apply(x, lowest, highest))  # type: ignore[no-untyped-call]
