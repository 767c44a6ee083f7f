"""Files on the host: replaced as a whole, locked against other processes, and the end of long output."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = [
    "OF_A_MOMENT",
    "Tail",
    "lock",
    "make_private",
    "read_tail",
    "remove_dead_directories",
    "temporary_directory",
    "write_atomically",
]

OF_A_MOMENT = "cobbler-of-"
"""The beginning of the names of temporary directories; the id of their process follows."""

_POLL = 0.01
"""Seconds between two attempts at a lock; ``flock`` itself knows no deadline."""


def make_private(directory: Path) -> None:
    """Make a directory that only this user can enter, or make the existing one such a directory.

    Raises:
        OSError: it cannot be made; it is a link, or belongs to another user; others could replace it.
    """
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)
    above = directory.parent.stat().st_mode
    if above & stat.S_IWOTH and not above & stat.S_ISVTX:
        raise PermissionError(
            errno.EPERM, f"every user can replace it, because of the mode of {directory.parent}"
        )
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"it belongs to another user (uid {status.st_uid})")
        if status.st_mode & 0o077:
            os.fchmod(descriptor, 0o700)
            if os.fstat(descriptor).st_mode & 0o077:
                raise PermissionError(
                    errno.EPERM, "its file system keeps no modes, so other users can read it"
                )
    finally:
        os.close(descriptor)


def write_atomically(
    path: Path, content: bytes | memoryview, *, mode: int | None = None, durable: bool = False
) -> os.stat_result:
    """Replace the file by one with this content; a reader sees the old content or the new one, never a part.

    Writers must exclude each other. The draft has one fixed name beside the file, so that the next writer
    overwrites what a killed one left.

    Args:
        mode: permission bits of the new file; by default those of the file that it replaces.
        durable: the content and the name survive a power failure from the moment this returns.

    Returns:
        The status of the new file.
    """
    draft = path.with_name(f".{path.name}.tmp")
    with draft.open("wb") as file:
        if mode is None and path.exists():
            mode = path.stat().st_mode & 0o777
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
        status = os.fstat(file.fileno())
    draft.replace(path)
    if durable:
        _sync_directory(path.parent)
    return status


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(file: IO[bytes] | IO[str], *, patience: float = 0.0) -> None:
    """Take the exclusive lock of an open file; the kernel releases it when the file or the process ends.

    Args:
        patience: seconds to wait while another process holds the lock.

    Raises:
        BlockingIOError: another process still holds it.
        OSError: the file system has no locks.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL)
        else:
            return


@contextlib.contextmanager
def temporary_directory(place: Path | None = None) -> Iterator[Path]:
    """A new directory that is removed at the end of the block, by default in the system's place for such.

    It is locked, and its name has the id of this process: if this process is killed, the next one can tell.
    """
    with tempfile.TemporaryDirectory(prefix=f"{OF_A_MOMENT}{os.getpid()}-", dir=place) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # the file system has no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def remove_dead_directories(place: Path | None = None) -> None:
    """Remove the directories that killed processes left in ``place``.

    In the system's place, these are only those of this user. In one of ours, a directory may have been given
    to the user of jobs.
    """
    owners = {os.geteuid()} if place is None else None
    for path in Path(place or tempfile.gettempdir()).glob(f"{OF_A_MOMENT}*"):
        process = path.name.removeprefix(OF_A_MOMENT).partition("-")[0]
        if process.isdecimal() and not _lives(int(process)) and _is_free(path, owners):
            shutil.rmtree(path, ignore_errors=True)


def _lives(process: int) -> bool:
    """Whether a process runs; one that has ended, and whose parent does not know it yet, does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with contextlib.suppress(OSError, IndexError):
        status = Path(f"/proc/{process}/stat").read_text("utf-8", errors="replace")
        return status.rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def _is_free(directory: Path, owners: set[int] | None) -> bool:
    """Whether a directory has one of these owners, and is not locked: by a process with another id here."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return owners is None or os.fstat(descriptor).st_uid in owners
    except OSError:
        return False
    finally:
        os.close(descriptor)


class Tail:
    """Keeps the last ``limit`` bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()
        self._is_cut = False

    def add(self, chunk: bytes) -> None:
        self._data += chunk
        if len(self._data) > 2 * self._limit:
            del self._data[: -self._limit]
            self._is_cut = True

    @property
    def data(self) -> bytes:
        return bytes(self._data[-self._limit :])

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")

    @property
    def whole_lines(self) -> str:
        """The text without the line whose beginning is lost, and without the last newline."""
        data = self.data
        if self._is_cut or len(data) < len(self._data):
            data = data.partition(b"\n")[2]
        return data.removesuffix(b"\n").decode("utf-8", "replace")


def read_tail(path: Path, limit: int = 20_000) -> str:
    """The last ``limit`` bytes of a file as text; empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
