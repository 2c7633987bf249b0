"""What the package can do, as functions: pictures to files and back, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaecodec.bitstream.container import (
    KIND_PICTURE,
    WITHOUT_MODEL,
    Container,
    Limits,
    file_version,
    read_container,
    read_header,
)
from vaecodec.codec.codec import Codec
from vaecodec.codec.decoder import Decoded, Salvaged
from vaecodec.codec.encoded import Encoded, EncodedFile
from vaecodec.codec.options import (
    DEFAULT_ACCESS,
    DEFAULT_MODEL,
    DEFAULT_QUALITY,
    MAX_EFFORT,
    Access,
    EncodeOptions,
    Tiling,
)
from vaecodec.codec.sections import metadata_of
from vaecodec.forks import ForkSafeLock
from vaecodec.installed import IMAGE_MODELS, ModelCard, find_weights, installed_weights, model_cards
from vaecodec.models.weights_file import named_id
from vaecodec.picture import Picture
from vaecodec.sources import FileSource, bytes_of

if TYPE_CHECKING:
    from vaecodec.picture import PictureSource

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_QUALITY",
    "MAX_EFFORT",
    "Access",
    "Codec",
    "Decoded",
    "EncodeOptions",
    "Encoded",
    "EncodedFile",
    "Limits",
    "ModelCard",
    "Salvaged",
    "Tiling",
    "compress",
    "decompress",
    "find_codec_for",
    "find_weights",
    "info",
    "installed_weights",
    "list_models",
    "read_container",
    "shared_codec",
]

_UNKNOWN = "update vaecodec, or name the weights file"

_codecs: dict[tuple[object, ...], Codec] = {}
_codecs_lock = ForkSafeLock()


def _shared_codec(path: Path, access: Access) -> Codec:
    """One codec for each weights file, device and backend in this process."""
    version = path.stat().st_mtime if path.exists() else 0.0
    key = (str(path.resolve()), version, access.device, access.backend, access.threads)
    with _codecs_lock:
        if key not in _codecs:
            _codecs[key] = Codec(path, device=access.device, backend=access.backend, threads=access.threads)
        return _codecs[key]


def shared_codec(model: str | Path = DEFAULT_MODEL, access: Access = DEFAULT_ACCESS, **given: Any) -> Codec:
    """The codec of this process for a model, loaded when it is first asked for; arguments as for :func:`find_codec_for`."""
    return _shared_codec(find_weights(model), access.changed(**given))


def find_codec_for(data: FileSource | Container, access: Access = DEFAULT_ACCESS, **given: Any) -> Codec:
    """The codec that a file needs, by the model id in its header.

    Args:
        data: the file; its first bytes are enough. A path, or an open file, which is read then. Or the container that was read.
        access: where models are looked for and what computes them.
        given: fields of it by name: ``models``, ``device``, ``backend``, ``threads``, ``limits``; see
            :class:`~vaecodec.codec.options.Access`.

    Raises:
        LimitError: the file declares more than the limits allow.
        UnknownModelError: no weights here have this id.
        MissingExtraError: the packages of the backend are not installed.
    """
    access = access.changed(**given)
    header = data.header if isinstance(data, Container) else read_header(bytes_of(data), limits=access.limits)
    model_id = header.model_id
    if model_id == WITHOUT_MODEL:
        # What is stored without loss any codec reads.
        return shared_codec(access.model, access)
    return _shared_codec(IMAGE_MODELS.find_id(model_id, access.models, _UNKNOWN), access)


def compress(
    picture: PictureSource | Picture,
    quality: float | None = None,
    *,
    model: str | Path = DEFAULT_MODEL,
    device: str = "auto",
    **given: Any,
) -> bytes:
    """Compresses a picture, with the codec of this process for ``model``; see :meth:`Codec.compress` for the other arguments."""
    return shared_codec(model, device=device).compress(picture, quality=quality, **given)


def decompress(
    data: FileSource, *, models: Sequence[str | Path] = (), device: str = "auto", backend: str = "auto"
) -> Picture:
    """Decompresses a file (bytes, a path or a binary file) with the model that made it; see :meth:`Codec.decompress` and :func:`find_codec_for`."""
    container = read_container(bytes_of(data))
    return find_codec_for(container, models=models, device=device, backend=backend).decompress(container)


def info(data: FileSource, access: Access = DEFAULT_ACCESS, *, latents: bool = False, **given: Any) -> dict[str, Any]:
    """What a file says about itself, ready for JSON; nothing is decoded unless ``latents`` asks for the digest.

    Args:
        data: the file: bytes, a path or a binary file.
        access: where models are looked for and what computes them.
        latents: decode the integers too, for their digest.
        given: fields of ``access`` by name.
    """
    access, whole = access.changed(**given), bytes_of(data)
    container = read_container(whole, limits=access.limits)
    header = container.header
    names = {named_id(path): path.stem for path in [*map(find_weights, access.models), *installed_weights()]}
    facts: dict[str, Any] = {
        "format_version": file_version(whole),
        "kind": ("picture", "lossless array", "lossy array")[header.kind],
        "model_id": header.model_id.hex(),
        "model": names.get(header.model_id.hex()),
        "bytes": len(whole),
    }
    if header.kind == KIND_PICTURE:
        facts |= {
            "width": header.width,
            "height": header.height,
            "channels": header.channels,
            "bit_depth": header.bit_depth,
            "quality": header.quality16 / 16,
            "bpp": 8 * len(whole) / (header.width * header.height),
            "tiles": len(container.tiles),
            "tile_bytes": sum(len(tile.payload) for tile in container.tiles),
        }
        facts["alpha_bytes"] = None if container.alpha is None else len(container.alpha[1])
        facts["overlay_bytes"] = None if container.overlay is None else len(container.overlay.payload)
        # Stored tiles alone do not say so: screen content may be in fewer colours.
        facts["lossless"] = header.model_id == WITHOUT_MODEL
        density = metadata_of(container).density
        facts["density"] = None if density is None else [float(density.x), float(density.y), density.unit]
    for name in ("icc", "exif", "xmp", "extended_xmp"):
        metadata = getattr(container, name)
        facts[f"{name}_bytes"] = None if metadata is None else len(metadata)
    facts["check"] = None if container.check is None else f"{container.check:08x}"
    if latents:
        facts["latents_sha256"] = find_codec_for(container, access).latents_digest(container)
    return facts


def list_models() -> list[ModelCard]:
    """The installed models."""
    return model_cards()
