"""Picks the fastest number format where exactness is not required."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

WORTH_IT = 1.5
"""How much faster products in bfloat16 must be: below that its roundings are not worth it."""


@lru_cache(maxsize=8)
def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is worth it: on any GPU that has it; on a processor if its matrix products are measured to be faster.

    Processor flags do not tell: where there is AMX it is three to four times faster, with AVX-512's instructions alone it can be half as fast.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return _seconds(torch.float32) > WORTH_IT * _seconds(torch.bfloat16)


def _seconds(dtype: torch.dtype) -> float:
    """The least time of a product of the size that the image model has most."""
    a, b = torch.ones(2048, 384, dtype=dtype), torch.ones(384, 384, dtype=dtype)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return min(times)
