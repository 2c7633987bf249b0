"""Locks that a forked child finds open.

A child has the thread that forked it and no other. A lock that another thread held at that moment would never be given back there.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import cached_property
from types import TracebackType


class ForkSafeLock:
    """A reentrant lock, which a forked child gets anew."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()


def _renew_locks_of_cached_properties() -> None:
    """Until Python 3.12 each ``cached_property`` has a lock, held while any object computes it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("vaecodec."):
            for one in list(vars(module).values()):
                if isinstance(one, type) and one.__module__ == name:
                    for attribute in vars(one).values():
                        if isinstance(attribute, cached_property) and hasattr(attribute, "lock"):
                            attribute.lock = threading.RLock()


if hasattr(os, "register_at_fork") and sys.version_info < (3, 12):
    os.register_at_fork(after_in_child=_renew_locks_of_cached_properties)
