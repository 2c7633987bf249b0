"""The exact layers in C, and which of the kernels computes them here.

::

    Kernels: pack_linear, pack_depthwise ─► layers      blocks, unfold, fold, … : grids ─► grids

The extension ``_kernels`` has vector code for several instruction sets, all equal bit for bit, and takes the fastest that the
processor runs; the environment variable ``VAECODEC_KERNELS`` names another one (``avx512vnni``, ``avxvnni``, ``avx2``, ``neon``,
``portable``, or ``numpy``). Without the extension :mod:`vaecodec.exact.kernels.reference` computes, slowly, and says so.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from vaecodec.errors import DamagedWeightsError, UsageError
from vaecodec.exact.integers import DepthwiseData, LinearData

ALIGN = 32
"""Channels of a grid are padded to a multiple of this."""
VARIABLE = "VAECODEC_KERNELS"

Layer = Any
"""A layer made ready by the kernels of a process; opaque."""

_log = logging.getLogger(__name__)


class Kernels(NamedTuple):
    """Functions that compute, documented in :mod:`vaecodec.exact.kernels.reference`, and the kernel that they use.

    Attributes:
        functions: the extension, or the reference.
        name: of the kernel.
    """

    functions: ModuleType
    name: str

    def linear(self, name: str, data: LinearData) -> Layer:
        """Makes a linear layer ready; ``name`` is for messages.

        Raises:
            DamagedWeightsError: its sums may not fit 32 bits, or its numbers are out of range.
        """
        try:
            return self.functions.pack_linear(
                data.weight, data.bias, data.shift, data.limit, data.input_limit, data.leaky, self.name
            )
        except (OverflowError, ValueError) as error:
            raise DamagedWeightsError(f"layer {name}: {error}; these weights cannot be used") from error

    def depthwise(self, name: str, data: DepthwiseData) -> Layer:
        """Makes a depthwise convolution ready, as :meth:`linear`."""
        try:
            return self.functions.pack_depthwise(
                data.weight, data.bias, data.shift, data.limit, data.input_limit, self.name
            )
        except (OverflowError, ValueError) as error:
            raise DamagedWeightsError(f"layer {name}: {error}; these weights cannot be used") from error


@cache
def _extension() -> ModuleType | None:
    try:
        from vaecodec.exact.kernels import _kernels
    except ImportError as error:
        # Built as an optional extension: without a compiler it is not there; otherwise it is, and does not load.
        missing = error.path is None or "cannot import name" in str(error)
        why = "was not built, for want of a C compiler" if missing else f"does not load ({error})"
        _log.warning("vaecodec: slow: the core in C %s; numpy computes the same", why)
        return None
    extension: ModuleType = _kernels
    return extension


def find_kernels(name: str | None = None) -> Kernels:
    """The kernels to compute with.

    Args:
        name: of a kernel; None takes the one that ``VAECODEC_KERNELS`` names, or else the fastest.

    Raises:
        UsageError: there is none of this name here.
    """
    name = name or os.environ.get(VARIABLE) or None
    extension = None if name == "numpy" else _extension()
    if extension is None and name in (None, "numpy"):
        from vaecodec.exact.kernels import reference

        return Kernels(reference, "numpy")
    names = available_kernels()
    if name is not None and name not in names:
        raise UsageError(f"there are no kernels called {name!r} here: use {', '.join(names)}")
    assert extension is not None
    return Kernels(extension, name or names[0])


def available_kernels() -> list[str]:
    """Names of all kernels of this process, the fastest first and ``numpy`` last."""
    extension = _extension()
    return [*(extension.available() if extension is not None else ()), "numpy"]


def available_threads() -> int:
    """How many threads are worth starting: the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
