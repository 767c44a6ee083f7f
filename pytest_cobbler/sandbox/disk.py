"""The limit on what a job writes to the host's disk, in the directories that it may write.

No quota is available to every user on every file system, so the directories are measured while the job runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation

__all__ = ["DiskWatch", "size_of", "upper_directories", "upper_directories_in"]

_SHORTEST: Final = 1.0
"""Seconds between two measurements."""

_SHARE: Final = 50
"""A measurement may take one part in this number of the time."""

_BLOCK: Final = 512
"""Bytes of one block of ``st_blocks``, on every file system."""

_LONGEST: Final = 3000
"""Bytes of a path from which on it is continued from an open directory; the kernel takes 4,095."""

_ESCAPE: Final = re.compile(r"\\([0-7]{3})")


class DiskWatch:
    """Ends a job whose directories together take more than ``limit`` bytes.

    A context manager: it measures in a thread of its own until it is left.

    Args:
        directories: is called before each measurement; an error means that they are not known yet.
        outer: ends the job too.
    """

    def __init__(
        self, limit: int | None, directories: Callable[[], Sequence[Path]], outer: Cancellation | None
    ) -> None:
        self.cancellation = Cancellation(outer)
        self.exceeded = False
        self._limit = limit
        self._directories = directories
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cobbler-disk", daemon=True)

    def __enter__(self) -> Self:
        if self._limit is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        if self._limit is not None:
            self._thread.join()

    def stop(self) -> None:
        """Measure no more."""
        self._left.set()

    def _watch(self) -> None:
        assert self._limit is not None
        pause = _SHORTEST
        while not self._left.wait(pause):
            began = time.monotonic()
            with contextlib.suppress(CobblerError, OSError):
                if size_of(self._directories(), self._limit, self._left.is_set) > self._limit:
                    self.exceeded = True
                    self.cancellation.cancel()
                    return
            pause = max(_SHORTEST, _SHARE * (time.monotonic() - began))


def size_of(directories: Iterable[Path], enough: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """The bytes that ``directories`` take on their disks; links are not followed, and count once.

    Counting ends early when ``enough`` bytes are found, or when ``stopped``.
    """
    total = 0
    seen: set[tuple[int, int]] = set()
    waiting: list[str | int] = [os.fspath(directory) for directory in directories]
    while waiting and total <= enough and not stopped():
        place = waiting.pop()
        if isinstance(place, int):  # all below it has been counted
            os.close(place)
            continue
        with contextlib.suppress(OSError):
            if len(place) > _LONGEST:
                opened = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                waiting.append(opened)
                place = f"/proc/self/fd/{opened}"
            with os.scandir(place) as entries:
                for entry in entries:
                    size, is_directory = _measured(entry, seen)
                    total += size
                    if is_directory:
                        waiting.append(entry.path)
    for place in waiting:
        if isinstance(place, int):
            os.close(place)
    return total


def _measured(entry: os.DirEntry[str], seen: set[tuple[int, int]]) -> tuple[int, bool]:
    """The bytes of an entry, none if another link to it is in ``seen``, and whether it is a directory."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return 0, False
    is_directory = stat.S_ISDIR(status.st_mode)
    if status.st_nlink > 1 and not is_directory:
        if (status.st_dev, status.st_ino) in seen:
            return 0, False
        seen.add((status.st_dev, status.st_ino))
    return status.st_blocks * _BLOCK, is_directory


def upper_directories(process: int, targets: Iterable[str]) -> list[Path]:
    """The directories of the host with what a container has written to its overlays at ``targets``."""
    return upper_directories_in(Path(f"/proc/{process}/mountinfo").read_text("utf-8", "replace"), targets)


def upper_directories_in(mounts: str, targets: Iterable[str]) -> list[Path]:
    """The same from the text of a ``mountinfo`` file. An overlay by FUSE does not name its directories."""
    wanted = set(targets)
    found = []
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and len(kinds) == 3 and _plain(fields[4]) in wanted:
            options = dict(option.partition("=")[::2] for option in kinds[2].split(","))
            if kinds[0] == "overlay" and "upperdir" in options:
                found.append(Path(_plain(options["upperdir"])))
    return found


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)
