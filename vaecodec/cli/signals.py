"""Signals that end a command, held back while it keeps its books: what was written is said, once, before the command ends.

::

    SIGINT, SIGTERM ──► while work is done: an exception, at once
                        while outcomes are noted and printed: kept, raised where work goes on
                        while a library computes and gives no way: last words, and the end
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from vaecodec.interrupt import leave

# As shells have it: 128 and the number of the signal.
TERMINATED = 128 + signal.SIGTERM

# One that comes so much later than the first is from somebody who waits: it is not held back.
_PATIENCE_S = 1.0
# Of a library that computes on after a signal; then the process ends under it.
_GRACE_S = 0.3
# After which an exception that could not be raised is tried again.
_AGAIN_S = 0.01


class _State(threading.local):
    """Of a thread; the main one alone sees signals."""

    held = False
    came: int | None = None
    came_at = 0.0
    watch: _Watch | None = None


_state = _State()


class _Watch:
    """A thread that sees signals while the main thread is inside a library, where Python's handlers have to wait."""

    def __init__(self, last_words: Callable[[int], None]) -> None:
        self._last_words = last_words
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._seen, self._closed = threading.Event(), threading.Event()
        # Of the main thread, which makes this.
        self._main = _state.__dict__
        # Whoever has it decides how the process ends. The main thread may be interrupted while it has it.
        self._end = threading.RLock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        self.seen()
        signal.set_wakeup_fd(self._before, warn_on_full_buffer=False)
        os.close(self._writer)
        self._thread.join()
        os.close(self._reader)

    def seen(self) -> None:
        """In the main thread's handler: it is not in a library any more. Where the end has begun this never returns."""
        self._seen.set()
        with self._end:
            pass

    def _run(self) -> None:
        while number := os.read(self._reader, 1):
            if signal.getsignal(number[0]) is _handle:
                self._see_to_it(number[0])

    def _see_to_it(self, number: int) -> None:
        if not self._seen.wait(_GRACE_S):
            with self._end:
                if not self._seen.is_set():
                    try:
                        self._last_words(number)
                    finally:
                        os._exit(128 + number)
        if not self._closed.wait(_PATIENCE_S) and not self._main.get("held"):
            # Work goes on: a library has swallowed the exception, as some do while they are imported.
            self._seen.clear()
            os.kill(os.getpid(), number)


def _handle(number: int, _: FrameType | None) -> None:
    if _state.watch is not None:
        _state.watch.seen()
    now = time.monotonic()
    if _state.came is None:
        _state.came, _state.came_at = number, now
    if not _state.held or now - _state.came_at > _PATIENCE_S:
        _raise_what_came()


def _raise_what_came() -> None:
    if _state.came == signal.SIGINT:
        raise KeyboardInterrupt
    if _state.came is not None:
        sys.exit(TERMINATED)


def interrupted() -> bool:
    """Whether an interrupt came: some libraries, numpy as it is imported, make an error of their own of it."""
    return _state.came == signal.SIGINT


@contextmanager
def as_exceptions() -> Iterator[None]:
    """Within, SIGINT is a KeyboardInterrupt and SIGTERM a SystemExit, so that the stack is unwound and temporary files are removed.

    One that comes in a destructor or in a callback, where Python prints and drops it, comes again. In another thread than the main one,
    and where SIGINT is ignored or somebody else's, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.held, _state.came = False, None
    before: dict[int, Any] = {signal.SIGTERM: signal.signal(signal.SIGTERM, _handle)}
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_DFL, leave):
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _handle)
    hook = sys.unraisablehook

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        if _state.came is None or not issubclass(dropped.exc_type, (KeyboardInterrupt, SystemExit)):
            hook(dropped)
            return
        again = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), _state.came))
        again.daemon = True
        again.start()

    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.came = None


class _Switch:
    """Sets whether signals are held back, and sets it as it was afterwards."""

    def __init__(self, held: bool) -> None:
        self._held, self._before = held, False

    def __enter__(self) -> None:
        self._before, _state.held = _state.held, self._held
        self._raise_unless_held()

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        _state.held = self._before
        if kind is None:
            self._raise_unless_held()

    def _raise_unless_held(self) -> None:
        if not _state.held:
            _raise_what_came()


def held() -> _Switch:
    """Signals that come within are raised at its end, or within `let_through`."""
    return _Switch(held=True)


def let_through() -> _Switch:
    """Within `held`: here they are raised as they come; so is one that came before, or that a library has swallowed."""
    return _Switch(held=False)


@contextmanager
def never_kept_waiting(last_words: Callable[[int], None]) -> Iterator[None]:
    """Within, a signal ends the process soon, also where a library computes for seconds, as WebP's encoder does.

    The main thread is then in the middle of one call of that library, and does nothing else: ``last_words`` runs in another thread, with
    the number of the signal, and after it nothing does.
    """
    watched = hasattr(signal, "pthread_sigmask") and threading.current_thread() is threading.main_thread()
    if not watched or signal.getsignal(signal.SIGTERM) is not _handle:
        yield
        return
    _state.watch = _Watch(last_words)
    try:
        yield
    finally:
        watch, _state.watch = _state.watch, None
        watch.close()


@contextmanager
def kept_from_children() -> Iterator[None]:
    """Processes started within never see a SIGINT, from their first instruction on, until they unblock it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def as_worker() -> None:
    """In a worker: interrupts are its parent's; SIGTERM unwinds the stack, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _leave(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)
