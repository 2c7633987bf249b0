"""``python -m vaecodec`` is the command ``vaecodec``."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Runs the command line; an interrupt while it is still being imported ends it as quietly as a later one."""
    try:
        from vaecodec.cli import main as run

        code = run()
        # All is done and said: nothing that comes while the interpreter closes changes that.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return code
    except KeyboardInterrupt:
        print("vaecodec: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
