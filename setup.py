"""Builds the exact core in C; all else about the package is in pyproject.toml.

The extension is optional: where there is no compiler the package installs without it, and computes the same integers in
numpy, slowly. It uses the stable ABI, so that one wheel serves every Python from 3.11 on; 3.10 has a wheel of its own, since the buffer
protocol is not in its stable ABI.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

KERNELS = Path("vaecodec/exact/kernels")
STABLE_ABI = sys.version_info >= (3, 11)


class StableAbiWheel(bdist_wheel):
    """Names the wheel after the oldest Python that it serves."""

    def finalize_options(self) -> None:
        """Sets the tag cp311-abi3."""
        if STABLE_ABI:
            self.py_limited_api = "cp311"
        super().finalize_options()


setup(
    ext_modules=[
        Extension(
            "vaecodec.exact.kernels._kernels",
            sources=sorted(path.as_posix() for path in KERNELS.glob("*.c")),
            depends=sorted(path.as_posix() for path in KERNELS.glob("*.h")),
            extra_compile_args=["/O2", "/std:c11"] if sys.platform == "win32" else ["-std=c11", "-O3", "-g0"],
            extra_link_args=[] if sys.platform in ("win32", "darwin") else ["-pthread", "-s"],
            py_limited_api=STABLE_ABI,
            optional=True,
        )
    ],
    cmdclass={"bdist_wheel": StableAbiWheel},
)
