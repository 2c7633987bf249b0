"""What a backend does, and which one is used here.

::

    samples ─► analyse ─► v, z          z ─► begin ─► next, put: four times ─► y16 ─► synthesise ─► samples

Arrays here are numpy's, whatever computes.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from vaecodec.errors import MissingExtraError, UsageError
from vaecodec.exact.integers import IntArray
from vaecodec.models.coding import Prior
from vaecodec.models.encoder_data import Analysed
from vaecodec.models.rectangle import Rectangle

if TYPE_CHECKING:
    from vaecodec.exact.arithmetic import Arithmetic
    from vaecodec.models.weights import Weights

DEVICES = ("auto", "cpu", "cuda")
BACKENDS = ("auto", "native", "torch")


class Backend(Prior, Protocol):
    """One model, ready to run; may be used from many threads at the same time."""

    @property
    def name(self) -> str:
        """``native`` or ``torch``."""

    @property
    def functions(self) -> Any:
        """What rounds latents and puts them together, see ``vaecodec.models.coding``: the native core, or numpy."""

    @property
    def threads(self) -> int:
        """At most so many compute in each call; 1 where that is the business of torch."""

    @property
    def largest_effort(self) -> int:
        """Up to which effort it encodes; −1 where it only decodes."""

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""

    def synthesise_16_bit(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """

    def analyse(self, x: npt.NDArray[Any], cells: Rectangle, quality16: int, effort: int) -> Analysed:
        """Latents of some cells of samples, seen with their neighbours.

        Args:
            x: samples uint8, or float32 of 0..255 from 16 bits, [H, W, 3]; H and W are multiples of 16.
            cells: which.
            quality16: 16·q.
            effort: 0 to 9, what to spend on better latents.

        Raises:
            UsageError: an effort that this backend does not have.
        """


def choose_backend(name: str, device: str) -> str:
    """``native`` or ``torch``.

    Args:
        name: one of BACKENDS; ``auto`` is native, or torch where the device is ``cuda``.
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
            raise MissingExtraError("this needs torch: pip install 'vaecodec[torch]'")
        return "torch"
    if device == "cuda":
        raise UsageError(f"the {name} backend runs on the processor only: choose the device cpu, or the backend torch")
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
        from vaecodec.backends.torch_backend import TorchBackend

        return TorchBackend(weights, device, arithmetic=arithmetic, threads=threads)
    if arithmetic is not None:
        raise UsageError(f"only torch takes an arithmetic: leave it out with the {chosen} backend")
    from vaecodec.backends.native_backend import NativeBackend

    return NativeBackend(weights.data, weights.analysis, threads=threads)
