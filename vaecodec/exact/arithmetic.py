"""Integers carried by float tensors: which type carries them here, the guards around it, and the proof of the bound.

A sum of products of integers is exact in float32, in any order, as long as no partial sum reaches 2^24: then it does not
matter which machine, thread count, memory layout or library adds them up. Multiplying by a power of two is exact as well,
so weights are stored as integers and carried as W·2^−s; ``floor`` then gives the integer that int64 gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import torch

from vaecodec.forks import ForkSafeLock


class Arithmetic(Enum):
    """What carries the integers, in the order of preference."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT64 = "int64"

    @property
    def dtype(self) -> torch.dtype:
        """The type of the tensors."""
        return {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}[self.value]


_lock = ForkSafeLock()
_inside = 0
_saved: list[tuple[Any, str, object]] = []


def _precision_settings() -> list[tuple[Any, str, object]]:
    """(where, attribute, exact value) of every setting of the process that lets float32 products be computed with less."""
    backends: Any = torch.backends
    if hasattr(backends.mkldnn, "conv"):  # torch 2.9 and later
        places = (backends.mkldnn.conv, backends.mkldnn.matmul, backends.cuda.matmul, backends.cudnn.conv)
        return [(place, "fp32_precision", "ieee") for place in places]
    return [(backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)]


@contextmanager
def exact_guard() -> Iterator[None]:
    """Inside, matrix products are what they say: no TF32, no reduced precision, no autocast, no gradients.

    Precision is a setting of the whole process; it is put back when the last thread leaves.
    """
    global _inside, _saved
    with _lock:
        if _inside == 0:
            settings = _precision_settings()
            _saved = [(place, name, getattr(place, name)) for place, name, _ in settings]
            for (place, name, exact), (_, _, now) in zip(settings, _saved, strict=True):
                if now != exact:
                    setattr(place, name, exact)
        _inside += 1
    try:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                for place, name, before in _saved:
                    if getattr(place, name) != before:
                        setattr(place, name, before)
