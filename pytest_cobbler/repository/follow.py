"""The user's checkout follows its branch: index and files move before the branch, and back on failure.

git writes files first and the index last, and may be killed at any point. The files show how far it came: a
file with the content of the old or the new commit, or with the beginning of it, was written by git.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePosixPath

from pytest_cobbler.display import named, shown_path
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import Completion
from pytest_cobbler.repository.changes import SUBMODULE, Entry, read_change
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.stale_locks import owner_of

_NOTHING = "000000"
_GOING_ON = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}


class Following:
    """A move of the checkout from ``old`` to ``new``, commits or trees."""

    def __init__(self, repository: Repository, old: str, new: str) -> None:
        self._repository = repository
        self._old = old
        self._new = new
        self._entries = read_change(repository.objects, old, new).entries
        self._lock = repository.git_dir / "index.lock"

    def check(self) -> None:
        """Check that nothing is in the way: no unfinished operation of git, no untracked file.

        Raises:
            RepositoryError: something is in the way. Nothing was changed.
        """
        root = self._repository.root
        if self._lock.exists():
            raise RepositoryError(
                f"git is running in {root}: {self._lock} exists",
                "If no git command is running, remove that file.",
            )
        for name, what in _GOING_ON.items():
            if (self._repository.git_dir / name).exists():
                raise RepositoryError(
                    f"{what} is going on in {root}", "Finish it, or abort it (git ... --abort)."
                )
        if hidden := self._hidden():
            raise RepositoryError(
                f"git ignores changes of files in {root} that have to change: {_shown(hidden)}",
                "Undo that: git update-index --no-assume-unchanged --no-skip-worktree PATH",
            )
        written = [_place(entry) for entry in self._entries if entry.new_mode not in (_NOTHING, SUBMODULE)]
        replaced = {_place(entry) for entry in self._entries if entry.old_mode != _NOTHING}
        if obstacles := _in_the_way(root, written, replaced):
            raise RepositoryError(
                f"files in {root} that git does not track would be overwritten: {_shown(obstacles)}",
                "Move them away, or commit them.",
            )

    def _hidden(self) -> set[PurePosixPath]:
        """Files whose changes git would not see. In a sparse checkout they do not exist."""
        changing = {entry.path: _place(entry) for entry in self._entries}
        hidden = set()
        for line in self._git("ls-files", "-v", "-z").stdout.split(b"\0"):
            flag, _, path = line.partition(b" ")
            if path in changing and (flag.islower() or flag == b"S"):
                hidden.add(changing[path])
        return {path for path in hidden if _mode(self._repository.root, path) is not None}

    def staged(self) -> str:
        """The files, for display, whose entry in the index differs from HEAD."""
        listed = self._git("diff-index", "--cached", "-z", "--name-only", "HEAD").stdout
        differ = set(listed.split(b"\0"))
        return named([shown_path(entry.path) for entry in self._entries if entry.path in differ])

    def advance(self) -> None:
        """Move index and files to the new commit, by the user's own git.

        Raises:
            RepositoryError: git failed, perhaps after a part of the move: call ``take_back``.
        """
        self._repository.in_checkout("update-index", "-q", "--refresh")
        self._git("read-tree", "-m", "-u", self._old, self._new)
        self._give_back()

    def take_back(self) -> None:
        """Bring index and files back to the old commit, wherever a move ended. It can be repeated.

        Raises:
            RepositoryError: a file has neither commit's content. Nothing was changed.
        """
        root = self._repository.root
        self._remove_dead_lock()
        restored = [entry for entry in self._entries if entry.old_mode not in (_NOTHING, SUBMODULE)]
        changing = {_place(entry) for entry in self._entries}
        foreign = {_place(entry) for entry in self._changed() if not self._is_gits(entry)}
        foreign |= _in_the_way(root, [_place(entry) for entry in restored], changing)
        if foreign:
            raise RepositoryError(
                f"a stop was ended half-way in {root}, and since then someone changed {_shown(foreign)}",
                "Move those files away, then run the command again.",
            )
        self._git("read-tree", "-i", "-m", self._new, self._old)  # the index alone, wherever it is
        for entry in self._entries:
            if entry.old_mode == _NOTHING:
                self._remove(_place(entry))
        paths = b"".join(entry.path + b"\0" for entry in restored)
        self._git("checkout-index", "-q", "-f", "-u", "-z", "--stdin", stdin=paths)
        self._give_back()

    def _git(self, *arguments: str, stdin: bytes = b"") -> Completion:
        completion = self._repository.in_checkout(*arguments, stdin=stdin)
        if not completion.ok:
            raise RepositoryError(
                f"git {arguments[0]} failed in {self._repository.root}", evidence=completion.errors
            )
        return completion

    def _changed(self) -> list[Entry]:
        """The entries whose file differs from the index."""
        self._repository.in_checkout("update-index", "-q", "--refresh")
        differ = set(self._git("diff-files", "-z", "--name-only").stdout.split(b"\0"))
        indexed = set(self._git("ls-files", "-z").stdout.split(b"\0"))
        return [entry for entry in self._entries if entry.path in differ or entry.path not in indexed]

    def _is_gits(self, entry: Entry) -> bool:
        """Whether the file is missing, or is a beginning of what git writes there for one of the commits."""
        place = self._repository.root / _place(entry)
        mode = _mode(self._repository.root, _place(entry))
        if mode is None or stat.S_ISDIR(mode):
            return True  # the files in a directory are checked one by one
        if stat.S_ISLNK(mode):
            content = os.fsencode(place.readlink())
        elif stat.S_ISREG(mode):
            content = place.read_bytes()
        else:
            return False
        sides = ((self._old, entry.old_mode), (self._new, entry.new_mode))
        return any(
            self._checked_out(side, entry).startswith(content)
            for side, mode_there in sides
            if mode_there not in (_NOTHING, SUBMODULE)
        )

    def _checked_out(self, side: str, entry: Entry) -> bytes:
        """The content that git writes there, line ends included."""
        return self._git("cat-file", "--filters", f"{side}:{os.fsdecode(entry.path)}").stdout

    def _remove(self, path: PurePosixPath) -> None:
        """Remove a file that git wrote, and the directories that are empty then."""
        root = self._repository.root
        mode = _mode(root, path)
        if mode is None or stat.S_ISDIR(mode):
            return
        (root / path).unlink()
        with contextlib.suppress(OSError):
            for parent in reversed(_above(path)):
                (root / parent).rmdir()

    def _remove_dead_lock(self) -> None:
        """Remove the lock on the index that a killed git left.

        Raises:
            RepositoryError: git still runs.
        """
        if self._lock.exists() and (process := owner_of(self._lock, [self._repository.root])):
            raise RepositoryError(
                f"git is running in {self._repository.root} (process {process})", "Wait until it has ended."
            )
        self._lock.unlink(missing_ok=True)

    def _give_back(self) -> None:
        """Nothing that was written in another user's checkout is left to root."""
        root = self._repository.root
        owner = root.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            return
        for entry in self._entries:
            path = _place(entry)
            for one in (*_above(path), path):
                if _mode(root, one) is not None and (root / one).lstat().st_uid == 0:
                    os.chown(root / one, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _in_the_way(
    root: Path, paths: Iterable[PurePosixPath], expected: Collection[PurePosixPath]
) -> set[PurePosixPath]:
    """Files in the place of these files, or of directories above them, that are not ``expected``."""
    obstacles: set[PurePosixPath] = set()
    for path in paths:
        solid = next((above for above in _above(path) if not _is_directory(root / above)), None)
        if solid is not None:
            present = [solid] if os.path.lexists(root / solid) else []
        elif _is_directory(root / path):
            present = list(_files_below(root, path))
        else:
            present = [path] if os.path.lexists(root / path) else []
        obstacles.update(place for place in present if place not in expected)
    return obstacles


def _files_below(root: Path, directory: PurePosixPath) -> Iterator[PurePosixPath]:
    for path in (root / directory).rglob("*"):
        if not _is_directory(path):
            yield PurePosixPath(path.relative_to(root))


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _place(entry: Entry) -> PurePosixPath:
    return PurePosixPath(os.fsdecode(entry.path))


def _above(path: PurePosixPath) -> list[PurePosixPath]:
    """The directories above a path, outermost first."""
    return list(path.parents)[-2::-1]


def _mode(root: Path, path: PurePosixPath) -> int | None:
    """The mode of the file at a path that leads through no link; ``None`` if it does not exist."""
    if not all(_is_directory(root / above) for above in _above(path)):
        return None
    with contextlib.suppress(FileNotFoundError):
        return (root / path).lstat().st_mode
    return None


def _shown(paths: Iterable[PurePosixPath]) -> str:
    return named([shown_path(path) for path in sorted(paths)])
