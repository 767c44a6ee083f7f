"""One run per repository at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import lock
from pytest_cobbler.repository.ownership import given_back

_FILE = "cobbler.lock"


def is_locked(common_dir: Path) -> bool:
    """Whether a run holds the lock now. It is not taken: another run may be about to start."""
    try:
        numbers = {str(path.stat().st_ino) for path in (common_dir, common_dir / _FILE) if path.exists()}
        locks = Path("/proc/locks").read_text("utf-8").splitlines()
    except OSError:
        return False
    files = (field for line in locks if " FLOCK " in line for field in line.split() if field.count(":") == 2)
    return any(field.rpartition(":")[2] in numbers for field in files)


@contextlib.contextmanager
def run_lock(common_dir: Path, what: str, ours: Iterable[Path] = ()) -> Iterator[None]:
    """Lock the repository for one run. The kernel releases the lock however the process ends.

    No file of root stays in another user's repository, nor in ``ours``, more directories that a run writes.

    Raises:
        RepositoryError: another run holds the lock, or the repository cannot be written.
    """
    path = common_dir / _FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RepositoryError(
            f"cannot write {path}: {error.strerror}",
            "Let the user of this process write in that directory.",
        ) from error
    with contextlib.ExitStack() as stack, os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            lock(file)
            _lock_directory(stack, common_dir)
        except OSError as error:
            holder = file.read(1000).decode("utf-8", "replace").strip() or "another run"
            raise RepositoryError(
                f"the repository is in use: {holder}", "Wait until that run has ended, or stop it."
            ) from error
        file.truncate(0)
        file.write(f"{what}, process {os.getpid()} on {socket.gethostname()}\n".encode())
        with given_back(common_dir, ours):
            yield


def _lock_directory(stack: contextlib.ExitStack, common_dir: Path) -> None:
    """Lock the git directory as well: the lock file may be removed while a run holds it.

    Raises:
        BlockingIOError: another run holds it.
    """
    descriptor = os.open(common_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise
        # NFS locks only files that are open for writing.
