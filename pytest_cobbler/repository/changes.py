"""The paths in which two trees differ, by what they hold: no git is started, and no rename is looked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cobbler.display import shown_path
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.blobs import DIRECTORY, entries_of
from pytest_cobbler.repository.git import Git

__all__ = ["SUBMODULE", "Change", "Entry", "read_change"]

SUBMODULE = "160000"
_NO_MODE = "000000"

_LONGEST = 1 << 16
"""Bytes of the path of a directory that is read; git itself reads no such depth."""
_MOST_DIRECTORIES = 1_000_000
"""Those that are read for one change: a few trees can hold each other in more ways than can be counted."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One changed path: ``status`` A, M, D or T; modes as git prints them."""

    path: bytes
    status: str
    old_mode: str
    new_mode: str
    old: str
    new: str

    @property
    def shown(self) -> str:
        return shown_path(self.path)


@dataclass(frozen=True, kw_only=True)
class Change:
    """The paths that differ between a parent and a tree."""

    entries: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(entry.shown for entry in self.entries)


def read_change(git: Git, old: str, new: str, most: int | None = None) -> Change:
    """The differences between two trees or commits, as ``git diff-tree -r`` lists them: sorted by path.

    Args:
        most: when there are more, some of them are left out.

    Raises:
        RepositoryError: one of them is missing, or no files of an agent can make such trees.
    """
    entries: list[Entry] = []
    waiting = [(b"", (old, new))]
    directories = 0
    while waiting and (most is None or len(entries) <= most):
        above, sides = waiting.pop()
        directories += 1
        if len(above) > _LONGEST or directories > _MOST_DIRECTORIES:
            raise RepositoryError(f"too many directories differ between {old} and {new}")
        before, after = (entries_of(git, side) if side else {} for side in sides)
        for name in before.keys() | after.keys():
            if before.get(name) == after.get(name):
                continue
            below = _directory(before, name), _directory(after, name)
            if any(below):
                waiting.append((above + name + b"/", below))
            entries += _entry(above + name, before.get(name), after.get(name))
    return Change(entries=tuple(sorted(entries, key=lambda entry: entry.path)))


def _directory(entries: Mapping[bytes, tuple[str, str]], name: bytes) -> str:
    """The tree of a directory; empty if there is none of this name."""
    mode, tree = entries.get(name, ("", ""))
    return tree if mode == DIRECTORY else ""


def _entry(path: bytes, old: tuple[str, str] | None, new: tuple[str, str] | None) -> list[Entry]:
    """The entry of a path at which another file, link or submodule is, or none any more."""
    old, new = (None if side and side[0] == DIRECTORY else side for side in (old, new))
    if old and new:
        status = "M" if old[0][:2] == new[0][:2] else "T"
    elif old or new:
        status = "D" if old else "A"
    else:
        return []
    old_mode, old_id = old or (_NO_MODE, "0" * len((new or old or ("", ""))[1]))
    new_mode, new_id = new or (_NO_MODE, "0" * len(old_id))
    return [Entry(path=path, status=status, old_mode=old_mode, new_mode=new_mode, old=old_id, new=new_id)]
