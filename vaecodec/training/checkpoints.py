"""Checkpoints: everything that a run needs to go on, written whole or not at all; and the moving average that is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaecodec.atomic import write_atomically
from vaecodec.errors import UsageError
from vaecodec.training.grow import QUALITY_TABLES


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Replaces a checkpoint by another; an interruption leaves the old one."""
    write_atomically(path, lambda file: torch.save(state, file), overwrite=True)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """A checkpoint of a trainer; tensors and plain values only, nothing that could run."""
    if not path.is_file():
        raise UsageError(f"{path}: no such checkpoint")
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


ROW_SCALE = ".row_scale"
"""Ends the name of what the rows of a packed matrix are multiplied by."""


def pack(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Parameters in about a quarter of their size: matrices as int8 with a scale for each row, all else in half precision."""
    packed = {}
    for name, value in state.items():
        if value.ndim < 2 or name in QUALITY_TABLES:
            packed[name] = value.half()
            continue
        rows = value.flatten(1)
        scale = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        packed[name] = (rows / scale).round().to(torch.int8).reshape(value.shape)
        packed[name + ROW_SCALE] = scale.flatten().float()
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of :func:`pack`, but for its rounding; plain parameters pass through. Float32."""
    state = {}
    for name, value in packed.items():
        if not name.endswith(ROW_SCALE):
            scale = packed.get(name + ROW_SCALE)
            state[name] = value.float() if scale is None else value.float() * scale.reshape(-1, *[1] * (value.ndim - 1))
    return state


@torch.no_grad()
def update_ema(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Moves the average towards the model; over the first steps faster than ``decay`` says."""
    torch._foreach_lerp_([*average.parameters()], [*model.parameters()], 1 - min(decay, step / (step + 10)))
