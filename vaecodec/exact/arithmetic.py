"""Integers carried by float tensors: which type carries them here, the guards around it, and the proof of the bound.

A sum of products of integers is exact in float32, in any order, as long as no partial sum reaches 2^24: then it does not
matter which machine, thread count, memory layout or library adds them up. Multiplying by a power of two is exact as well,
so weights are stored as integers and carried as W·2^−s; ``floor`` then gives the integer that int64 gives.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaecodec.errors import DamagedWeightsError

IntArray = npt.NDArray[Any]
"""An array of integers; of which width, the place says."""

BOUND = 1 << 24
"""float32 holds every integer below this, and every sum of integers that stays below it."""


class Arithmetic(Enum):
    """What carries the integers, in the order of preference."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT64 = "int64"

    @property
    def dtype(self) -> torch.dtype:
        """The type of the tensors."""
        return {"float32": torch.float32, "float64": torch.float64, "int64": torch.int64}[self.value]


def prove_bound(name: str, weight: IntArray, bias: IntArray, limit: IntArray | int) -> float:
    """Checks Σ|W|·max|x| + |b| < 2^24 for every output channel.

    Args:
        name: of the layer, for the message.
        weight: [out, in], integers.
        bias: [out].
        limit: max |x|, one number or one per input.

    Returns:
        The largest sum, as a part of 2^24.

    Raises:
        DamagedWeightsError: the bound does not hold, so that sums could depend on the machine.
    """
    w = np.abs(weight.astype(np.int64))
    sums = (w * np.asarray(limit, np.int64)).sum(axis=1) + np.abs(bias.astype(np.int64))
    worst = int(sums.max(initial=0))
    if worst >= BOUND:
        raise DamagedWeightsError(
            f"layer {name}: a sum can reach {worst}, and from {BOUND} on float32 is not exact; these weights cannot be used"
        )
    return worst / BOUND


_guard = threading.RLock()
_depth = 0
_saved: tuple[str, bool, bool] = ("highest", False, False)


@contextmanager
def exact_guard() -> Iterator[None]:
    """Inside, matrix products are what they say: no TF32, no reduced precision, no autocast, no gradients.

    The first three are settings of the whole process; they are put back when the last thread leaves.
    """
    global _depth, _saved
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    with _guard:
        if _depth == 0:
            _saved = (torch.get_float32_matmul_precision(), matmul.allow_tf32, cudnn.allow_tf32)
            if _saved != ("highest", False, False):
                torch.set_float32_matmul_precision("highest")
                matmul.allow_tf32 = False
                cudnn.allow_tf32 = False
        _depth += 1
    try:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else torch.inference_mode(),
        ):
            yield
    finally:
        with _guard:
            _depth -= 1
            if _depth == 0 and _saved != ("highest", False, False):
                torch.set_float32_matmul_precision(_saved[0])
                matmul.allow_tf32 = _saved[1]
                cudnn.allow_tf32 = _saved[2]
