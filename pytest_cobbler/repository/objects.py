"""Objects of the user's repository, read and written through a scratch git directory.

The scratch directory shares the object store and not the configuration, so no filter, hook, merge driver or
setting of the user changes what git makes of objects: trees and files, and the history with its trailers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import platformdirs

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import make_private, temporary_directory, write_atomically
from pytest_cobbler.repository.blobs import DIRECTORY, all_entries, entries_at, read_blob
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.reading import Reading
from pytest_cobbler.sandbox.base import Mount

PLACE = "repository"
"""The file in a work directory with the path of its repository's git directory."""

OWN_ID = "id"
"""The file beside it with the id of the repository."""

_BLOBS_AT_ONCE = 500


def default_work_dir() -> Path:
    """The user's state directory; for root a directory that other users can enter: images close ``/root``."""
    return Path("/var/lib/cobbler") if os.geteuid() == 0 else platformdirs.user_state_path("cobbler")


class Objects(Reading):
    """The objects of a repository, and the directory outside of it where work on them takes place."""

    def __init__(self, directory: Path, work_dir: Path | None = None) -> None:
        """Find the repository of ``directory``, the directory of the project in its checkout.

        Raises:
            RepositoryError: there is no repository, it is bare, or git is too old or cannot read it.
        """
        super().__init__(directory)
        self._work_dir = work_dir
        self._git_on_objects: Git | None = None
        self._trees: dict[str, str] = {}
        """Commit -> its tree, of those that were asked for."""

    @cached_property
    def key(self) -> str:
        """Names this repository in labels and directories: its name and a hash of its git directory."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "-", self.root.name).strip("-.") or "repository"
        return f"{name[:40]}-{hashlib.sha256(os.fsencode(self.common_dir)).hexdigest()[:10]}"

    @cached_property
    def work_dir(self) -> Path:
        """The directory of this repository's worktrees, outside of the repository."""
        return (self._work_dir or default_work_dir()) / self.key

    def make_work_dir(self) -> None:
        """Make ``work_dir``, or its existing directory, accessible to its owner alone.

        It has agents' work, and logs. A directory above it that exists may serve others too, and stays.

        Raises:
            RepositoryError: it cannot be made, or another user can change it.
        """
        try:
            make_private(self.work_dir)
        except OSError as error:
            raise RepositoryError(
                f"cannot make {self.work_dir}: {error.strerror}", "Set work_dir to a directory you can write."
            ) from error

    @cached_property
    def object_stores(self) -> tuple[Path, ...]:
        """Every directory that holds objects of the repository, its own first."""
        first = self.common_dir / "objects"
        stores, queue = [first], [first]
        while queue:
            directory = queue.pop(0)
            with contextlib.suppress(FileNotFoundError):
                for line in (directory / "info" / "alternates").read_bytes().split(b"\n"):
                    store = (directory / os.fsdecode(line)).resolve()
                    if line and not line.startswith(b"#") and store.is_dir() and store not in stores:
                        stores.append(store)
                        queue.append(store)
        return tuple(stores)

    def object_mounts(self, owner: tuple[int, int] | None) -> tuple[Mount, ...]:
        """The object stores in a job: at their paths or, for jobs of another user, below ``/cobbler``.

        A store may lie below a directory that an image closes to other users, as it does ``/root``.
        """
        return tuple(
            Mount(source=store, target=f"/cobbler/objects/{number}" if owner else str(store))
            for number, store in enumerate(self.object_stores)
        )

    @property
    def shallow(self) -> Path:
        """The file that lists where a shallow clone's history is cut off; it need not exist."""
        return self.common_dir / "shallow"

    @property
    def is_shallow(self) -> bool:
        """Whether the history is cut off."""
        return self.shallow.is_file() and self.shallow.stat().st_size > 0

    @property
    def objects(self) -> Git:
        """git on the scratch directory, which is made again if it was deleted."""
        scratch = self.work_dir / f"scratch-{self.object_format}.git"
        if self._git_on_objects is None or not scratch.is_dir():
            self._git_on_objects = self._open_scratch(scratch)
        return self._git_on_objects

    def _open_scratch(self, scratch: Path) -> Git:
        self.make_work_dir()
        if not scratch.is_dir():
            self._make_scratch(scratch)
        if not (self.work_dir / PLACE).exists():
            with contextlib.suppress(OSError):  # nothing but --cobbler-clean reads it
                write_atomically(self.work_dir / PLACE, os.fsencode(self.common_dir))
        return Git(
            scratch,
            objects=self.object_stores[0],
            shallow=self.shallow,
            settings={"core.sharedRepository": self.shared} if self.shared else {},
        )

    def _make_scratch(self, scratch: Path) -> None:
        """Make the whole directory or nothing: this process may be killed, and another may do the same."""
        try:
            with temporary_directory(self.work_dir) as directory:
                draft = directory / "git"
                init_bare(draft, object_format=self.object_format, alternates=())
                draft.rename(scratch)
        except OSError as error:
            if not scratch.is_dir():
                raise RepositoryError(
                    f"cannot make {scratch}: {error.strerror}", "Set work_dir to a directory you can write."
                ) from error

    def tree_of(self, revision: str) -> str:
        """The tree of a commit, or a tree itself."""
        tree = self._trees.get(revision)
        if tree is None:
            found = self.objects.reader.find(f"{revision}^{{tree}}")
            if found is None:
                raise RepositoryError(f"git has no tree {revision}")
            tree = self._trees[revision] = found.id  # the scratch directory has no refs, only objects
        return tree

    def parent_of(self, commit: str) -> str:
        """The first parent of a commit.

        Raises:
            RepositoryError: it has none, or is not there.
        """
        found = self.objects.reader.find(f"{commit}^")
        if found is None:
            raise RepositoryError(f"git has no parent of commit {commit}")
        return found.id

    # The paths of these are the project's, see ``Subdirectory``.

    def project_tree(self, revision: str) -> str:
        """The tree of the project in a tree or commit: at the top the same, without its directory empty."""
        if not self.directory.path:
            return revision
        listed = entries_at(self.objects, revision, [os.fsencode(self.directory.path)])
        tree = next((object_id for mode, object_id, _ in listed if mode == DIRECTORY), None)
        return tree or self.objects.text("mktree", stdin=b"")

    def files(self, tree: str) -> list[str]:
        """Paths of the project in a tree, undecodable bytes escaped."""
        return [os.fsdecode(path) for _, _, path in self._entries(self.project_tree(tree))]

    def submodules(self, tree: str) -> set[str]:
        """Paths of the submodules of the project in a tree."""
        entries = self._entries(self.project_tree(tree))
        return {os.fsdecode(path) for mode, _, path in entries if mode == "160000"}

    def blobs(self, tree: str) -> dict[str, str]:
        """Path -> object id of every regular file of the project in a tree."""
        return self.all_blobs(self.project_tree(tree))

    def all_blobs(self, tree: str) -> dict[str, str]:
        """The same for every regular file of the repository, with paths of the repository."""
        entries = self._entries(tree)
        return {os.fsdecode(path): blob for mode, blob, path in entries if mode.startswith("100")}

    def _entries(self, tree: str) -> Iterator[tuple[str, str, bytes]]:
        # By its id, also of a commit: what was listed last is remembered.
        return all_entries(self.objects, self.tree_of(tree))

    def read_blobs(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Each blob with its content, read in batches."""
        for first in range(0, len(blobs), _BLOBS_AT_ONCE):
            asked = "".join(f"{blob}\n" for blob in blobs[first : first + _BLOBS_AT_ONCE]).encode()
            answer = self.objects.run("cat-file", "--batch=%(objectname) %(objectsize)", stdin=asked).stdout
            start = 0
            while start < len(answer):
                end = answer.index(b"\n", start)
                blob, size = answer[start:end].decode().split(" ")
                start = end + 1 + int(size) + 1
                yield blob, answer[end + 1 : start - 1]

    def read_file(self, revision: str, path: str) -> bytes | None:
        """The content of a regular file at ``revision``, or ``None``."""
        asked = [os.fsencode(self.directory.outward(path))]
        for mode, blob, _ in entries_at(self.objects, revision, asked):
            if mode.startswith("100"):
                return read_blob(self.objects, blob)
        return None

    def commit(self, tree: str, parents: Sequence[str], message: str, identity: Identity) -> str:
        """Write a commit, of now; ``tree`` and ``parents`` are object ids.

        Raises:
            RepositoryError: one of them is not there, or git refuses the commit.
        """
        found = self.objects.reader.find_all([tree, *parents])
        if [one and one.kind for one in found] != ["tree", *("commit" for _ in parents)]:
            raise RepositoryError(f"git has no tree {tree}, or not all of the commits {', '.join(parents)}")
        now = f"{int(time.time())} {time.strftime('%z')}"
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {identity.author.ident} {now}", f"committer {identity.committer.ident} {now}"]
        text = "\n".join([*lines, "", message])
        return self.objects.writer.write("commit", text.encode("utf-8", "replace"))
