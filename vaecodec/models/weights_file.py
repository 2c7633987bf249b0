"""What weights files of every kind of model have in common: layers as tensors, the model id, reading and writing whole.

The model id names the decoding half alone: retraining an encoder for the same decoder keeps it, and keeps old files readable.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from vaecodec.atomic import write_atomically
from vaecodec.errors import DamagedWeightsError, WeightsNotFoundError
from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData

ID_BYTES = 8
MAX_FILE_BYTES = 256 << 20
_HEADER_AT = 8
MAX_LIMIT = 1 << 20
_LENGTH_BYTES = 8
# Of tensors, by safetensors' names.
_TYPES: dict[str, np.dtype[Any]] = {
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
}

Config = dict[str, Any]
Tensors = dict[str, npt.NDArray[Any]]
LayerData = LinearData | DepthwiseData


class Opened(NamedTuple):
    """Metadata and tensors of a weights file."""

    metadata: Mapping[str, str]
    tensors: Tensors


def clamps_of(layers: Mapping[str, LayerData]) -> dict[str, dict[str, int]]:
    """Clamps of all layers, for the configuration that the id covers."""
    clamps = {}
    for name, layer in layers.items():
        clamps[name] = {"limit": layer.limit, "input_limit": layer.input_limit}
        if isinstance(layer, LinearData):
            clamps[name]["leaky"] = int(layer.leaky)
    return clamps


def tensors_of(
    layers: Mapping[str, LayerData], tables: Mapping[str, IntArray], others: Mapping[str, IntArray]
) -> dict[str, IntArray]:
    """All integers of one half by name: those of layers, tables, and others by their whole names; int16 or int32."""
    tensors: dict[str, IntArray] = {}
    for name, layer in layers.items():
        tensors[f"exact/{name}/weight"] = layer.weight
        tensors[f"exact/{name}/bias"] = layer.bias
        tensors[f"exact/{name}/shift"] = layer.shift
    tensors |= {f"exact/table/{name}": table for name, table in tables.items()} | dict(others)
    return {
        name: tensor if tensor.dtype == np.int16 else np.ascontiguousarray(tensor, dtype="<i4")
        for name, tensor in tensors.items()
    }


def model_id_of(config: str, tensors: Mapping[str, IntArray]) -> bytes:
    """First 8 bytes of SHA-256 over the decoding half.

    Hashed are: the configuration, a zero byte, then for every tensor in the order of their names: name, a zero byte,
    its shape as decimal numbers joined by ``x``, a zero byte, its values as int32 little-endian.
    """
    digest = hashlib.sha256(config.encode() + b"\0")
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode() + b"\0" + "x".join(map(str, tensor.shape)).encode() + b"\0")
        digest.update(np.ascontiguousarray(tensor, dtype="<i4").reshape(-1).data)
    return digest.digest()[:ID_BYTES]


def smallest(tensor: IntArray) -> IntArray:
    """Int32 -> int16 where that holds all values."""
    small = tensor.size == 0 or np.abs(tensor.astype(np.int64)).max() < 1 << 15
    return tensor.astype(np.int16) if small else tensor.astype(np.int32)


def write_weights_file(
    path: Path,
    tensors: Mapping[str, npt.NDArray[Any]],
    *,
    format_name: str,
    decoder: str,
    card: Mapping[str, object],
    model_id: bytes,
    **metadata: str,
) -> None:
    """Writes a weights file, integers as small as they are; it appears whole or not at all.

    Args:
        path: where; what is there is replaced.
        tensors: by name.
        format_name: what the file says it is.
        decoder: the configuration that the id covers.
        card: free form, JSON.
        model_id: of the decoding half.
        metadata: what else there is to say.
    """
    metadata |= {
        "format": format_name,
        "decoder": decoder,
        "card": json.dumps(dict(card), sort_keys=True),
        "id": model_id.hex(),
    }
    stored = {name: smallest(tensor) if tensor.dtype.kind == "i" else tensor for name, tensor in tensors.items()}
    write_atomically(path, safetensors.numpy.save(stored, metadata), overwrite=True)


def open_weights_file(path: Path, format_name: str) -> Opened:
    """Reads a weights file of one format.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: too large, or of another format; what safetensors finds is its own error.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"{path}: there is no weights file here; `vaecodec models` lists the installed ones")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DamagedWeightsError(f"{path}: larger than any weights file; is this the right file?")
    with path.open("rb") as start:
        if start.read(_HEADER_AT + 1)[_HEADER_AT:] != b"{":
            raise DamagedWeightsError(f"{path}: not a weights file: name a .safetensors file, or an installed model")
    with safetensors.safe_open(str(path), framework="numpy") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != format_name:
            raise DamagedWeightsError(
                f"{path}: not a weights file of this version of vaecodec, or of another kind of model"
            )
    return Opened(metadata, _tensors(np.fromfile(path, np.uint8)))


def _tensors(whole: npt.NDArray[np.uint8]) -> Tensors:
    """Views of the tensors in a file, by name. safetensors has accepted its header; to copy tensors out of it takes longer than to read it."""
    start = _LENGTH_BYTES + int.from_bytes(whole[:_LENGTH_BYTES].tobytes(), "little")
    header = json.loads(whole[_LENGTH_BYTES:start].tobytes())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        values = whole[start + begin : start + end].view(_TYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = values if values.flags.aligned else values.copy()
    return tensors


class Identified(Protocol):
    """Weights that can say what their id should be."""

    def model_id(self) -> bytes:
        """Of the decoding half, as :func:`model_id_of` computes it."""


W = TypeVar("W", bound=Identified)


def load_weights_file(path: Path, format_name: str, assemble: Callable[[Mapping[str, Any], Tensors], W]) -> W:
    """Reads and checks a weights file of one format.

    Args:
        path: where.
        format_name: what its metadata must name.
        assemble: makes weights of the metadata, whose ``decoder``, ``encoder`` and ``card`` are read as JSON where they are there, and of
            the tensors; what is wrong may be any of the usual errors.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is of another format, or damaged, or does not match the id that it names.
        PermissionError: it may not be read.
    """
    try:
        metadata, tensors = open_weights_file(path, format_name)
        parts = {name: json.loads(metadata[name]) for name in ("decoder", "encoder", "card") if name in metadata}
        weights = assemble(parts, tensors)
        named = metadata["id"]
    except PermissionError:
        raise
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DamagedWeightsError(f"{path}: damaged weights file ({error}); download it again") from error
    if weights.model_id().hex() != named:
        raise DamagedWeightsError(f"{path}: the weights do not match their id {named}; download the file again")
    return weights


def named_id(path: Path) -> str:
    """The id that a weights file names, hexadecimal; loading checks it.

    Raises:
        DamagedWeightsError: not a weights file.
    """
    return metadata_of(path).get("id", "")


def format_of(path: Path) -> str:
    """The format of a weights file, which says of what kind its model is; empty where it names none.

    Raises:
        DamagedWeightsError: not a weights file.
    """
    return metadata_of(path).get("format", "")


def metadata_of(path: Path) -> dict[str, str]:
    """What a weights file says about itself.

    Raises:
        DamagedWeightsError: not a weights file.
    """
    try:
        # Python says why a file cannot be opened, safetensors does not.
        with path.open("rb"), safetensors.safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except PermissionError:
        raise
    except (safetensors.SafetensorError, OSError) as error:
        raise DamagedWeightsError(f"{path}: not a weights file, or a damaged one") from error


def integers(tensors: Tensors, name: str, shape: tuple[int, ...] | None) -> IntArray:
    """One stored tensor as int32; ``ValueError`` where type or shape is wrong."""
    return stored_integers(tensors, name, shape).astype(np.int32)


def stored_integers(tensors: Tensors, name: str, shape: tuple[int, ...] | None) -> IntArray:
    """As `integers`, int16 where it is stored so."""
    tensor = tensors[name]
    if tensor.dtype not in (np.int16, np.int32) or (shape is not None and tensor.shape != shape):
        raise ValueError(f"{name} has a wrong type or shape")
    return tensor


def read_half(
    tensors: Tensors,
    clamps: Mapping[str, Mapping[str, int]],
    shapes: Mapping[str, tuple[int, ...]],
    table_shapes: Mapping[str, tuple[tuple[int, ...], int]],
) -> tuple[dict[str, LayerData], dict[str, IntArray]]:
    """Layers and tables of one half, of these shapes; ``ValueError`` where something is out of range."""
    tables = {name: integers(tensors, f"exact/table/{name}", shape) for name, (shape, _) in table_shapes.items()}
    return read_layers(shapes, clamps, tensors), tables


def read_layers(
    shapes: Mapping[str, tuple[int, ...]], clamps: Mapping[str, Mapping[str, int]], tensors: Tensors
) -> dict[str, LayerData]:
    """Layers of these shapes; ``ValueError`` where something is out of range. Their bound is proven when they are built."""
    layers: dict[str, LayerData] = {}
    for name, shape in shapes.items():
        limit, input_limit = int(clamps[name]["limit"]), int(clamps[name]["input_limit"])
        if not (0 < limit < MAX_LIMIT and 0 < input_limit < MAX_LIMIT):
            raise ValueError(f"{name} has clamps out of range")
        weight = stored_integers(tensors, f"exact/{name}/weight", shape)
        bias = integers(tensors, f"exact/{name}/bias", None)
        if name.endswith(".depthwise"):
            shift = integers(tensors, f"exact/{name}/shift", shape[:1])
            if bias.shape != shape[:1]:
                raise ValueError(f"the bias of {name} has a wrong shape")
            layers[name] = DepthwiseData(weight, bias, shift, limit, input_limit)
        else:
            shift = integers(tensors, f"exact/{name}/shift", shape[:2])
            if bias.shape != shape[:2]:
                raise ValueError(f"the bias of {name} has a wrong shape")
            layers[name] = LinearData(weight, bias, shift, limit, input_limit, bool(clamps[name]["leaky"]))
        if shift.size and (shift.min() < 0 or shift.max() > 30):
            raise ValueError(f"{name} has a shift out of range")
    return layers
