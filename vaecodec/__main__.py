"""``python -m vaecodec`` is the command ``vaecodec``."""

from __future__ import annotations

try:
    import gc
    import os
    import signal
    import sys

    from vaecodec.interrupt import INTERRUPTED, leave
except KeyboardInterrupt:
    from vaecodec.interrupt import leave

    leave()

_OBJECTS_BETWEEN_SEARCHES = 50_000


def main() -> int:
    """Runs the command line."""
    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, leave)
    except KeyboardInterrupt:
        leave()
    # A tenth of a short run goes into searches for cycles among what imports make, and none is there; long runs are still searched.
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES)
    from vaecodec.cli import main as run

    code = run()
    if code == INTERRUPTED:
        # All is said. Python would end itself by the signal if that came while it ran code made of text, such as a dataclass's.
        os._exit(code)
    # The interpreter searches once more when it closes: not what ends with the process anyway.
    gc.freeze()
    # All is done and said: nothing that comes while the interpreter closes changes that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(main())
