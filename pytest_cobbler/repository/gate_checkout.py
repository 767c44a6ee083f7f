"""The checkout of a gate, which goes from tree to tree."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from pytest_cobbler.repository.changes import Entry, read_change
from pytest_cobbler.repository.directories import Owner, chown_tree, remove_tree
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory

__all__ = ["GateCheckout", "first_entry", "gates"]


def gates(repository: Repository) -> Path:
    """The directory of all checkouts of gates."""
    return repository.work_dir / "gate"


def first_entry(checkout: Path, below: Subdirectory) -> str:
    """The first name in a directory of a checkout; empty if it has none, or is not there."""
    directory = checkout / below.path
    return min((one.name for one in directory.iterdir()), default="") if directory.is_dir() else ""


class GateCheckout:
    """One pristine checkout that is moved from tree to tree; jobs see it through an overlay or a copy."""

    @staticmethod
    def remove_all(repository: Repository) -> None:
        """Remove the checkouts of dead processes, also for generations that were never started.

        Call it under the run lock, before one is made.
        """
        for directory in gates(repository).glob("*"):
            remove_tree(directory)

    def __init__(self, repository: Repository, generation: str, owner: Owner) -> None:
        self._directory = gates(repository) / generation
        self.path = self._directory / "tree"
        self._repository = repository
        self._owner = owner
        self._below = repository.directory
        self._tree: str | None = None
        self._make_empty()

    @property
    def _index(self) -> Path:
        return self._directory / "index"

    @property
    def _git(self) -> Git:
        return self._repository.objects.using(index=self._index, work_tree=self.path)

    def _make_empty(self) -> None:
        remove_tree(self._directory)
        self.path.mkdir(parents=True)
        if self._owner:
            os.chown(self.path, *self._owner)

    def move(self, tree: str) -> Path:
        """Make the directory hold exactly ``tree``.

        What it holds is known: no job can write it. So only the paths that differ are touched; git would look
        at each file of the tree.
        """
        if not self.path.is_dir():
            self._tree = None  # it was deleted
        if self._tree == tree:
            return self.path
        old, self._tree = self._tree, None  # until it is done, its contents are unknown
        changed = read_change(self._repository.objects, old, tree).entries if old else ()
        if old is None or any(entry.path.rpartition(b"/")[2] == b".gitattributes" for entry in changed):
            self._fill(tree)  # other attributes may give unchanged blobs other bytes
        else:
            try:
                self._follow(changed)
            except OSError:  # something else than this has changed it
                self._fill(tree)
        self._tree = tree
        return self.path

    def _fill(self, tree: str) -> None:
        self._make_empty()
        self._git.run("read-tree", "--reset", "-u", tree)
        self._below.make_below(self.path)
        if self._owner:
            chown_tree(self.path, self._owner)

    def _follow(self, changed: Iterable[Entry]) -> None:
        """Remove, then write what has changed: what replaces a directory finds its place empty."""
        present = [entry for entry in changed if entry.status != "D"]
        for entry in changed:
            if entry.status == "D":
                self._remove(entry)
        if present:
            self._index.unlink(missing_ok=True)
            lines = b"".join(f"{one.new_mode} {one.new}\t".encode() + one.path + b"\0" for one in present)
            git = self._git  # its index has these entries alone
            git.run("update-index", "-z", "--index-info", stdin=lines)
            git.run("checkout-index", "--all", "--force", "--quiet")
        made = self._below.make_below(self.path)
        if self._owner:
            for directory in made:
                os.chown(directory, *self._owner)
            self._chown([entry.path for entry in present], self._owner)

    def _remove(self, entry: Entry) -> None:
        """Remove a path, and the directories above it that are empty then, as git does."""
        path = self.path / os.fsdecode(entry.path)
        if entry.old_mode == _SUBMODULE:
            path.rmdir()
        else:
            path.unlink()
        with contextlib.suppress(OSError):  # one has other files
            for directory in path.parents:
                if directory == self.path:
                    break
                directory.rmdir()

    def _chown(self, present: list[bytes], owner: tuple[int, int]) -> None:
        """Give paths of the tree, and the directories above them, to ``owner``.

        ``present`` has no deleted path: a link may be in the place of a directory above one.
        """
        paths: set[Path] = set()
        for name in present:
            path = self.path / os.fsdecode(name)
            paths.add(path)
            paths.update(parent for parent in path.parents if parent.is_relative_to(self.path))
        for path in paths:
            os.chown(path, *owner, follow_symlinks=False)

    def remove(self) -> None:
        remove_tree(self._directory)


_SUBMODULE = "160000"
