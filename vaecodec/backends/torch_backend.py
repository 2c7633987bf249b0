"""The model in torch: the exact decoding half, and the float encoder beside it; arrays in and out are numpy's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from vaecodec.exact.arithmetic import Arithmetic
from vaecodec.exact.integers import IntArray
from vaecodec.exact.kernels import reference
from vaecodec.models.analysis import hyper_symbols, in_256ths
from vaecodec.models.coding import dead_zone_table
from vaecodec.models.decoder_data import unit_quality
from vaecodec.models.device import pick_device
from vaecodec.models.encoder_data import V_UNIT, Analysed, analysis_halo
from vaecodec.models.exact_encoder import ExactAnalysis
from vaecodec.models.exact_image import ExactPrior, ExactSynthesis, build_layers
from vaecodec.models.image import ImageEncoder
from vaecodec.models.memory import keep_freed_memory
from vaecodec.models.perceptual import Distortion
from vaecodec.models.rectangle import Rectangle
from vaecodec.models.refine import EFFORTS, RelaxedDecoder, Window, refine, symbol_costs
from vaecodec.models.weights import Weights

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _alone(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Runs as if nobody else used torch, and had set a default device."""

    @functools.wraps(method)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with torch.device("cpu"):
            return method(*args, **kwargs)

    return run


class TorchBackend:
    """Prior, synthesis and encoder of one model.

    Args:
        weights: the model.
        device: ``auto``, ``cpu`` or ``cuda``.
        arithmetic: what carries the integers; None picks the fastest that passes the self-test.
        threads: for the whole process; None leaves them as they are.
    """

    name = "torch"
    largest_effort = len(EFFORTS) - 1
    functions = reference
    """Rounds latents and puts them together, see ``vaecodec.models.coding``."""
    threads = 1
    """Of those functions; torch has its own."""

    @_alone
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
        keep_freed_memory()
        layers = build_layers(weights.data, self.device, arithmetic)
        self.arithmetic = layers.arithmetic
        self.prior = ExactPrior(layers)
        self.synthesis = ExactSynthesis(layers)
        self._weights, self._asked_arithmetic = weights, arithmetic
        self.hyper_indices, self.begin = self.prior.hyper_indices, self.prior.begin

    @cached_property
    @_alone
    def relaxed(self) -> RelaxedDecoder:
        """The decoder that gradients pass through; made when first asked for."""
        w = self._weights
        return RelaxedDecoder(w.data, w.half_widths, w.counts, self.device)

    @cached_property
    def _dead_zone(self) -> IntArray:
        """What an encoder rounds to 0; made when first asked for, as decoders do without."""
        return dead_zone_table(symbol_costs(self._weights.half_widths, self._weights.counts), self._weights.tune)

    @property
    def latents(self) -> int:
        """M: channels of y."""
        return self.prior.latents

    @property
    def halo(self) -> int:
        """Latents around a tile that its samples depend on."""
        return self.synthesis.halo

    @_alone
    def synthesise(self, y16: IntArray, quality16: int) -> npt.NDArray[np.uint8]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples uint8 [16h, 16w, 3]."""
        samples: npt.NDArray[np.uint8] = self.synthesis(self._latents(y16), quality16).cpu().numpy()
        return samples

    @_alone
    def synthesise_16_bit(self, y16: IntArray, quality16: int) -> npt.NDArray[np.int32]:
        """int16 or int32 [h, w, M] in sixteenths of a step -> samples of 16 bits, int32 [16h, 16w, 3] of 0..65535.

        Raises:
            UnsupportedPictureError: the model has samples of 8 bits only.
        """
        samples: npt.NDArray[np.int32] = self.synthesis.samples_16_bit(self._latents(y16), quality16).cpu().numpy()
        return samples

    def _latents(self, y16: IntArray) -> torch.Tensor:
        """As int32; "safe" refuses numbers that are no integers."""
        return torch.from_numpy(y16.astype(np.int32, casting="safe")).to(self.device)

    @cached_property
    @_alone
    def encoder(self) -> ImageEncoder:
        """The float encoder, of weights that have no integers of it."""
        # Layers draw weights before they are given theirs; the caller's random numbers stay where they were.
        with torch.random.fork_rng(devices=[]):
            return self._weights.build_encoder(self.device)

    @cached_property
    @_alone
    def analysis(self) -> ExactAnalysis | None:
        """The encoder in integers; None where the weights have it in floats only."""
        w = self._weights
        if w.analysis is None:
            return None
        return ExactAnalysis(w.analysis, w.data.tables["asinh"], self.device, self._asked_arithmetic)

    @_alone
    def analyse(self, x: npt.NDArray[Any], cells: Rectangle, quality16: int, effort: int = 0) -> Analysed:
        """Samples uint8, or float32 of the same range, [H, W, 3] -> latents of some cells, seen with their neighbours.

        H and W are multiples of 16. ``effort``, 0 to 9: what to spend on better latents, see ``models/refine.py``.
        """
        frame = Rectangle.of(x).cells()
        seen = cells.grown(analysis_halo(self._weights.settings), frame)
        rows, columns = cells.within(seen)
        passes = EFFORTS[effort]
        zeroed = self._dead_zone if passes.dead_zone else None
        if self.analysis is not None:
            whole = self.analysis.latents(x[seen.pixels().within(Rectangle.of(x))], quality16)
            cut = whole[rows, columns]
            z = self.analysis.hyper_symbols(cut)
            if not (passes.soft or passes.whole):
                return Analysed(cut, z, zeroed)
            v = torch.from_numpy(whole).to(self.device)[None].float() / V_UNIT
            inside = v[:, rows, columns]
        else:
            with torch.inference_mode():
                q = torch.tensor([unit_quality(quality16)], device=self.device)
                v = self.encoder.analyse(self._samples(x, seen), q)
                inside = v[:, rows, columns]
                z = hyper_symbols(self.encoder, inside)
        if passes.soft or passes.whole:
            near = cells.grown(self.halo, frame)
            near_rows, near_columns = near.within(seen)
            window = Window(self._samples(x, near), v[:, near_rows, near_columns], *cells.within(near))
            known = np.where(self.prior.hyper_indices(quality16, *inside.shape[1:3]) == 0, 0, z)
            lam = self._weights.lambda_at(quality16)
            distortion = Distortion.of(self._weights.distortion)
            inside = refine(self.relaxed, window, known, quality16, lam, passes, distortion)
        return Analysed(in_256ths(inside[0]), z, zeroed)

    def _samples(self, x: npt.NDArray[Any], cells: Rectangle) -> torch.Tensor:
        piece = x[cells.pixels().within(Rectangle.of(x))]
        return torch.from_numpy(np.ascontiguousarray(piece)).to(self.device)[None]
