"""The extension; its functions are those of ``vaecodec.exact.kernels.reference``."""

from typing import Any

def __getattr__(name: str) -> Any: ...
