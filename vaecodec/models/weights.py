"""Weights files: the integers of the decoding half, the coder's tables, the float encoder, and a card; safetensors.

The model id names the decoding half alone: retraining an encoder for the same decoder keeps it, and keeps old files readable.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from vaecodec.errors import DamagedWeightsError, WeightsNotFoundError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.models.decoder_data import ExactData, layer_shapes, table_shapes
from vaecodec.models.settings import ImageSettings, encoder_shapes

if TYPE_CHECKING:
    import torch

    from vaecodec.models.image import ImageEncoder

FORMAT = "vaecodec-weights-1"
ID_BYTES = 8
MAX_FILE_BYTES = 256 << 20
MAX_LIMIT = 1 << 20

ANALYSIS = "analysis_"
"""Settings that begin like this concern the encoder alone."""

Config = dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """Everything that a weights file holds.

    Attributes:
        data: the exact decoding half.
        half_widths: int32 [63], of the coder's tables.
        counts: uint32, the coder's tables one after the other.
        encoder: float parameters of :class:`~vaecodec.models.image.ImageEncoder`.
        card: who made it, of what, how long; free form, JSON.
    """

    data: ExactData
    half_widths: IntArray
    counts: IntArray
    encoder: Mapping[str, npt.NDArray[np.floating]]
    card: Mapping[str, object]

    @property
    def settings(self) -> ImageSettings:
        """Sizes of the model."""
        return self.data.settings

    @classmethod
    def make(
        cls, encoder: ImageEncoder, data: ExactData, half_widths: IntArray, counts: IntArray, card: Mapping[str, object]
    ) -> Weights:
        """Takes the encoder's part of a float model; matrices are kept in half precision, vectors and gains in single."""
        names = encoder_shapes(data.settings)
        floats = {}
        for name, value in encoder.state_dict().items():
            if name in names:
                half = value.ndim >= 2 and name not in ("log_gain", "analysis_vector")
                floats[name] = value.detach().cpu().numpy().astype(np.float16 if half else np.float32)
        return cls(data, half_widths, counts, floats, card)

    def decoder_config(self) -> str:
        """Sizes and clamps of the decoding half, as JSON with sorted keys and without spaces: the id covers these characters."""
        layers = {}
        for name, layer in self.data.layers.items():
            layers[name] = {"limit": layer.limit, "input_limit": layer.input_limit}
            if isinstance(layer, LinearData):
                layers[name]["leaky"] = int(layer.leaky)
        settings = {k: v for k, v in self.settings.to_dict().items() if not k.startswith(ANALYSIS)}
        return json.dumps({"settings": settings, "layers": layers}, sort_keys=True, separators=(",", ":"))

    def encoder_config(self) -> str:
        """Sizes of the analysis, as JSON."""
        return json.dumps({k: v for k, v in self.settings.to_dict().items() if k.startswith(ANALYSIS)}, sort_keys=True)

    def decoding_tensors(self) -> dict[str, IntArray]:
        """All integers of the decoding half by name, as stored."""
        tensors: dict[str, IntArray] = {}
        for name, layer in self.data.layers.items():
            tensors[f"exact/{name}/weight"] = layer.weight
            tensors[f"exact/{name}/bias"] = layer.bias
            tensors[f"exact/{name}/shift"] = layer.shift
        for name, table in self.data.tables.items():
            tensors[f"exact/table/{name}"] = table
        tensors["coder/half_widths"] = self.half_widths
        tensors["coder/counts"] = self.counts
        return {name: np.ascontiguousarray(tensor, dtype="<i4") for name, tensor in tensors.items()}

    def model_id(self) -> bytes:
        """First 8 bytes of SHA-256 over the decoding half.

        Hashed are: :meth:`decoder_config`, a zero byte, then for every tensor in the order of their names: name, a zero byte,
        its shape as decimal numbers joined by ``x``, a zero byte, its values as int32 little-endian.
        """
        digest = hashlib.sha256(self.decoder_config().encode() + b"\0")
        for name, tensor in sorted(self.decoding_tensors().items()):
            digest.update(name.encode() + b"\0" + "x".join(map(str, tensor.shape)).encode() + b"\0")
            digest.update(tensor.tobytes())
        return digest.digest()[:ID_BYTES]

    def build_encoder(self, device: torch.device) -> ImageEncoder:
        """The float encoder, ready to run."""
        import torch

        from vaecodec.models.image import ImageEncoder

        encoder = ImageEncoder(self.settings)
        state = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in self.encoder.items()}
        encoder.load_state_dict(state)
        return encoder.to(device).eval()


def save_weights(weights: Weights, path: Path) -> None:
    """Writes a weights file; it appears whole or not at all."""
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in weights.decoding_tensors().items():
        small = tensor.size == 0 or np.abs(tensor.astype(np.int64)).max() < 1 << 15
        tensors[name] = tensor.astype(np.int16) if small else tensor.astype(np.int32)
    for name, value in weights.encoder.items():
        tensors[f"encoder/{name}"] = np.ascontiguousarray(value)
    metadata = {
        "format": FORMAT,
        "decoder": weights.decoder_config(),
        "encoder": weights.encoder_config(),
        "card": json.dumps(dict(weights.card), sort_keys=True),
        "id": weights.model_id().hex(),
    }
    data = safetensors.numpy.save(tensors, metadata)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_weights(path: Path) -> Weights:
    """Reads and checks a weights file.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is no weights file of ours, or is damaged: sizes, ranges and id are checked here, the bound
            of exact sums when layers are built.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"{path}: there is no weights file here; `vaecodec models` lists the installed ones")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DamagedWeightsError(f"{path}: larger than any weights file; is this the right file?")
    try:
        with safetensors.safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DamagedWeightsError(f"{path}: not a weights file of this version of vaecodec")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        weights = _assemble(
            json.loads(metadata["decoder"]), json.loads(metadata["encoder"]), json.loads(metadata["card"]), tensors
        )
        named = metadata["id"]
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DamagedWeightsError(f"{path}: damaged weights file ({error}); get it again") from error
    if weights.model_id().hex() != named:
        raise DamagedWeightsError(f"{path}: the weights do not match their id {named}; get the file again")
    return weights


def _assemble(
    config: Config, encoder_settings: Config, card: Mapping[str, object], tensors: dict[str, npt.NDArray[Any]]
) -> Weights:
    settings = ImageSettings.from_dict({**config["settings"], **encoder_settings})
    settings.check()

    def integers(name: str, shape: tuple[int, ...] | None) -> IntArray:
        tensor = tensors[name]
        if tensor.dtype not in (np.int16, np.int32) or (shape is not None and tensor.shape != shape):
            raise ValueError(f"{name} has a wrong type or shape")
        return tensor.astype(np.int32)

    layers: dict[str, LinearData | DepthwiseData] = {}
    for name, shape in layer_shapes(settings).items():
        clamps = config["layers"][name]
        limit, input_limit = int(clamps["limit"]), int(clamps["input_limit"])
        if not (0 < limit < MAX_LIMIT and 0 < input_limit < MAX_LIMIT):
            raise ValueError(f"{name} has clamps out of range")
        weight = integers(f"exact/{name}/weight", shape)
        bias = integers(f"exact/{name}/bias", None)
        if name.endswith(".depthwise"):
            shift = integers(f"exact/{name}/shift", shape[:1])
            if bias.shape != shape[:1]:
                raise ValueError(f"the bias of {name} has a wrong shape")
            layers[name] = DepthwiseData(weight, bias, shift, limit, input_limit)
        else:
            shift = integers(f"exact/{name}/shift", shape[:2])
            if bias.shape != shape[:2]:
                raise ValueError(f"the bias of {name} has a wrong shape")
            layers[name] = LinearData(weight, bias, shift, limit, input_limit, bool(clamps["leaky"]))
        if shift.size and (shift.min() < 0 or shift.max() > 30):
            raise ValueError(f"{name} has a shift out of range")
    tables = {name: integers(f"exact/table/{name}", shape) for name, (shape, _) in table_shapes(settings).items()}
    encoder = {}
    for name, shape in encoder_shapes(settings).items():
        stored = tensors[f"encoder/{name}"]
        if stored.shape != shape or stored.dtype not in (np.float16, np.float32):
            raise ValueError(f"encoder/{name} has a wrong type or shape")
        if not np.isfinite(stored).all():
            raise ValueError(f"encoder/{name} is not finite")
        encoder[name] = stored
    return Weights(
        ExactData(settings, layers, tables),
        integers("coder/half_widths", None), integers("coder/counts", None), encoder, card,
    )  # fmt: skip
