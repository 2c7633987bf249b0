"""Memory that layers free and ask for again: kept by the process instead of going back to the system each time."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

LARGEST_BLOCK = 31 << 20
"""Bytes; glibc learns from blocks of up to 32 MiB."""
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""


@cache
def keep_freed_memory() -> None:
    """Lets the process keep up to 64 MiB that was freed; once, where the C library is glibc, and without effect elsewhere.

    glibc returns the free end of the heap once it is twice as large as the largest block that was ever freed. Activations of a few
    megabytes are then mapped, and every page of them touched for the first time, in each layer of each picture: 10 % of decoding and
    15 % of encoding on two threads (`bench/measure/speed.py`). Freeing one large block, which costs nothing as nobody writes to it, raises that limit.
    See mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    np.empty(LARGEST_BLOCK, np.uint8)


@cache
def keep_all_freed_memory() -> None:
    """Lets the process keep whatever was freed, for a trainer, which asks for the same gigabytes every step: 7 % of a step.

    Where the C library is glibc (mallopt(3)); without effect elsewhere.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, 1 << 30)
    mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
