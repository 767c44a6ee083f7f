"""Plain directories for agents, each with a throwaway git directory that is worth nothing to anybody."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.process import host_environment, run
from pytest_cobbler.repository.git import init_bare
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Mount

Owner = tuple[int, int] | None

_FACTS = "worktree.json"


@dataclass(frozen=True, kw_only=True)
class Worktree:
    """A checkout for one agent run.

    ``directory`` belongs to the host and holds ``tree`` (what the agent works on), ``git`` (its git directory), ``output``
    (where it may leave a file) and the host's own files: ``index``, a gitfile, and what the worktree is for.
    ``parent`` is the commit that a harvest will have as its parent; ``tree_id`` what was checked out.
    """

    directory: Path
    name: str
    parent: str
    tree_id: str
    purpose: dict[str, str]

    @property
    def tree(self) -> Path:
        return self.directory / "tree"

    @property
    def git(self) -> Path:
        return self.directory / "git"

    @property
    def index(self) -> Path:
        return self.directory / "index"

    @property
    def output(self) -> Path:
        return self.directory / "output"

    def mounts(self, repository: Repository) -> tuple[Mount, ...]:
        """What an agent's job sees, at the same paths as on the host."""
        return (
            Mount(source=self.tree, target=str(self.tree), mode="rw"),
            Mount(source=self.directory / "gitfile", target=str(self.tree / ".git")),
            Mount(source=self.git, target=str(self.git), mode="rw"),
            Mount(source=self.output, target=str(self.output), mode="rw"),
            *(Mount(source=store, target=str(store)) for store in repository.object_stores),
        )


class Worktrees:
    """The worktrees of one generation, under ``work_dir/<generation>/``.

    ``owner``: uid and gid that jobs run as, ``None`` for the caller's own.
    """

    def __init__(self, repository: Repository, generation: str, owner: Owner) -> None:
        self._repository = repository
        self._directory = repository.work_dir / generation
        self._owner = owner

    def create(self, name: str, *, parent: str, tree: str, purpose: dict[str, str]) -> Worktree:
        """Check ``tree`` out into a new worktree.

        Raises:
            RepositoryError: it exists already, or git or the disk failed.
        """
        worktree = Worktree(
            directory=self._directory / name, name=name, parent=parent, tree_id=tree, purpose=purpose
        )
        try:
            worktree.directory.mkdir(parents=True)
            worktree.tree.mkdir()
            worktree.output.mkdir()
            facts = {"parent": parent, "tree": tree, "purpose": purpose}
            (worktree.directory / _FACTS).write_text(json.dumps(facts))
        except OSError as error:
            raise RepositoryError(f"cannot make worktree {worktree.directory}: {error.strerror}") from error
        self._check_out(worktree)
        self._make_git(worktree)
        return worktree

    def _check_out(self, worktree: Worktree) -> None:
        git = self._repository.objects.using(index=worktree.index, work_tree=worktree.tree)
        git.run("read-tree", worktree.tree_id)
        git.run("checkout-index", "--all", "--index", "--force")
        gitfile = f"gitdir: {worktree.git}\n"
        (worktree.directory / "gitfile").write_text(gitfile)
        (worktree.tree / ".git").write_text(gitfile)
        if self._owner:
            chown_tree(worktree.tree, self._owner)
            chown_tree(worktree.output, self._owner)
            # A change of owner makes every entry of the index look modified.
            git.run("update-index", "-q", "--refresh")

    def _make_git(self, worktree: Worktree) -> None:
        init_bare(
            worktree.git,
            object_format=self._repository.object_format,
            alternates=self._repository.object_stores,
        )
        with (worktree.git / "config").open("a") as config:
            config.write("[core]\n\tbare = false\n[gc]\n\tauto = 0\n")
            config.write("[user]\n\tname = agent\n\temail = agent@localhost\n")
        (worktree.git / "refs" / "heads" / "work").write_text(f"{worktree.parent}\n")
        shutil.copyfile(worktree.index, worktree.git / "index")
        if self._owner:
            chown_tree(worktree.git, self._owner)
            os.chown(worktree.directory / "gitfile", *self._owner)

    def leftovers(self) -> list[Worktree]:
        """What earlier runs left here."""
        found = []
        for directory in sorted(self._directory.glob("*/")):
            with contextlib.suppress(OSError, ValueError, KeyError):
                facts = json.loads((directory / _FACTS).read_text())
                found.append(
                    Worktree(
                        directory=directory,
                        name=directory.name,
                        parent=facts["parent"],
                        tree_id=facts["tree"],
                        purpose=facts["purpose"],
                    )
                )
        return found

    def keep(self, worktree: Worktree) -> Path:
        """Move aside what cannot become git objects; where it lies now."""
        kept = self._directory.parent / "kept" / self._directory.name
        kept.mkdir(parents=True, exist_ok=True)
        number = 1
        while (target := kept / f"{worktree.name}.{number}").exists():
            number += 1
        worktree.directory.rename(target)
        return target / "tree"

    def remove(self, worktree: Worktree) -> None:
        remove_tree(worktree.directory)

    def remove_all(self) -> None:
        """Remove the directory of the generation if nothing is left in it."""
        with contextlib.suppress(OSError):
            self._directory.rmdir()


class GateCheckout:
    """One pristine checkout that is moved from tree to tree; jobs see it through an overlay."""

    def __init__(self, repository: Repository, generation: str, owner: Owner) -> None:
        directory = repository.work_dir / "gate" / generation
        remove_tree(directory)
        self.path = directory / "tree"
        self.path.mkdir(parents=True)
        self._directory = directory
        self._git = repository.objects.using(index=directory / "index", work_tree=self.path)
        self._owner = owner
        self._tree: str | None = None

    def move(self, tree: str) -> Path:
        """Make the directory hold exactly ``tree``."""
        if self._tree is None:
            self._git.run("read-tree", tree)
            self._git.run("checkout-index", "--all", "--index", "--force")
            if self._owner:
                chown_tree(self.path, self._owner)
        elif self._tree != tree:
            self._git.run("read-tree", "-m", "-u", self._tree, tree)
            if self._owner:
                self._chown_changes(self._tree, tree, self._owner)
        if self._owner and self._tree != tree:
            self._git.run("update-index", "-q", "--refresh")
        self._tree = tree
        return self.path

    def _chown_changes(self, old: str, new: str, owner: tuple[int, int]) -> None:
        changed = self._git.fields(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", old, new
        )
        paths: set[Path] = set()
        for name in changed:
            path = self.path / os.fsdecode(name)
            paths.add(path)
            paths.update(parent for parent in path.parents if parent.is_relative_to(self.path))
        for path in paths:
            os.chown(path, *owner, follow_symlinks=False)

    def remove(self) -> None:
        remove_tree(self._directory)


def chown_tree(directory: Path, owner: tuple[int, int]) -> None:
    """Give a tree that nobody else writes to ``owner``; links themselves, not what they point at."""
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
        RepositoryError: something is left.
    """
    if not os.path.lexists(directory):
        return
    # Recursion in Python ends at some thousand levels; rm does not recurse.
    completion = run(["rm", "-rf", "--", directory], env=host_environment(LC_ALL="C"), timeout=600)
    if not completion.ok:
        run(["chmod", "-R", "u+rwX", "--", directory], env=host_environment(LC_ALL="C"), timeout=600)
        completion = run(["rm", "-rf", "--", directory], env=host_environment(LC_ALL="C"), timeout=600)
    if not completion.ok:
        raise RepositoryError(
            f"cannot remove {directory}", "Remove it: podman unshare rm -rf DIRECTORY", completion.errors
        )
