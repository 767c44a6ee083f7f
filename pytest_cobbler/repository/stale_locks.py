"""Lock files of git that a killed git left behind: every git that needs one of them fails.

git closes most of its lock files long before it removes them, and writes nothing into them that names its
process. So a lock file is stale if nothing changes it for a while and no process could be its owner.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

__all__ = ["UNCHANGED", "owner_of", "remove_if_stale"]

UNCHANGED = 5.0
"""Seconds without a change after which a lock file may belong to a dead process."""


def remove_if_stale(lock: Path, places: Collection[Path]) -> bool:
    """Wait for a lock file to go by itself; remove it if no process can be its owner.

    A file of another user stays: processes of that user cannot be seen.

    Args:
        places: the git directory and its checkouts, in which the owner would work.
    """
    with contextlib.suppress(FileNotFoundError):
        first = lock.stat()
        if os.geteuid() not in (0, first.st_uid):
            return False
        time.sleep(min(UNCHANGED, max(0.0, UNCHANGED - (time.time() - first.st_mtime))))
        now = lock.stat()
        is_same = (now.st_ino, now.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
        if is_same and owner_of(lock, places) is None:
            lock.unlink()
            return True
    return False


def owner_of(lock: Path, places: Collection[Path]) -> int | None:
    """A process that may own a lock file, among those that this one can see.

    It has the file open, or it is a git that works in one of ``places`` or names one of them.
    """
    file = lock.resolve()
    names = [os.fsencode(place.resolve()) for place in places]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ends meanwhile, or is another user's
            if _is_git_at(process, names) or file in _open_files(process):
                return int(process.name)
    return None


def _is_git_at(process: Path, places: Collection[bytes]) -> bool:
    words = (process / "cmdline").read_bytes().split(b"\0")
    program = words[0].rpartition(b"/")[2]
    if not program.startswith(b"git") or b"cat-file" in words:  # which reads, perhaps for days
        return False
    variables = (process / "environ").read_bytes().split(b"\0")
    named = [*words, *(line for line in variables if line.startswith((b"GIT_DIR=", b"GIT_WORK_TREE=")))]
    directory = os.fsencode((process / "cwd").readlink()) + b"/"
    return any(directory.startswith(place + b"/") or any(place in word for word in named) for place in places)


def _open_files(process: Path) -> Iterator[Path]:
    for link in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            yield link.readlink()
