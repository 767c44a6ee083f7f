"""Directory trees that jobs have written, or will: their owner, and their removal."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.sandbox.removing import removal_of

__all__ = ["Owner", "chown_tree", "remove_tree"]

Owner = tuple[int, int] | None
"""uid and gid of jobs; ``None`` for the caller's."""


def chown_tree(directory: Path, owner: tuple[int, int]) -> None:
    """Give a tree that no other process writes to ``owner``; links themselves, not what they point at."""
    for path in _walk(directory):
        os.chown(path, *owner, follow_symlinks=False)


def _walk(directory: Path) -> Iterator[str]:
    queue = [os.fspath(directory)]
    yield queue[0]
    while queue:
        with os.scandir(queue.pop()) as entries:
            for entry in entries:
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    queue.append(entry.path)


def remove_tree(directory: Path) -> None:
    """Remove a tree that an agent may have made: any depth, any mode.

    Raises:
        RepositoryError: a part of the tree could not be removed.
    """
    if not os.path.lexists(directory):
        return
    completion = removal_of(directory)
    if not completion.ok:
        raise RepositoryError(
            f"cannot remove {directory}",
            f"Remove it: podman unshare rm -rf {shlex.quote(os.fspath(directory))}",
            completion.errors[-2000:],
        )
