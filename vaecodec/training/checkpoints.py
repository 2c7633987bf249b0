"""Checkpoints: everything that a run needs to go on, written whole or not at all; and the moving average that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from vaecodec.atomic import write_atomically
from vaecodec.errors import UsageError


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Replaces a checkpoint by another; an interruption leaves the old one."""
    write_atomically(path, lambda file: torch.save(state, file), overwrite=True)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint of a trainer; tensors and plain values only, nothing that could run."""
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Moves the average towards the model; over the first steps faster than ``decay`` says."""
    torch._foreach_lerp_([*average.parameters()], [*model.parameters()], 1 - min(decay, step / (step + 10)))
