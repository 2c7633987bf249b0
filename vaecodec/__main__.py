"""``python -m vaecodec`` is the command ``vaecodec``."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Runs the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Nothing is done yet that could be left half done. As an exception the interrupt might come in the middle of an import, which swallows some.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from vaecodec.cli import main as run

    code = run()
    # All is done and said: nothing that comes while the interpreter closes changes that.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(main())
