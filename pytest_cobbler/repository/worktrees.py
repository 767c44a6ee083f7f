"""Plain directories for agents, each with a throwaway git directory without any value."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import write_atomically
from pytest_cobbler.repository.bases import BASES, Base, Bases
from pytest_cobbler.repository.directories import Owner, chown_tree, remove_tree
from pytest_cobbler.repository.git import init_bare
from pytest_cobbler.repository.pins import BASE, Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory
from pytest_cobbler.repository.suitability import check_repository
from pytest_cobbler.sandbox.base import Mount

KEPT = "kept"
"""The directory in a work directory with the worktrees that were moved aside."""
REASON = "kept.json"
"""The file in such a worktree with the reason."""
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
    With a ``base``, jobs see an overlay at ``tree``: the files of the base, and over them ``upper``, which
    has all that differs.
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
    base: Base | None = None

    def seen(self, path: Path) -> Path:
        """A path in ``directory``, as jobs see it."""
        return path if self.inside is None else self.inside / path.relative_to(self.directory)

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def upper(self) -> Path:
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        """What the kernel needs beside ``upper``."""
        return self.directory / "work"

    @property
    def written(self) -> Path:
        """The directory that has the files which the agent has written, for the host."""
        return self.upper if self.base else self.tree

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
    def trusted(self) -> Path:
        """An index in which the files of the base are marked as unchanged."""
        return self.directory / "trusted"

    @property
    def laid(self) -> Path:
        """The paths in which ``tree_id`` differs from the base, each with a NUL at its end."""
        return self.directory / "laid"

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
            self.mount_of_tree(),
            Mount(source=self.directory / "gitfile", target=str(self.seen(self.tree / ".git"))),
            *(self._mount(path, "rw") for path in (self.git, self.output, self.home)),
            *(() if self.alone else repository.object_mounts(self.owner)),
        )

    def mount_of_tree(self) -> Mount:
        """The files, writable."""
        if self.base is None:
            return self._mount(self.tree, "rw")
        target = str(self.seen(self.tree))
        return Mount(source=self.base.files, target=target, mode="overlay", upper=self.upper, work=self.work)

    def _mount(self, path: Path, mode: Literal["ro", "rw"]) -> Mount:
        return Mount(source=path, target=str(self.seen(path)), mode=mode)


class Worktrees:
    """The worktrees of one generation, under ``work_dir/<generation>/``.

    Args:
        owner: uid and gid that jobs run as, ``None`` for the caller's own.
        alone: agents read the objects of their files only, and none that only the history has, or no ref.
        inside: where jobs see each of them; ``None`` for the same path.
        bases: what worktrees lie over; without them, each is a checkout of its own.

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
        bases: Bases | None = None,
    ) -> None:
        check_repository(repository, owner)
        self._repository = repository
        self._directory = repository.work_dir / generation
        self._kept = repository.work_dir / KEPT / generation
        self._pins = Pins(repository, generation)
        self._owner = owner
        self._alone = alone
        self._inside = inside
        self._bases = bases

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
            base=self._bases.below(tree) if self._bases else None,
        )
        try:
            worktree.directory.mkdir(parents=True)
        except OSError as error:
            raise _cannot_make(worktree, error) from error
        try:
            # The agent reads these objects, and its work is compared with them when it ends.
            base = {BASE: worktree.base.tree_id} if worktree.base else {}
            self._pins.hold(name, {"parent": parent, "tree": tree, **base})
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
        if worktree.base and self._bases:
            worktree.upper.mkdir()
            worktree.work.mkdir()
            laid = self._bases.lay(
                worktree.base, worktree.tree_id, worktree.upper, worktree.index, worktree.trusted
            )
            worktree.laid.write_bytes(laid)
        else:
            git.run("read-tree", "--reset", "-u", worktree.tree_id)
            worktree.below.make_below(worktree.tree)
        gitfile = worktree.gitfile
        (worktree.directory / "gitfile").write_text(gitfile, "utf-8")
        (worktree.written / ".git").write_text(gitfile, "utf-8")
        if self._owner:
            chown_tree(worktree.written, self._owner)
            chown_tree(worktree.output, self._owner)
            chown_tree(worktree.home, self._owner)
        if self._owner and not worktree.base:
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
        """The worktrees that earlier runs left. Those without files, or not complete, are removed.

        Call it when the processes of those runs have ended.
        """
        worktrees = []
        for directory in sorted(self._directory.glob("*/")):
            facts = read_facts(directory, self._repository.work_dir)
            if facts is None or not facts.written.is_dir():
                remove_tree(directory)
            else:
                with contextlib.suppress(OSError):  # the disk may be full; then it cannot be harvested
                    facts.tree.mkdir(exist_ok=True)
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
        return target / worktree.written.name

    def remove(self, worktree: Worktree) -> None:
        """Remove a worktree whose work is safe, or that has none."""
        (worktree.directory / _FACTS).unlink(
            missing_ok=True
        )  # first: a half-removed worktree must not count as work
        remove_tree(worktree.directory)
        self._pins.release(worktree.name)

    def flattened(self, worktree: Worktree) -> Worktree:
        """Record that the files of a worktree are a plain directory now, and lie over no base."""
        plain = replace(worktree, base=None)
        write_facts(plain)
        self._pins.release(f"{worktree.name}/{BASE}")
        return plain

    def renew_base(self, worktree: Worktree) -> None:
        """Make the base of a worktree again if it is gone.

        Raises:
            RepositoryError: git or the disk failed.
        """
        if worktree.base and self._bases:
            self._bases.renew(worktree.base)

    def release_pins(self, elsewhere: Iterable[str] = ()) -> None:
        """Let go the objects of worktrees that are gone, and those that a dead run was landing.

        Args:
            elsewhere: names of places that are on other machines.
        """
        kept = {path.name.rpartition(".")[0] for path in self._kept.glob("*")}
        self._pins.release_others({*kept, *elsewhere, *(path.name for path in self._directory.glob("*"))})

    def remove_all(self) -> None:
        """Remove the directory of the generation if it is empty, and the bases that nothing lies over."""
        if self._bases:
            self._bases.remove_unused()
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def _cannot_make(worktree: Worktree, error: OSError) -> RepositoryError:
    return RepositoryError(f"cannot make worktree {worktree.directory}: {error.strerror}")


def write_facts(worktree: Worktree) -> None:
    """Record the purpose of the worktree, as the last step: a worktree without this file is incomplete."""
    facts = {
        "parent": worktree.parent,
        "tree": worktree.tree_id,
        "purpose": worktree.purpose,
        "inside": worktree.inside and str(worktree.inside),
        "base": worktree.base and worktree.base.tree_id,
    }
    write_atomically(worktree.directory / _FACTS, json.dumps(facts).encode())


def read_facts(directory: Path, work_dir: Path) -> Worktree | None:
    """The worktree in a directory below ``work_dir``; ``None`` if it is not complete."""
    try:
        facts = json.loads((directory / _FACTS).read_text("utf-8"))
        base = facts.get("base")
        return Worktree(
            directory=directory,
            name=directory.name,
            parent=facts["parent"],
            tree_id=facts["tree"],
            purpose=facts["purpose"],
            inside=Path(facts["inside"]) if facts.get("inside") else None,
            base=Base(work_dir / BASES / base, base) if base else None,
        )
    except (OSError, ValueError, KeyError):
        return None
