"""Faults that lie with no task: one that several tasks meet with ends a run, before others pay for it too."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["MOST", "SharedFaults", "full_disk"]

MOST: Final = 3
"""Tasks that meet with the same fault before the run stops."""

_NO_ROOM: Final = 1_000_000
"""Bytes with which nothing can be done any more."""


class SharedFaults:
    """Counts the tasks that met with the same fault. Thread-safe.

    ``stop`` is why no more agents start; empty if they may.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[str, set[str]] = {}
        self.stop = ""

    def met(self, task: str, signature: str) -> bool:
        """A task has failed with a fault; return whether the run stops for it."""
        if not signature:
            return False
        with self._lock:
            tasks = self._tasks.setdefault(signature, set())
            tasks.add(task)
            if len(tasks) >= MOST and not self.stop:
                self.stop = f"{len(tasks)} tasks failed alike: {signature}"
            return len(tasks) >= MOST

    def disk_is_full(self, where: str) -> None:
        """A disk is full, which ends the run at the first time."""
        with self._lock:
            self.stop = self.stop or f"disk full: {where}"

    def landed(self) -> None:
        """A task has landed, so that nothing is wrong with all of them."""
        with self._lock:
            self._tasks.clear()


def full_disk(places: Iterable[Path], error: BaseException | None = None) -> str:
    """The first of ``places`` whose disk is full; else the file that an error names; else empty.

    The room is measured, because programs do not always say why they could not write.
    """
    for place in places:
        with contextlib.suppress(OSError):
            facts = os.statvfs(place)
            if facts.f_blocks and facts.f_bavail * facts.f_frsize < _NO_ROOM:
                return str(place)
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return str(error.filename or error.strerror)
        error = error.__cause__ or error.__context__
    return ""
