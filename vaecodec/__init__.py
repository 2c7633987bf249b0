"""A neural picture codec: one model for every quality, and files that decode to the same picture on every machine.

    >>> import numpy as np, vaecodec
    >>> ramp = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 64, 3))
    >>> data = vaecodec.compress(ramp, quality=50)
    >>> vaecodec.decompress(data).samples.shape
    (256, 64, 3)

Importing the package imports neither torch nor constriction; the first use of a name below does.
"""

from __future__ import annotations

# As type checkers know it. Nothing is imported here, so that the command is in charge of interrupts at once.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from vaecodec.api import (
        DEFAULT_MODEL,
        DEFAULT_QUALITY,
        Codec,
        Encoded,
        EncodeOptions,
        ModelCard,
        compress,
        decompress,
        find_codec_for,
        info,
        list_models,
    )
    from vaecodec.errors import VaecodecError
    from vaecodec.picture import Picture, read_picture, write_picture
    from vaecodec.version import __version__

_API = (
    "DEFAULT_MODEL", "DEFAULT_QUALITY", "Codec", "EncodeOptions", "Encoded", "ModelCard", "compress", "decompress",
    "find_codec_for", "info", "list_models",
)  # fmt: skip
_PICTURE = ("Picture", "read_picture", "write_picture")

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_QUALITY",
    "Codec",
    "EncodeOptions",
    "Encoded",
    "ModelCard",
    "Picture",
    "VaecodecError",
    "__version__",
    "compress",
    "decompress",
    "find_codec_for",
    "info",
    "list_models",
    "read_picture",
    "write_picture",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in _API:
        return getattr(importlib.import_module("vaecodec.api"), name)
    if name == "VaecodecError":
        return importlib.import_module("vaecodec.errors").VaecodecError
    if name == "__version__":
        return importlib.import_module("vaecodec.version").__version__
    if name in _PICTURE:
        return getattr(importlib.import_module("vaecodec.picture"), name)
    raise AttributeError(f"module 'vaecodec' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
