"""The exact layers in a process for another processor, NEON under qemu: the functions of ``vaecodec.exact.kernels.reference``, sent through a pipe."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from vaecodec.errors import MissingExtraError
from vaecodec.exact import kernels

IntArray = npt.NDArray[Any]

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
KERNELS = Path(kernels.__file__).parent
NUMBERS, ARRAYS = 12, 6
(NAME, LINEAR, DEPTHWISE, BLOCK, UNFOLD, FOLD, SAMPLES, ENTER, LEAVE, SCALE, PATCHES, GAIN, SEEN, ROUND, PUT) = range(
    15
)


class RemoteKernels:
    """Takes the place of the extension module; grids and outputs are written in place, as there."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        self._send(NAME, (), ())
        self.name = self._from.readline().decode().strip()
        """Of the kernel that computes there."""

    def _send(self, operation: int, numbers: Sequence[int], arrays: Sequence[IntArray | None]) -> None:
        padded = [*numbers, *[0] * (NUMBERS - len(numbers))]
        self._to.write(struct.pack(f"<{NUMBERS + 1}i", operation, *padded))
        for array in [*arrays, *[None] * (ARRAYS - len(arrays))]:
            self._to.write(struct.pack("<i", -1 if array is None else array.nbytes))
            if array is not None:
                self._to.write(np.ascontiguousarray(array).tobytes())
        self._to.flush()

    def _call(
        self,
        operation: int,
        numbers: Sequence[int],
        arrays: Sequence[IntArray | None],
        written: Sequence[IntArray] = (),
    ) -> int:
        self._send(operation, numbers, arrays)
        status = int.from_bytes(self._from.read(4), "little")
        for array in written:
            array[...] = np.frombuffer(self._from.read(array.nbytes), array.dtype).reshape(array.shape)
        return status

    @staticmethod
    def _size(grid: IntArray, border: int) -> tuple[int, int, int]:
        return grid.shape[0] - 2 * border, grid.shape[1] - 2 * border, border

    def pack_linear(
        self, weight: IntArray, bias: IntArray, shift: IntArray, limit: int, input_limit: int, leaky: bool, kernel: str
    ) -> int:
        """The number of a layer."""
        stored = [values.astype("<i4") for values in (weight, bias, shift)]
        return self._call(LINEAR, (*weight.shape, limit, input_limit, leaky), stored)

    def pack_depthwise(
        self, weight: IntArray, bias: IntArray, shift: IntArray, limit: int, input_limit: int, kernel: str
    ) -> int:
        """The number of a layer."""
        stored = [values.astype("<i4") for values in (weight, bias, shift)]
        return self._call(DEPTHWISE, (weight.shape[0], weight.shape[1], 0, limit, input_limit), stored)

    def blocks(self, layers: list[tuple[int, int, int]], x: IntArray, y: IntArray, border: int, threads: int) -> None:
        """As the reference."""
        for block in layers:
            self._call(BLOCK, (*block, *self._size(x, border)), (x, y), (y,))
            x, y = y, x

    def _between(self, operation: int, args: tuple[Any, ...]) -> None:
        layer, x, x_border, y, y_border, side, factor, shift, offset, limit, _ = args
        numbers = (layer, *self._size(x, x_border), *self._size(y, y_border), side, shift, limit)
        self._call(operation, numbers, (x, y, factor, offset), (y,))

    def unfold(self, *args: Any) -> None:
        """As the reference."""
        self._between(UNFOLD, args)

    def fold(self, *args: Any) -> None:
        """As the reference."""
        self._between(FOLD, args)

    def samples(self, layer: int, x: IntArray, border: int, out: IntArray, side: int, deep: bool, threads: int) -> None:
        """As the reference."""
        self._call(SAMPLES, (layer, *self._size(x, border), side, deep), (x, out), (out,))

    def enter(
        self, layer: int, planes: IntArray, lookup: IntArray, f: IntArray, border: int, limit: int, threads: int
    ) -> None:
        """As the reference."""
        self._call(ENTER, (layer, *self._size(f, border), *planes.shape[1:], limit), (planes, lookup, f), (f,))

    def leave(
        self, layer: int, f: IntArray, border: int, mean_factor: IntArray, index_offset: IntArray, mean: IntArray,
        index: IntArray, threads: int,
    ) -> None:  # fmt: skip
        """As the reference."""
        numbers = (layer, *self._size(f, border), *mean.shape[1:])
        self._call(LEAVE, numbers, (f, mean_factor, index_offset, mean, index), (mean, index))

    def scale_latents(
        self, y16: IntArray, factor: IntArray, shift: IntArray, limit: int, x: IntArray, border: int, threads: int
    ) -> None:
        """As the reference."""
        self._call(SCALE, (*self._size(x, border), limit, y16.shape[2]), (y16, factor, shift, x), (x,))

    def patches(self, samples: IntArray, side: int, x: IntArray, border: int, threads: int) -> None:
        """As the reference."""
        self._call(PATCHES, (*self._size(x, border), side, samples.shape[2]), (samples, x), (x,))

    def gain(
        self,
        x: IntArray,
        border: int,
        top: int,
        left: int,
        factor: IntArray,
        shift: IntArray,
        v: IntArray,
        threads: int,
    ) -> None:
        """As the reference."""
        self._call(GAIN, (*self._size(x, border), top, left, *v.shape), (x, factor, shift, v), (v,))

    def seen(self, v: IntArray, lookup: IntArray, x: IntArray, border: int, threads: int) -> None:
        """As the reference."""
        self._call(SEEN, (*self._size(x, border), *v.shape), (v, lookup, x), (x,))

    def round_step(
        self,
        v: IntArray,
        mean: IntArray,
        index: IntArray,
        zone: IntArray | None,
        k: int,
        symbols: IntArray,
        threads: int,
    ) -> None:
        """As the reference."""
        self._call(ROUND, (k, *v.shape), (v, mean, index, zone, symbols), (symbols,))

    def put_step(
        self, symbols: IntArray, mean: IntArray, k: int, planes: IntArray, y16: IntArray, threads: int
    ) -> None:
        """As the reference."""
        self._call(PUT, (k, *y16.shape), (symbols, mean, planes, y16), (planes, y16))


@contextmanager
def neon_under_qemu() -> Iterator[RemoteKernels]:
    """The kernels for ARM, built here and run by qemu.

    Raises:
        MissingExtraError: the compiler or qemu is not there.
    """
    if shutil.which(COMPILER) is None or shutil.which(EMULATOR) is None:
        raise MissingExtraError(
            f"this needs {COMPILER} and {EMULATOR}: apt-get install gcc-aarch64-linux-gnu qemu-user"
        )
    sources = [str(path) for path in sorted(KERNELS.glob("*.c")) if not path.name.startswith("module")]
    with TemporaryDirectory() as folder:
        program = f"{folder}/kernels"
        server = str(Path(__file__).with_name("remote_kernels.c"))
        flags = ["-std=c11", "-O2", "-static", "-pthread", f"-I{KERNELS}"]
        subprocess.run([COMPILER, *flags, server, *sources, "-o", program], check=True)
        with subprocess.Popen([EMULATOR, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield RemoteKernels(process)
            finally:
                assert process.stdin is not None
                process.stdin.close()
