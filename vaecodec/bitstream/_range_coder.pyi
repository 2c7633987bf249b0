"""The extension; ``coder`` says what it does."""

from typing import Any

def __getattr__(name: str) -> Any: ...
