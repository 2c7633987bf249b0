"""What an interrupt does while the command still starts: nothing is done yet that could be left half done."""

from __future__ import annotations

import os
from types import FrameType

INTERRUPTED = 130
"""As shells have it: 128 and the number of the signal."""
_WORDS = b"vaecodec: interrupted\n"


def leave(number: int = 2, frame: FrameType | None = None) -> None:
    """Says so and ends the process. As an exception the interrupt might come in the middle of an import, which swallows some."""
    try:
        os.write(2, _WORDS)
    finally:
        os._exit(INTERRUPTED)
