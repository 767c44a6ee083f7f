"""Removing untracked files from directories of the checkout, and no file behind a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pytest_cobbler.display import shown_path
from pytest_cobbler.repository.repository import Repository

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(kw_only=True)
class Cleaned:
    """Removed paths (a directory removed as a whole ends with ``/``), and reasons why others stayed."""

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return [*(f"removed {path}" for path in self.removed), *(f"left {reason}" for reason in self.left)]


def remove_untracked(repository: Repository, directories: Sequence[PurePosixPath]) -> Cleaned:
    """Remove untracked files, ignored ones included, and the directories that are empty then.

    Every directory is opened from the one above it and never through a link, so that nothing outside is
    reached, whatever replaces it meanwhile. Repositories inside the checkout stay.

    Args:
        directories: paths of the project.
    """
    cleaned = Cleaned()
    if not directories:
        return cleaned
    tracked = set(repository.in_checkout("ls-files", "-z").stdout.split(b"\0"))
    root = os.open(repository.root, _DIRECTORY & ~os.O_NOFOLLOW)
    try:
        for directory in directories:
            path = os.fsencode(repository.directory.outward(str(directory)))
            _remove(root, b"", path.split(b"/"), tracked, cleaned)
    finally:
        os.close(root)
    return cleaned


def _remove(
    directory: int, above: bytes, parts: list[bytes], tracked: Collection[bytes], cleaned: Cleaned
) -> None:
    """Remove the file or directory at the path ``parts`` below an open directory."""
    path = above + parts[0]
    try:
        here = os.open(parts[0], _DIRECTORY, dir_fd=directory)
    except FileNotFoundError:
        return
    except OSError:
        cleaned.left.append(f"{shown_path(path)}: a link, or no directory")
        return
    try:
        if parts[1:]:
            _remove(here, path + b"/", parts[1:], tracked, cleaned)
            return
    finally:
        os.close(here)
    removed, _ = _try_to_remove(directory, parts[0], path, tracked, cleaned)
    cleaned.removed += map(shown_path, removed)


def _empty(
    directory: int, path: bytes, tracked: Collection[bytes], cleaned: Cleaned
) -> tuple[list[bytes], bool]:
    """Remove the entries of an open directory: the removed paths, and whether the directory is empty now."""
    names = sorted(os.fsencode(name) for name in os.listdir(directory))
    if b".git" in names or {b"HEAD", b"objects", b"refs"} <= set(names):
        cleaned.left.append(f"{shown_path(path)}: a repository of its own")
        return [], False
    removed, is_empty = [], True
    for name in names:
        gone, is_gone = _try_to_remove(directory, name, path + b"/" + name, tracked, cleaned)
        removed += gone
        is_empty = is_empty and is_gone
    return removed, is_empty


def _try_to_remove(
    directory: int, name: bytes, path: bytes, tracked: Collection[bytes], cleaned: Cleaned
) -> tuple[list[bytes], bool]:
    """Remove one entry of a directory: the removed paths, and whether the entry is gone."""
    if path in tracked:
        return [], False
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=directory)
            return [path], True
        inner = os.open(name, _DIRECTORY, dir_fd=directory)
        try:
            removed, is_empty = _empty(inner, path, tracked, cleaned)
        finally:
            os.close(inner)
        if not is_empty:
            return removed, False
        os.rmdir(name, dir_fd=directory)
        return [path + b"/"], True
    except OSError as error:
        cleaned.left.append(f"{shown_path(path)}: {error.strerror}")
        return [], False
