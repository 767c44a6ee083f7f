"""One run per repository at a time."""

from __future__ import annotations

import contextlib
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
        number = (common_dir / _FILE).stat().st_ino
        locks = Path("/proc/locks").read_text("utf-8").splitlines()
    except OSError:
        return False
    files = (field for line in locks if " FLOCK " in line for field in line.split() if field.count(":") == 2)
    return any(field.rpartition(":")[2] == str(number) for field in files)


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
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            lock(file)
        except OSError as error:
            holder = file.read(1000).decode("utf-8", "replace").strip() or "another run"
            raise RepositoryError(
                f"the repository is in use: {holder}", "Wait until that run has ended, or stop it."
            ) from error
        file.truncate(0)
        file.write(f"{what}, process {os.getpid()} on {socket.gethostname()}\n".encode())
        with given_back(common_dir, ours):
            yield
