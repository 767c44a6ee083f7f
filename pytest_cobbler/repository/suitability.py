"""Requirements on a repository, checked before a run costs anything."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.repository import Repository


def check_repository(repository: Repository, owner: tuple[int, int] | None) -> None:
    """Check a repository against the requirements of this package.

    Args:
        owner: uid and gid of jobs, ``None`` for the caller's own.

    Raises:
        RepositoryError: a requirement is not met.
    """
    _check_path(repository)
    _check_task_branches(repository)
    _check_complete(repository)
    _check_writable(repository)
    if owner:
        _check_readable(repository, owner)


def _check_path(repository: Repository) -> None:
    """git's list of object stores has one path on each line."""
    if "\n" in f"{repository.root}{repository.common_dir}":
        raise RepositoryError(
            f"the path of the repository has a line break in it: {str(repository.root)!r}",
            "Move it to another place.",
        )


def _check_task_branches(repository: Repository) -> None:
    if repository.read_ref("refs/heads/task"):
        raise RepositoryError(
            "the branch task prevents the branches task/... of tasks",
            "Rename it: git branch --move task NAME",
        )


def _check_complete(repository: Repository) -> None:
    """A partial clone fetches missing objects on demand, from the remote that its configuration names."""
    for store in repository.object_stores:
        if next((store / "pack").glob("*.promisor"), None):
            raise RepositoryError(
                f"the repository is a partial clone: not all of its objects are in {store}",
                "Work in a clone that was made without --filter.",
            )


def _check_writable(repository: Repository) -> None:
    git_dir = repository.common_dir
    for directory in (git_dir, git_dir / "objects", git_dir / "refs"):
        try:
            with tempfile.TemporaryFile(dir=directory):  # has no name, so nothing is left whatever happens
                pass
        except OSError as error:
            remedy = {
                errno.EACCES: f"Give yourself the right to: chmod -R u+rwX {shlex.quote(str(git_dir))}",
                errno.EROFS: "Mount the file system that it is on writable.",
            }.get(error.errno or 0, "")
            raise RepositoryError(
                f"the repository cannot be written: {directory}: {error.strerror}", remedy
            ) from error


def _check_readable(repository: Repository, owner: tuple[int, int]) -> None:
    """Objects that were written under a umask of 077, say, cannot be read by jobs of another user."""
    umask = _umask()
    if umask & 0o044 and not repository.shared:
        raise RepositoryError(
            f"jobs run as uid {owner[0]}, which could not read what is committed under umask {umask:04o}",
            "Set another: umask 022; or let git ignore it: git config core.sharedRepository 0644",
        )
    for store in repository.object_stores:
        for path in _of_store(store):
            if not _can_read(path, owner):
                raise RepositoryError(
                    f"jobs run as uid {owner[0]}, which cannot read {path}",
                    f"Let others read the objects: chmod -R a+rX {store}; and so that it stays so: "
                    "git config core.sharedRepository 0644",
                )


def _of_store(store: Path) -> Iterator[Path]:
    """The directories of an object store, its packs, and one loose object of each directory."""
    yield store
    for directory in sorted(path for path in store.iterdir() if path.is_dir()):
        yield directory
        files = _files_of(directory)
        yield from files if directory.name == "pack" else files[:1]


def _files_of(directory: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return []


def _can_read(path: Path, owner: tuple[int, int]) -> bool:
    try:
        facts = path.stat()
    except FileNotFoundError:  # another git has just renamed its draft of an object, or packed the objects
        return True
    needed = 0o5 if stat.S_ISDIR(facts.st_mode) else 0o4
    shift = 6 if facts.st_uid == owner[0] else 3 if facts.st_gid == owner[1] else 0
    return (facts.st_mode >> shift) & needed == needed


def _umask() -> int:
    """Read from /proc: the only other way to learn the umask is to set it, for all threads."""
    status = Path("/proc/self/status")
    lines = status.read_text("utf-8").splitlines() if status.exists() else []
    umask = next((line.split()[1] for line in lines if line.startswith("Umask:")), "0")
    return int(umask, 8)
