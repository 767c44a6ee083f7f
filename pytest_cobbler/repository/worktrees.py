"""Plain directories for agents, each with a throwaway git directory without any value."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import write_atomically
from pytest_cobbler.repository.checks import read_change
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory
from pytest_cobbler.repository.suitability import check_repository
from pytest_cobbler.sandbox.base import Capability, Mount, Sandbox
from pytest_cobbler.sandbox.removing import removal_of

Owner = tuple[int, int] | None

KEPT = "kept"
"""The directory in a work directory with the worktrees that were moved aside."""
REASON = "kept.json"
"""The file in such a worktree with the reason."""
INSIDE = Path("/cobbler/task")
"""Where a container has the directory of its worktree: the same for every task, as prompts name it."""
_FACTS = "worktree.json"
_AGENT_SETTINGS = {
    "core.bare": "false",
    "gc.auto": "0",
    "user.name": "agent",
    "user.email": "agent@localhost",
}


@dataclass(frozen=True, kw_only=True)
class Worktree:
    """A checkout for one agent run.

    ``directory`` belongs to the host and holds ``tree`` (what the agent works on), ``git`` (its git
    directory), ``output`` (where it may leave a file), ``home`` (the files of the agent's own program) and
    the host's own ``index``, gitfile and facts. ``inside`` is where jobs see it, ``None`` for the same path.
    ``alone``: its git has the objects of the files only, and cannot read the repository's. ``below`` is the
    directory of the project in ``tree``.
    ``parent`` becomes the parent of the harvested commit; ``tree_id`` is the tree that was checked out.
    """

    directory: Path
    name: str
    parent: str
    tree_id: str
    purpose: dict[str, str]
    owner: Owner = None
    alone: bool = False
    below: Subdirectory = field(default_factory=Subdirectory)
    inside: Path | None = None

    def seen(self, path: Path) -> Path:
        """A path in ``directory``, as jobs see it."""
        return path if self.inside is None else self.inside / path.relative_to(self.directory)

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def project(self) -> Path:
        """The directory of the project in ``tree``."""
        return self.tree / self.below.path

    @property
    def git(self) -> Path:
        return self.directory / "git"

    @property
    def gitfile(self) -> str:
        """The content of the file ``.git`` in ``tree``."""
        return f"gitdir: {self.seen(self.git)}\n"

    @property
    def index(self) -> Path:
        return self.directory / "index"

    @property
    def output(self) -> Path:
        return self.directory / "output"

    @property
    def home(self) -> Path:
        return self.directory / "home"

    @property
    def checkouts(self) -> Path:
        """What a harvest moves out of ``tree``; it is there during a harvest, and if there is such work."""
        return self.directory / "checkouts"

    def mounts(self, repository: Repository) -> tuple[Mount, ...]:
        """The mounts of an agent's job."""
        return (
            self._mount(self.tree, "rw"),
            Mount(source=self.directory / "gitfile", target=str(self.seen(self.tree / ".git"))),
            *(self._mount(path, "rw") for path in (self.git, self.output, self.home)),
            *(() if self.alone else repository.object_mounts(self.owner)),
        )

    def _mount(self, path: Path, mode: Literal["ro", "rw"]) -> Mount:
        return Mount(source=path, target=str(self.seen(path)), mode=mode)


class Worktrees:
    """The worktrees of one generation, under ``work_dir/<generation>/``.

    Args:
        owner: uid and gid that jobs run as, ``None`` for the caller's own.
        alone: agents read the objects of their files only, and none that only the history has, or no ref.
        inside: where jobs see each of them; ``None`` for the same path.

    Raises:
        RepositoryError: no job could work on this repository.
    """

    def __init__(
        self,
        repository: Repository,
        generation: str,
        owner: Owner,
        *,
        alone: bool = False,
        inside: Path | None = None,
    ) -> None:
        check_repository(repository, owner)
        self._repository = repository
        self._directory = repository.work_dir / generation
        self._kept = repository.work_dir / KEPT / generation
        self._pins = Pins(repository, generation)
        self._owner = owner
        self._alone = alone
        self._inside = inside

    def create(
        self, name: str, *, parent: str, tree: str, purpose: dict[str, str], also: Sequence[str] = ()
    ) -> Worktree:
        """Check ``tree`` out into a new worktree.

        Args:
            also: commits that its git can read, whatever else it can.

        Raises:
            RepositoryError: it exists already, or git or the disk failed.
        """
        worktree = Worktree(
            directory=self._directory / name,
            name=name,
            parent=parent,
            tree_id=tree,
            purpose=purpose,
            owner=self._owner,
            alone=self._alone,
            below=self._repository.directory,
            inside=self._inside,
        )
        try:
            worktree.directory.mkdir(parents=True)
        except OSError as error:
            raise _cannot_make(worktree, error) from error
        try:
            # The agent reads these objects, and its work is compared with them when it ends.
            self._pins.hold(name, {"parent": parent, "tree": tree})
            worktree.tree.mkdir()
            worktree.output.mkdir()
            worktree.home.mkdir()
            self._check_out(worktree)
            self._make_git(worktree, also)
            write_facts(worktree)
        except BaseException as error:
            self.remove(worktree)
            if isinstance(error, OSError):
                raise _cannot_make(worktree, error) from error
            raise
        return worktree

    def _check_out(self, worktree: Worktree) -> None:
        git = self._repository.objects.using(index=worktree.index, work_tree=worktree.tree)
        git.run("read-tree", "--reset", "-u", worktree.tree_id)
        gitfile = worktree.gitfile
        (worktree.directory / "gitfile").write_text(gitfile, "utf-8")
        (worktree.tree / ".git").write_text(gitfile, "utf-8")
        worktree.below.make_below(worktree.tree)
        if self._owner:
            chown_tree(worktree.tree, self._owner)
            chown_tree(worktree.output, self._owner)
            chown_tree(worktree.home, self._owner)
            # A change of owner makes every entry of the index look modified.
            git.run("update-index", "-q", "--refresh")

    def _make_git(self, worktree: Worktree, also: Sequence[str]) -> None:
        init_bare(
            worktree.git,
            object_format=self._repository.object_format,
            alternates=[]
            if worktree.alone
            else [Path(mount.target) for mount in self._repository.object_mounts(self._owner)],
            shallow=None if worktree.alone else self._repository.shallow,
            # As in the git directory of a submodule: claude makes worktrees for sub-agents only where a .git
            # file names a git directory that names the files in turn.
            settings=_AGENT_SETTINGS | {"core.worktree": str(worktree.seen(worktree.tree))},
        )
        if worktree.alone:
            self._give_objects(worktree, (worktree.parent, *also))
        (worktree.git / "refs" / "heads" / "work").write_text(f"{worktree.parent}\n", "utf-8")
        shutil.copy2(worktree.index, worktree.git / "index")  # with its time, which git compares
        if self._owner:
            chown_tree(worktree.git, self._owner)
            os.chown(worktree.directory / "gitfile", *self._owner)

    def _give_objects(self, worktree: Worktree, commits: Sequence[str]) -> None:
        """Copy the objects of the files and of ``commits``, with which the history of its git begins."""
        git = self._repository.objects
        trees = (*(f"{commit}^{{tree}}" for commit in commits), worktree.tree_id)
        listed = git.run("rev-list", "--objects", "--no-object-names", *trees).stdout
        pack = worktree.git / "objects" / "pack"
        pack.mkdir()
        lines = "".join(f"{commit}\n" for commit in commits)
        git.run("pack-objects", "-q", pack / "pack", stdin=listed + lines.encode())
        (worktree.git / "shallow").write_text(lines, "utf-8")

    def leftovers(self) -> list[Worktree]:
        """The worktrees that earlier runs left. Those without files, or not complete, are removed."""
        worktrees = []
        for directory in sorted(self._directory.glob("*/")):
            facts = read_facts(directory)
            if facts is None or not facts.tree.is_dir():
                remove_tree(directory)
            else:
                worktrees.append(facts)
        return worktrees

    def keep(self, worktree: Worktree, why: str, *, again: bool = False) -> Path:
        """Move a worktree aside that cannot become git objects; return its new place.

        Args:
            why: for people.
            again: whether the next run shall try to harvest it.
        """
        # It may be there for a secret that is in it.
        self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError):  # the disk may be full; without a reason it is tried again
            (worktree.directory / REASON).write_text(json.dumps({"why": why, "again": again}), "utf-8")
        number = 1
        while (target := self._kept / f"{worktree.name}.{number}").exists():
            number += 1
        worktree.directory.rename(target)
        return target / "tree"

    def remove(self, worktree: Worktree) -> None:
        """Remove a worktree whose work is safe, or that has none."""
        (worktree.directory / _FACTS).unlink(
            missing_ok=True
        )  # first: a half-removed worktree must not count as work
        remove_tree(worktree.directory)
        self._pins.release(worktree.name)

    def release_pins(self) -> None:
        """Let go the objects of worktrees that are gone, and those that a dead run was landing."""
        kept = {path.name.rpartition(".")[0] for path in self._kept.glob("*")}
        self._pins.release_others({*kept, *(path.name for path in self._directory.glob("*"))})

    def remove_all(self) -> None:
        """Remove the directory of the generation if it is empty."""
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def place_inside(sandbox: Sandbox) -> Path | None:
    """Where jobs see their worktree; ``None``: at its path on this machine."""
    return INSIDE if Capability.CONTAINMENT in sandbox.capabilities else None


def _gates(repository: Repository) -> Path:
    return repository.work_dir / "gate"


class GateCheckout:
    """One pristine checkout that is moved from tree to tree; jobs see it through an overlay."""

    @staticmethod
    def remove_all(repository: Repository) -> None:
        """Remove the checkouts of dead processes, also for generations that were never started.

        Call it under the run lock, before one is made.
        """
        for directory in _gates(repository).glob("*"):
            remove_tree(directory)

    def __init__(self, repository: Repository, generation: str, owner: Owner) -> None:
        self._directory = _gates(repository) / generation
        self.path = self._directory / "tree"
        self._repository = repository
        self._owner = owner
        self._below = repository.directory
        self._tree: str | None = None
        self._make_empty()

    @property
    def _git(self) -> Git:
        return self._repository.objects.using(index=self._directory / "index", work_tree=self.path)

    def _make_empty(self) -> None:
        remove_tree(self._directory)
        self.path.mkdir(parents=True)
        if self._owner:
            os.chown(self.path, *self._owner)

    def move(self, tree: str) -> Path:
        """Make the directory hold exactly ``tree``."""
        if not self.path.is_dir():
            self._tree = None  # it was deleted
        if self._tree == tree:
            return self.path
        git = self._git
        old, self._tree = self._tree, None  # until it is done, its contents are unknown
        changed = read_change(git, old, tree).entries if old else ()
        if old is None or any(entry.path.rpartition(b"/")[2] == b".gitattributes" for entry in changed):
            # Other attributes may give unchanged blobs other bytes.
            self._make_empty()
            old = None
        # --reset and not -m: a file whose attributes ask for other line ends than it has is never unchanged.
        git.run("read-tree", "--reset", "-u", tree)
        made = self._below.make_below(self.path)
        if self._owner:
            for directory in made:
                os.chown(directory, *self._owner)
            if old is None:
                chown_tree(self.path, self._owner)
            else:
                self._chown([entry.path for entry in changed if entry.status != "D"], self._owner)
            git.run("update-index", "-q", "--refresh")
        self._tree = tree
        return self.path

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


def _cannot_make(worktree: Worktree, error: OSError) -> RepositoryError:
    return RepositoryError(f"cannot make worktree {worktree.directory}: {error.strerror}")


def write_facts(worktree: Worktree) -> None:
    """Record the purpose of the worktree, as the last step: a worktree without this file is incomplete."""
    facts = {
        "parent": worktree.parent,
        "tree": worktree.tree_id,
        "purpose": worktree.purpose,
        "inside": worktree.inside and str(worktree.inside),
    }
    write_atomically(worktree.directory / _FACTS, json.dumps(facts).encode())


def read_facts(directory: Path) -> Worktree | None:
    """The worktree in a directory; ``None`` if it is not complete."""
    try:
        facts = json.loads((directory / _FACTS).read_text("utf-8"))
        return Worktree(
            directory=directory,
            name=directory.name,
            parent=facts["parent"],
            tree_id=facts["tree"],
            purpose=facts["purpose"],
            inside=Path(facts["inside"]) if facts.get("inside") else None,
        )
    except (OSError, ValueError, KeyError):
        return None


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
