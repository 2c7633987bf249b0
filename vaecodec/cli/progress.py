"""How far a long command is: one line on standard error, and only if that is a terminal."""

from __future__ import annotations

import sys

_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """Shows ``3/10 name`` in one line that is overwritten.

    Args:
        total: the number of steps.
        quiet: never to show anything.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._total = total
        self._shown = not quiet and total > 1 and sys.stderr.isatty()

    def show(self, done: int, what: str) -> None:
        """Replaces the line."""
        if self._shown:
            sys.stderr.write(f"{_CLEAR_LINE}{done + 1}/{self._total} {what}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Removes the line, so that something else can be printed."""
        if self._shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()
