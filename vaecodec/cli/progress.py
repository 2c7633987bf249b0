"""Progress display for long commands: one line on standard error, only on a terminal."""

from __future__ import annotations

import sys
import time

_CLEAR_LINE = "\r\x1b[K"
_BAR = 20


class Progress:
    """Shows ``3/10 name`` in one line that is overwritten, and once something is done a bar, the rate and the time left.

    Args:
        total: the number of steps.
        quiet: never to show anything.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._total = total
        self._shown = not quiet and total > 1 and sys.stderr.isatty()
        self._start = time.monotonic()

    def show(self, done: int, what: str) -> None:
        """Replaces the line: ``done`` steps are finished, and ``what`` comes next or came last."""
        if self._shown:
            line = status_line(done, self._total, time.monotonic() - self._start, what)
            sys.stderr.write(f"{_CLEAR_LINE}{line}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Removes the line, so that something else can be printed."""
        if self._shown:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()


def status_line(done: int, total: int, seconds: float, what: str) -> str:
    """For example ``[#####---------------] 50/200  2.5/s  1:00 left  a.png``."""
    filled = _BAR * done // total
    line = f"[{'#' * filled}{'-' * (_BAR - filled)}] {done}/{total}"
    if done > 0 and seconds > 0:
        rate = done / seconds
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        line += f"  {speed}  {_duration((total - done) / rate)} left"
    return f"{line}  {what}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
