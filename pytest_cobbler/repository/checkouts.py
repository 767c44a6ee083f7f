"""Checkouts of any revision, for reading; never a registered git worktree."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.files import lock
from pytest_cobbler.repository.directories import Owner, remove_tree
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree, Worktrees


@contextlib.contextmanager
def checkouts(repository: Repository, owner: Owner, *, alone: bool = False) -> Iterator[Checkouts]:
    """Checkouts that are removed at the end. Those that a killed process left are removed now.

    Args:
        alone: see :class:`Worktrees`.

    Raises:
        RepositoryError: the directory cannot be written, or no job could work on this repository.
    """
    place = repository.work_dir / "checkouts"
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    with contextlib.ExitStack() as stack:
        repository.make_work_dir()
        try:
            place.mkdir(exist_ok=True, mode=0o700)
            _remove_dead(repository, place)
            stack.enter_context(_alive(place, name))
        except OSError as error:
            raise RepositoryError(
                f"cannot write {place}: {error.strerror}", "Set work_dir to a directory you can write."
            ) from error
        stack.callback(_remove, repository, place / name)
        yield Checkouts(repository, Worktrees(repository, f"checkouts/{name}", owner, alone=alone))


class Checkouts:
    """Makes worktrees that hold the committed files only, without the file that names a git directory."""

    def __init__(self, repository: Repository, worktrees: Worktrees) -> None:
        self._repository = repository
        self._worktrees = worktrees
        self._made = 0

    def create(self, commit: str) -> Worktree:
        """Check ``commit`` out.

        Raises:
            RepositoryError: git or the disk failed.
        """
        self._made += 1
        worktree = self._worktrees.create(
            str(self._made), parent=commit, tree=self._repository.tree_of(commit), purpose={}
        )
        (worktree.tree / ".git").unlink()
        return worktree


def resolve(repository: Repository, revision: str) -> str:
    """The commit that a revision names: a branch, a tag, ``HEAD``, an id or an expression of git.

    Raises:
        RepositoryError: the revision does not exist.
    """
    commit = repository.resolve(f"{revision}^{{commit}}")
    if commit is None:
        raise RepositoryError(f"there is no revision {revision}", "Name a branch, a tag or a commit.")
    return commit


@contextlib.contextmanager
def _alive(place: Path, name: str) -> Iterator[None]:
    """Hold the lock by which other processes see that this process still uses its directory."""
    path = place / f"{name}.lock"
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        lock(file)
        draft.rename(path)  # only now, when it is held
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _remove(repository: Repository, directory: Path) -> None:
    remove_tree(directory)
    Pins(repository, f"{directory.parent.name}/{directory.name}").release_others()


def _remove_dead(repository: Repository, place: Path) -> None:
    for path in place.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r+b") as file:
            lock(file)
            _remove(repository, path.with_suffix(""))
            path.unlink(missing_ok=True)
