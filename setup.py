"""Builds the exact core and the range coder in C; all else about the package is in pyproject.toml.

The extensions are optional: where there is no compiler the package installs without them, and computes the same integers in
numpy, slowly. They use the stable ABI, so that one wheel serves every Python from 3.11 on; 3.10 has a wheel of its own, since the buffer
protocol is not in its stable ABI.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel

KERNELS, CODER = Path("vaecodec/exact/kernels"), Path("vaecodec/bitstream")
STABLE_ABI = sys.version_info >= (3, 11)


class StableAbiWheel(bdist_wheel):
    """Names the wheel after the oldest Python that it serves."""

    def finalize_options(self) -> None:
        """Sets the tag cp311-abi3."""
        if STABLE_ABI:
            self.py_limited_api = "cp311"
        super().finalize_options()


def extension(name: str, sources: list[Path], headers: list[Path]) -> Extension:
    """An optional extension of the stable ABI."""
    windows = sys.platform == "win32"
    return Extension(
        name,
        sources=[path.as_posix() for path in sources],
        depends=[path.as_posix() for path in headers],
        extra_compile_args=["/O2", "/std:c11"] if windows else ["-std=c11", "-O3", "-g0"],
        extra_link_args=[] if windows or sys.platform == "darwin" else ["-pthread", "-s"],
        py_limited_api=STABLE_ABI,
        optional=True,
    )


setup(
    ext_modules=[
        extension("vaecodec.exact.kernels._kernels", sorted(KERNELS.glob("*.c")), sorted(KERNELS.glob("*.h"))),
        extension("vaecodec.bitstream._range_coder", [CODER / "_range_coder.c"], [CODER / "range_coding.h"]),
    ],
    cmdclass={"bdist_wheel": StableAbiWheel},
)
