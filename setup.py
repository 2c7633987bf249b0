"""Builds the exact core in C; all else about the package is in pyproject.toml.

The extension is optional: where there is no compiler the package installs without it, and computes the same integers in
numpy, slowly. It uses the stable ABI, so that one wheel serves every Python from 3.11 on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

KERNELS = Path("vaecodec/exact/kernels")


class StableAbiWheel(bdist_wheel):
    """Names the wheel after the oldest Python that it serves."""

    def finalize_options(self) -> None:
        """Sets the tag cp311-abi3."""
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
            py_limited_api=True,
            optional=True,
        )
    ],
    cmdclass={"bdist_wheel": StableAbiWheel},
)
