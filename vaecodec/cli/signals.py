"""Signals that end a command, held back while it keeps its books: what was written is said, once, before the command ends.

::

    SIGINT, SIGTERM ──► while work is done: an exception, at once
                        while outcomes are noted and printed: kept, raised where work goes on
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from vaecodec.interrupt import leave

# As shells have it: 128 and the number of the signal.
TERMINATED = 128 + signal.SIGTERM

# One that comes so much later than the first is from somebody who waits: it is not held back.
_PATIENCE_S = 1.0
# After which an exception that could not be raised is tried again.
_AGAIN_S = 0.01


class _State(threading.local):
    """Of a thread; the main one alone sees signals."""

    held = False
    came: int | None = None
    came_at = 0.0


_state = _State()


def _handle(number: int, _: FrameType | None) -> None:
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
