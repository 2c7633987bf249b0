"""Muon: momentum whose matrix steps are made orthogonal (Jordan et al. 2024); for the matrices of the residual blocks.

Matrices of one shape are stacked and worked on together. torch has a Muon of its own from 2.9 on; this one serves every
torch that the package allows, and batches of matrices.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton–Schulz iteration (Jordan et al.)."""


def orthogonalise(matrices: Tensor, iterations: int) -> Tensor:
    """[N, rows, columns] -> the same shape, singular values near 1."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    wide = x.shape[1] <= x.shape[2]
    if not wide:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide else x.transpose(1, 2)).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Steps of RMS ``0.2·lr`` per entry, so that learning rates of AdamW carry over (Liu et al. 2025)."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95, iterations: int = 5
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "iterations": iterations})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates every parameter that has a gradient; parameters are [rows, columns] or [N, rows, columns]."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[nn.Parameter]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    shapes.setdefault(tuple(p.shape), []).append(p)
            for shape, members in shapes.items():
                moved = []
                for p in members:
                    state = self.state[p]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(p)
                    momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                    moved.append(torch.lerp(p.grad, momentum, group["momentum"]))
                rows, columns = shape[-2:]
                stacked = torch.stack(moved).reshape(-1, rows, columns)
                step = orthogonalise(stacked, group["iterations"]).reshape(len(members), *shape)
                for p, update in zip(members, step, strict=True):
                    p.add_(update, alpha=-group["lr"] * 0.2 * max(rows, columns) ** 0.5)
