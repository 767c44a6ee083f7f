"""The lock that an action holds while it changes the repository."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.display import escaped
from pytest_cobbler.lifecycle.recovery import remove_remains
from pytest_cobbler.repository.lock import run_lock
from pytest_cobbler.repository.repository import Repository

__all__ = ["locked"]


@contextlib.contextmanager
def locked(
    settings: Config, repository: Repository, action: str, ours: Iterable[Path] = ()
) -> Iterator[None]:
    """Hold the run lock; remove what a dead process left, and print a line for each.

    Args:
        action: the option of the command line.
        ours: see ``run_lock``.

    Raises:
        RepositoryError: another run holds the lock, or the repository cannot be written.
    """
    with run_lock(repository.common_dir, f"pytest {action}", ours):
        for line in remove_remains(repository, settings.gen_prefix):
            sys.stdout.write(f"recovered: {escaped(line)}\n")
        yield
