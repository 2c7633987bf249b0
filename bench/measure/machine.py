"""What a measurement was made on, how much memory it took, and how it is held to one thread."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# Packages whose versions can change a figure.
PACKAGES = (
    "torch", "numpy", "pillow", "pillow-heif", "pillow-jxl-plugin", "ssimulacra2", "pytorch-msssim", "constriction", "compressai",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Versions and machine, without anything that names a person or a host."""
    from PIL import features

    from vaecodec.version import __version__

    versions = {"vaecodec": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    for library in ("avif", "webp", "jpg_2000", "libjpeg_turbo"):
        if found := features.version(library):
            versions[f"pillow's {library}"] = found
    return {"versions": versions, "machine": processor(), "cores": os.cpu_count() or 1, "system": platform.system()}


def processor() -> str:
    """The processor's own name where the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def hold_to_threads(threads: int, index: int = 0) -> None:
    """Binds this process to so many of its cores, and torch to so many threads where it is loaded; 0: all of them.

    Binding holds every codec to the same rule, also those without a setting for threads. Call it before a codec is loaded.
    Where the system cannot bind, only the environment variables of OpenMP are set.

    Args:
        threads: how many.
        index: of this process among those that work side by side, each on cores of its own as far as there are enough.
    """
    if threads <= 0:
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    if sys.platform == "linux":
        # The last cores rather than the first: systems put their own work on the first.
        cores = sorted(os.sched_getaffinity(0), reverse=True)
        os.sched_setaffinity(0, {cores[(index * threads + step) % len(cores)] for step in range(threads)})
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


def usable_cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resident_mb() -> float:
    """Resident set of this process now, in MB of 10⁶ bytes; where the system does not tell, the peak."""
    return _status_mb("VmRSS") or peak_mb()


def peak_mb() -> float:
    """Largest resident set of this process since it started or since `forget_peak`, in MB of 10⁶ bytes."""
    found = _status_mb("VmHWM")
    if found is not None:
        return found
    try:
        import resource
    except ImportError:
        return 0.0
    # macOS counts in bytes, others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1e-6 if sys.platform == "darwin" else 1024e-6)


def forget_peak() -> None:
    """Starts the peak anew from the resident set of now, on Linux; elsewhere the peak stays that of the whole process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status_mb(name: str) -> float | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024e-6
    return None
