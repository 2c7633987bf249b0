"""Weights files: the integers of the decoding half, the coder's tables, the float encoder, and a card; safetensors.

The model id names the decoding half alone: retraining an encoder for the same decoder keeps it, and keeps old files readable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vaecodec.exact.integers import IntArray
from vaecodec.models.decoder_data import QUALITY_UNITS, ExactData, table_shapes
from vaecodec.models.encoder_data import EncoderData, encoder_table_shapes
from vaecodec.models.layer_list import encoder_layer_shapes, encoder_shapes, layer_shapes
from vaecodec.models.settings import ImageSettings, log_lambdas
from vaecodec.models.tunes import TUNES, UNSAID, DistortionWeights
from vaecodec.models.weights_file import (
    Config,
    Tensors,
    clamps_of,
    integers,
    load_weights_file,
    model_id_of,
    read_half,
    tensors_of,
    write_weights_file,
)

if TYPE_CHECKING:
    import torch

    from vaecodec.models.image import ImageEncoder

FORMAT = "vaecodec-weights-1"

SCALES = "encoder/scales/"
"""Begins the names of what makes integers floats again, see :mod:`vaecodec.training.from_weights`."""
ANALYSIS = "analysis_"
"""Settings that begin like this concern the encoder alone."""


@dataclass(frozen=True)
class Weights:
    """Everything that a weights file holds.

    Attributes:
        data: the exact decoding half.
        half_widths: int32 [63], of the coder's tables.
        counts: uint32, the coder's tables one after the other.
        encoder: float parameters of :class:`~vaecodec.models.image.ImageEncoder`; where ``analysis`` has them as integers ``log_lambda`` alone.
        card: who made it, of what, how long; free form, JSON.
        tune: what they were trained for, a name in ``TUNES``.
        analysis: the encoder in integers; None in files from before there was one.
        trained_for: the distortion that training minimised; None where a file does not say so: then it is the tune's in ``UNSAID``.
    """

    data: ExactData
    half_widths: IntArray
    counts: IntArray
    encoder: Mapping[str, npt.NDArray[np.floating]]
    card: Mapping[str, object]
    tune: str = "psnr"
    analysis: EncoderData | None = None
    trained_for: DistortionWeights | None = None

    @property
    def settings(self) -> ImageSettings:
        """Sizes of the model."""
        return self.data.settings

    @property
    def distortion(self) -> DistortionWeights:
        """What a search of the encoder weighs against bits: what training did."""
        return self.trained_for or UNSAID[self.tune]

    def decoder_config(self) -> str:
        """Sizes and clamps of the decoding half, as JSON with sorted keys and without spaces: the id covers these characters."""
        settings = {k: v for k, v in self.settings.to_dict().items() if not k.startswith(ANALYSIS)}
        config = {"settings": settings, "layers": clamps_of(self.data.layers)}
        return json.dumps(config, sort_keys=True, separators=(",", ":"))

    def encoder_config(self) -> str:
        """Sizes of the analysis and what it was trained for, as JSON."""
        config: dict[str, object] = {k: v for k, v in self.settings.to_dict().items() if k.startswith(ANALYSIS)}
        config |= {"tune": self.tune}
        if self.distortion != UNSAID[self.tune]:
            config |= {"distortion": asdict(self.distortion)}
        if self.analysis is not None:
            config |= {"layers": clamps_of(self.analysis.layers)}
        return json.dumps(config, sort_keys=True)

    def encoding_tensors(self) -> dict[str, IntArray]:
        """All integers of the encoding half by name, as stored; none where it is in floats only."""
        if self.analysis is None:
            return {}
        tensors = tensors_of(self.analysis.layers, self.analysis.tables, {})
        return {f"encoder/{name}": tensor for name, tensor in tensors.items()}

    def decoding_tensors(self) -> dict[str, IntArray]:
        """All integers of the decoding half by name, as stored."""
        coder = {"coder/half_widths": self.half_widths, "coder/counts": self.counts}
        return tensors_of(self.data.layers, self.data.tables, coder)

    def model_id(self) -> bytes:
        """First 8 bytes of SHA-256 over the decoding half: see :func:`vaecodec.models.weights_file.model_id_of`."""
        return self._model_id

    @cached_property
    def _model_id(self) -> bytes:
        return model_id_of(self.decoder_config(), self.decoding_tensors())

    def lambda_at(self, quality16: int) -> float:
        """λ of quality 16·q: bits per pixel per unit of MSE."""
        log_lambda = np.asarray(self.encoder["log_lambda"], np.float64)
        places = np.linspace(0, 100 * QUALITY_UNITS, len(log_lambda))
        return math.exp(float(np.interp(quality16, places, log_lambda)))

    def build_encoder(self, device: torch.device) -> ImageEncoder:
        """The float encoder, ready to run, of weights that have it in floats."""
        import torch

        from vaecodec.models.image import ImageEncoder

        encoder = ImageEncoder(self.settings)
        state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in self.encoder.items()}
        encoder.load_state_dict(state)
        return encoder.to(device).eval()


def save_weights(weights: Weights, path: Path) -> None:
    """Writes a weights file; it appears whole or not at all."""
    floats = {f"encoder/{name}": np.ascontiguousarray(value) for name, value in weights.encoder.items()}
    halves = [half.scales for half in (weights.data, weights.analysis) if half is not None]
    scales = {f"{SCALES}{name}": value for half in halves for name, value in half.items()}
    write_weights_file(
        path, weights.decoding_tensors() | weights.encoding_tensors() | floats | scales, format_name=FORMAT,
        decoder=weights.decoder_config(), encoder=weights.encoder_config(), card=weights.card, model_id=weights.model_id(),
    )  # fmt: skip


def load_weights(path: Path) -> Weights:
    """Reads and checks a weights file.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is no weights file of ours, or is damaged: sizes, ranges and id are checked here, the bound
            of exact sums when layers are built.
    """
    return load_weights_file(path, FORMAT, _assemble)


def _assemble(parts: Mapping[str, Config], tensors: Tensors) -> Weights:
    config, card, analysis = parts["decoder"], parts["card"], dict(parts["encoder"])
    # Files from before there was a choice are tuned for the squared error.
    tune, encoder_clamps = analysis.pop("tune", "psnr"), analysis.pop("layers", None)
    if tune not in TUNES:
        raise ValueError(f"tune {tune!r} is unknown")
    trained_for = None
    if "distortion" in analysis:
        trained_for = DistortionWeights(**analysis.pop("distortion"))
        trained_for.check()
    settings = ImageSettings.from_dict({**config["settings"], **analysis})
    settings.check()
    layers, tables = read_half(tensors, config["layers"], layer_shapes(settings), table_shapes(settings))
    encoder = {}
    # Same: λ was log-linear in quality.
    tensors = {"encoder/log_lambda": np.array(log_lambdas(settings), np.float32), **tensors}
    for name, shape in encoder_shapes(settings).items():
        if encoder_clamps is not None and name != "log_lambda":
            continue
        stored = tensors[f"encoder/{name}"]
        if stored.shape != shape or stored.dtype not in (np.float16, np.float32):
            raise ValueError(f"encoder/{name} has a wrong type or shape")
        if not np.isfinite(stored).all():
            raise ValueError(f"encoder/{name} is not finite")
        encoder[name] = stored
    half_widths, counts = integers(tensors, "coder/half_widths", None), integers(tensors, "coder/counts", None)
    in_integers = None if encoder_clamps is None else _encoder_data(settings, encoder_clamps, tensors)
    scales = {n.removeprefix(SCALES): t for n, t in tensors.items() if n.startswith(SCALES)}
    if any(t.dtype != np.float32 or t.ndim != 1 or not np.isfinite(t).all() for t in scales.values()):
        raise ValueError("the scales are no finite vectors")
    return Weights(
        ExactData(settings, layers, tables, scales), half_widths, counts, encoder, card, tune, in_integers, trained_for
    )


def _encoder_data(settings: ImageSettings, clamps: Mapping[str, Mapping[str, int]], tensors: Tensors) -> EncoderData:
    prefix = "encoder/"
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return EncoderData(
        settings, *read_half(own, clamps, encoder_layer_shapes(settings), encoder_table_shapes(settings))
    )
