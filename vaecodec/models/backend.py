"""What computes the decoding half: the native core, torch or onnxruntime; all give the same integers.

::

    pop (symbols of a tile) ─► decode_tile ─► y16 ─► synthesise ─► samples

Arrays here are numpy's, whatever computes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from vaecodec.errors import MissingExtraError, UsageError
from vaecodec.exact.integers import IntArray
from vaecodec.models.decoder_data import Pop

if TYPE_CHECKING:
    from vaecodec.exact.arithmetic import Arithmetic
    from vaecodec.models.weights import Weights

DEVICES = ("auto", "cpu", "cuda")
BACKENDS = ("auto", "native", "torch", "onnx")


class TileLatents(NamedTuple):
    """The integers of a tile: z as symbols, int32 [Z, h/4, w/4]; y16 in sixteenths of a step, int32 [h, w, M]."""

    z: IntArray
    y16: IntArray


class Backend(Protocol):
    """The exact decoding half of one model, ready to run; may be used from many threads at the same time."""

    @property
    def name(self) -> str:
        """``native``, ``torch`` or ``onnx``."""
        ...

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        ...

    def decode_tile(self, quality16: int, height: int, width: int, pop: Pop) -> TileLatents:
        """The integers of a tile of ``height`` × ``width`` latents, from its symbols."""
        ...

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        ...

    def synthesise_deep(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        ...


def choose_backend(name: str, device: str) -> str:
    """``native``, ``torch`` or ``onnx``.

    Args:
        name: one of BACKENDS; ``auto`` is native, or torch on a GPU.
        device: ``auto``, ``cpu`` or ``cuda``; only torch knows ``cuda``.

    Raises:
        UsageError: no such backend, or not on this device.
        MissingExtraError: its packages are not installed.
    """
    if name not in BACKENDS:
        raise UsageError(f"backend {name!r} is unknown: use {', '.join(BACKENDS)}")
    if device not in DEVICES:
        raise UsageError(f"device {device!r} is unknown: use {', '.join(DEVICES)}")
    if name == "torch" or (name == "auto" and device == "cuda"):
        if find_spec("torch") is None:
            raise MissingExtraError("this needs the package torch: pip install torch")
        return "torch"
    if device == "cuda":
        raise UsageError(f"the {name} backend runs on the processor only: choose the device cpu, or the backend torch")
    if name == "onnx":
        missing = [package for package in ("onnxruntime", "onnx") if find_spec(package) is None]
        if missing:
            raise MissingExtraError(f"this needs {' and '.join(missing)}: pip install 'vaecodec[onnx]'")
        return "onnx"
    return "native"


def open_backend(
    weights: Weights,
    *,
    backend: str = "auto",
    device: str = "auto",
    arithmetic: Arithmetic | None = None,
    threads: int | None = None,
) -> Backend:
    """Makes the decoding half of some weights ready to run.

    Args:
        weights: the model.
        backend: as for :func:`choose_backend`.
        device: ``auto``, ``cpu`` or ``cuda``.
        arithmetic: what carries the integers in torch, which ``auto`` then means.
        threads: for each call (with torch, of the process); None takes the backend's default.

    Raises:
        UsageError, MissingExtraError: as :func:`choose_backend`.
        WeightsError: the weights are damaged, or cannot be computed exactly here.
    """
    chosen = choose_backend("torch" if backend == "auto" and arithmetic is not None else backend, device)
    if chosen == "torch":
        from vaecodec.models.torch_backend import TorchBackend

        return TorchBackend(weights, device, arithmetic=arithmetic, threads=threads)
    if arithmetic is not None:
        raise UsageError(f"only torch takes an arithmetic: leave it out with the {chosen} backend")
    if chosen == "native":
        from vaecodec.models.native_backend import NativeBackend

        return NativeBackend(weights.data, weights.analysis, threads=threads)
    from vaecodec.models.onnx_backend import OnnxBackend

    return OnnxBackend(weights.data, threads=threads)
