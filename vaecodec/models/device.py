"""Picks what computes."""

from __future__ import annotations

import os

import torch

from vaecodec.errors import UsageError


def pick_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu`` or ``cuda``: of several processes each has its own GPU.

    Raises:
        UsageError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise UsageError(f"device {name!r} is not available: use auto or cpu")
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0"))) if name == "cuda" else torch.device(name)
