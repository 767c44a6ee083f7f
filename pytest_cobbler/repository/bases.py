"""Pristine checkouts below the overlays of worktrees, so that a large tree is not checked out for each task.

A base holds exactly one tree and never changes: no job has it but as the lower directory of an overlay. What
a worktree's tree has otherwise is written into the upper directory before a job sees it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.blobs import DIRECTORY, all_entries
from pytest_cobbler.repository.changes import SUBMODULE, Entry, read_change
from pytest_cobbler.repository.directories import Owner, chown_tree, remove_tree
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.pins import BASE, PINS
from pytest_cobbler.repository.repository import Repository

__all__ = ["BASES", "Base", "Bases"]

BASES = "bases"
"""The directory in a work directory with the bases."""

MOST_CHANGED = 2_000
"""Paths in which a worktree may differ from its base; if there are more, it gets a base of its own."""


@dataclass(frozen=True)
class Base:
    """A checkout of ``tree_id`` in ``files``, and an index that has the stat data of each file.

    In ``trusted``, a second index, each file is marked as one that git need not look at.
    """

    directory: Path
    tree_id: str

    @property
    def files(self) -> Path:
        return self.directory / "tree"

    @property
    def index(self) -> Path:
        return self.directory / "index"

    @property
    def trusted(self) -> Path:
        return self.directory / "trusted"

    @property
    def is_there(self) -> bool:
        """Whether nothing has removed it: ``trusted`` is removed first."""
        return self.trusted.is_file() and any(self.files.glob("*"))

    def remove(self) -> None:
        """Remove it; if this process is killed meanwhile, it is not there, either.

        Raises:
            RepositoryError: a part of it cannot be removed.
        """
        with contextlib.suppress(OSError):  # then the rest cannot be removed, or there is no such file
            self.trusted.unlink()
        remove_tree(self.directory)


class Bases:
    """The bases of a repository for jobs of ``owner``; thread-safe.

    Args:
        large: files of the first tree from which on trees have a base; ``None``: none has.
        works: whether jobs can have overlays here; asked once, and only if that tree is large.
    """

    def __init__(
        self, repository: Repository, owner: Owner, large: int | None, works: Callable[[], bool]
    ) -> None:
        self._repository = repository
        self._owner = owner
        self._large = large
        self._works = works
        self._is_able: bool | None = None
        self._directory = repository.work_dir / BASES
        self._lock = threading.Lock()
        self._made: list[Base] = []

    def below(self, tree: str) -> Base | None:
        """The base of a new worktree with ``tree``; ``None`` if it has a checkout of its own.

        Raises:
            RepositoryError: git or the disk failed.
        """
        with self._lock:
            if not self._can_overlay(tree):
                return None
            project = self._repository.directory.path
            if project and self._repository.resolve(f"{tree}:{project}") is None:
                return None  # its directory has to be made, and might show files of the base
            for base in reversed(self._made):
                if base.is_there and self._suits(base, tree):  # else it was deleted
                    return base
            if not self._is_large(tree):
                return None
            base = self._make(tree)
            self._made.append(base)
            return base

    def renew(self, base: Base) -> None:
        """Make a base of an earlier run again if it is gone.

        Raises:
            RepositoryError: git or the disk failed.
        """
        with self._lock:
            if not base.is_there:
                self._make(base.tree_id)

    def _suits(self, base: Base, tree: str) -> bool:
        """Whether ``tree`` can lie over ``base``.

        Other attributes would give the same blobs other bytes. The directory of another submodule would show
        what the base has in its place.
        """
        try:
            entries = read_change(self._repository.objects, base.tree_id, tree).entries
        except RepositoryError:
            return False  # no worktree lies over it any more, and its objects were removed
        names = {entry.path.rpartition(b"/")[2] for entry in entries}
        has_new_submodule = any(entry.new_mode == SUBMODULE for entry in entries)
        return len(entries) <= MOST_CHANGED and b".gitattributes" not in names and not has_new_submodule

    def _can_overlay(self, tree: str) -> bool:
        """Whether trees are large, by the first one, and jobs can have overlays."""
        if self._is_able is None:
            self._is_able = self._is_large(tree) and self._works()
        return self._is_able

    def _is_large(self, tree: str) -> bool:
        if self._large is None:
            return False
        number = sum(1 for _ in all_entries(self._repository.objects, tree))
        return number >= max(self._large, 1)  # a base without files is taken for one that is gone

    def _make(self, tree: str) -> Base:
        base = Base(self._directory / tree, tree)
        draft = self._directory / f"{tree}.draft"
        try:
            base.remove()
            remove_tree(draft)
            (draft / "tree").mkdir(parents=True)
            git = self._repository.objects.using(index=draft / "index", work_tree=draft / "tree")
            git.run("read-tree", "--reset", "-u", tree)
            if self._owner:
                chown_tree(draft / "tree", self._owner)
            # Git reads a file whose time is not before the index's: a change in that second could be hidden.
            _date_back(draft / "tree")
            git.run("update-index", "-q", "--refresh")
            shutil.copy2(draft / "index", draft / "trusted")
            git = self._repository.objects.using(index=draft / "trusted", work_tree=draft / "tree")
            names = git.run("ls-files", "-z").stdout
            git.run("update-index", "--assume-unchanged", "-z", "--stdin", stdin=names)
            git.run("read-tree", "--reset", "-i", tree)  # keeps the marks, and adds the ids of directories
            draft.rename(base.directory)
        except OSError as error:
            raise RepositoryError(f"cannot make {draft}: {error.strerror}") from error
        return base

    def lay(self, base: Base, tree: str, upper: Path, index: Path, trusted: Path) -> bytes:
        """Fill ``upper``, an empty directory, so that it shows ``tree`` over ``base``, and the indexes.

        Returns:
            the paths that differ between the two, each with a NUL at its end.

        Raises:
            RepositoryError: git failed.
            OSError: the disk failed.
        """
        shutil.copy2(base.index, index)  # with its time, which git compares
        shutil.copy2(base.trusted, trusted)
        entries = _with_directories(self._repository.objects, base.tree_id, tree)
        if not entries:
            return b""
        for one in (trusted, index):
            git = self._repository.objects.using(index=one, work_tree=upper)
            git.run("read-tree", "--reset", "-i", tree)
        present = [one.path for one in entries if one.status != "D" and one.new_mode != DIRECTORY]
        names = b"".join(path + b"\0" for path in present)
        git.run("checkout-index", "-z", "--stdin", "--force", "--quiet", stdin=names)
        gone = {one.path for one in entries if one.status == "D"}
        for path in gone:
            place = upper / os.fsdecode(path)
            # Not below a directory that is gone, and not where another kind of file is now.
            if path.rpartition(b"/")[0] not in gone and not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                os.mknod(place, stat.S_IFCHR)  # a whiteout: the device 0
        return b"".join(one.path + b"\0" for one in entries if DIRECTORY not in (one.old_mode, one.new_mode))

    def remove_unused(self) -> None:
        """Remove all bases that no worktree of any generation lies over; call it under the run lock."""
        pins = self._repository.list_refs(PINS.rstrip("/"))
        used = {tree for ref, tree in pins.items() if ref.endswith(f"/{BASE}")}
        with self._lock:
            self._made = []
            with contextlib.suppress(FileNotFoundError):
                for directory in self._directory.iterdir():
                    if directory.name not in used:
                        Base(directory, directory.name).remove()
                with contextlib.suppress(OSError):
                    self._directory.rmdir()


def _with_directories(git: Git, old: str, new: str) -> list[Entry]:
    """The paths in which two trees differ, and the directories with such paths."""
    fields = git.fields("diff-tree", "-r", "-t", "-z", "--raw", "--no-renames", "--end-of-options", old, new)
    entries = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, before, after, status = facts[1:].decode().split(" ")
        entries.append(
            Entry(path=path, status=status[:1], old_mode=old_mode, new_mode=new_mode, old=before, new=after)
        )
    return entries


def _date_back(tree: Path) -> None:
    """Give all files a time that is certainly before now; the times of some file systems are coarse."""
    then = time.time() - 4
    for directory, directories, files in os.walk(tree):
        for name in (*directories, *files):
            os.utime(Path(directory, name), (then, then), follow_symlinks=False)
