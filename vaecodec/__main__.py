"""``python -m vaecodec`` is the command ``vaecodec``."""

from __future__ import annotations

import gc
import signal
import sys

_OBJECTS_BETWEEN_SEARCHES = 50_000


def main() -> int:
    """Runs the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is done yet that could be left half done. As an exception the interrupt might come in the middle of an import, which swallows some.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A tenth of a short run goes into searches for cycles among what imports make, and none is there; long runs are still searched.
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)
    from vaecodec.cli import main as run

    code = run()
    # The interpreter searches once more when it closes: not what ends with the process anyway.
    gc.freeze()
    # All is done and said: nothing that comes while the interpreter closes changes that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(main())
