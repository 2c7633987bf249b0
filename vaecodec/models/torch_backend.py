"""The model in torch: the exact decoding half, and the float encoder beside it; arrays in and out are numpy's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from vaecodec.errors import UsageError
from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.integers import IntArray
from vaecodec.models.backend import TileLatents
from vaecodec.models.coding import Latents, decode_tile, encode_tile, hyper_symbols, quality_of_units
from vaecodec.models.decoder_data import Pop, Push
from vaecodec.models.exact_image import ExactPrior, ExactSynthesis, build_layers
from vaecodec.models.settings import STRIDE
from vaecodec.models.weights import Weights


class Analysed(NamedTuple):
    """A tile before rounding: v, float [h, w, M] in steps, and the symbols of z, int32 [Z, ceil(h/4), ceil(w/4)]."""

    v: torch.Tensor
    z: IntArray


class TorchBackend:
    """Prior, synthesis and encoder of one model.

    Args:
        weights: the model.
        device: ``auto``, ``cpu`` or ``cuda``.
        arithmetic: what carries the integers; None picks the fastest that passes the self-test.
        threads: for the whole process; None leaves them as they are.
    """

    name = "torch"

    def __init__(
        self,
        weights: Weights,
        device: str = "auto",
        *,
        arithmetic: Arithmetic | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = pick_device(device)
        layers = build_layers(weights.data, self.device, arithmetic)
        self.arithmetic = layers.arithmetic
        self.prior = ExactPrior(layers)
        self.synthesis = ExactSynthesis(layers)
        self.encoder = weights.build_encoder(self.device)

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return self.synthesis.halo

    def decode_tile(self, quality16: int, height: int, width: int, pop: Pop) -> TileLatents:
        """The integers of a tile of ``height`` × ``width`` latents, from its symbols."""
        return _arrays(decode_tile(self.prior, quality16, height, width, pop))

    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        samples: npt.NDArray[np.uint8] = self.synthesis(torch.from_numpy(y16).to(self.device), quality16).cpu().numpy()
        return samples

    def synthesise_deep(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        samples: npt.NDArray[np.int32] = (
            self.synthesis.deep(torch.from_numpy(y16).to(self.device), quality16).cpu().numpy()
        )
        return samples

    def analyse(self, x: IntArray, rows: tuple[int, int], columns: tuple[int, int], quality16: int) -> Analysed:
        """Samples uint8, or float32 of the same range, [H, W, 3] -> latents of the cells from ``rows[0]`` to ``rows[1]``, seen with their neighbours.

        H and W are multiples of 16.
        """
        top, bottom, left, right = (edge * STRIDE for edge in (*rows, *columns))
        halo = self.encoder.halo
        y0, x0 = max(0, top - halo), max(0, left - halo)
        piece = np.ascontiguousarray(x[y0 : bottom + halo, x0 : right + halo])
        with torch.inference_mode():
            q = torch.tensor([quality_of_units(quality16)], device=self.device)
            v = self.encoder.analyse(torch.from_numpy(piece).to(self.device)[None], q)
            inside = v[:, (top - y0) // STRIDE :, (left - x0) // STRIDE :]
            inside = inside[:, : rows[1] - rows[0], : columns[1] - columns[0]]
            return Analysed(inside[0], hyper_symbols(self.encoder, inside))

    def encode_tile(self, analysed: Analysed, quality16: int, push: Push) -> TileLatents:
        """Hands the symbols of a tile to a coder; the integers that a decoder will have."""
        return _arrays(encode_tile(analysed.v, analysed.z, self.prior, quality16, push))


def _arrays(latents: Latents) -> TileLatents:
    return TileLatents(latents.z, latents.y16.cpu().numpy())


def pick_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu`` or ``cuda``."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise UsageError(f"device {name!r} is not available: use auto or cpu")
    return torch.device(name)
