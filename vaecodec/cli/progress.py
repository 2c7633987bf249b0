"""Progress display for long commands: one line on standard error, only on a terminal.

Many files show from the start how many are done; a single one shows its tiles and the time once a second has passed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from vaecodec.announce import heard_by

_CLEAR_LINE = "\r\x1b[K"
_BAR = 20
_FIRST_SECOND = 1.0
_TICK_SECONDS = 0.5


class Progress:
    """Shows ``3/10 name`` in one line that is overwritten, and once something is done a bar, the rate and the time left.

    Args:
        total: the number of steps.
        quiet: never to show anything.
    """

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self._total = total
        self._shown = not quiet and sys.stderr.isatty()
        self._patience = _FIRST_SECOND if total == 1 else 0.0
        self._start = time.monotonic()
        self._done, self._what, self._visible = 0, "", False
        self._parts: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def show(self, done: int, what: str) -> None:
        """Replaces the line: ``done`` steps are finished, and ``what`` comes next or came last."""
        with self._lock:
            self._done, self._what, self._parts, self._visible = done, what, None, True
            self._draw()

    def clear(self) -> None:
        """Removes the line, so that something else can be printed; the next ``show`` brings it back."""
        with self._lock:
            self._visible = False
            if self._shown:
                sys.stderr.write(_CLEAR_LINE)
                sys.stderr.flush()

    @contextmanager
    def ticking(self) -> Iterator[None]:
        """Keeps the line moving inside: the time, and the tiles of the picture that this thread works on."""
        if not self._shown:
            yield
            return
        stopped = threading.Event()

        def tick() -> None:
            while not stopped.wait(_TICK_SECONDS):
                with self._lock:
                    if self._visible:
                        self._draw()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            with heard_by(self._part_done):
                yield
        finally:
            stopped.set()
            thread.join()
            self.clear()

    def _part_done(self, done: int, total: int) -> None:
        with self._lock:
            self._parts = (done, total)

    def _draw(self) -> None:
        seconds = time.monotonic() - self._start
        if self._shown and seconds >= self._patience:
            line = status_line(self._done, self._total, seconds, self._what, self._parts)
            sys.stderr.write(f"{_CLEAR_LINE}{line}")
            sys.stderr.flush()


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows that one thing is being worked on, once it takes more than a second."""
    progress = Progress(1, quiet=quiet)
    progress.show(0, what)
    with progress.ticking():
        yield


def status_line(done: int, total: int, seconds: float, what: str, parts: tuple[int, int] | None = None) -> str:
    """For example ``[#####---------------] 50/200  2.5/s  1:00 left  a.png``.

    Args:
        done: finished steps.
        total: all steps.
        seconds: since the start.
        what: the step that is worked on.
        parts: of this step, those done and all, where that is known.
    """
    if total == 1:
        shown = "" if parts is None else f"{_bar(*parts)} {parts[0]}/{parts[1]} tiles  "
        return f"{shown}{_duration(seconds)}  {what}"
    line = f"{_bar(done, total)} {done}/{total}"
    if done > 0 and seconds > 0:
        rate = done / seconds
        speed = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
        line += f"  {speed}  {_duration((total - done) / rate)} left"
    tiles = "" if parts is None or parts[1] == 1 else f"  tile {parts[0]}/{parts[1]}"
    return f"{line}  {what}{tiles}"


def _bar(done: int, total: int) -> str:
    filled = _BAR * done // max(1, total)
    return f"[{'#' * filled}{'-' * (_BAR - filled)}]"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
