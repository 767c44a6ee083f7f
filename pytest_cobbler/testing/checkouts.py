"""Clean checkouts for tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_cobbler.repository.checkouts import checkouts, resolve
from pytest_cobbler.repository.directories import Owner
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.testing.facts import ActiveGeneration
from pytest_cobbler.testing.steps import failing_tests

__all__ = ["Checkout", "factory"]


@dataclass(frozen=True, kw_only=True)
class Checkout(os.PathLike[str]):
    """The files of ``commit``, and nothing else; ``path`` is the directory of the project.

    They may be an agent's: read them, and let ``cobbler_runner`` run them.
    """

    path: Path
    commit: str
    worktree: Worktree

    def __fspath__(self) -> str:
        return str(self.path)


@contextlib.contextmanager
def factory(
    request: pytest.FixtureRequest, repository: Repository, owner: Owner, alone: bool
) -> Iterator[Callable[[str], Checkout]]:
    """What makes a checkout of a revision, or of the tip of the generation; all are removed at the end."""
    with contextlib.ExitStack() as stack:
        with failing_tests():
            made = stack.enter_context(checkouts(repository, owner, alone=alone))

        def make(revision: str) -> Checkout:
            with failing_tests():
                if revision == "generation":
                    generation: ActiveGeneration = request.getfixturevalue("cobbler_generation")
                    commit = generation.tip
                else:
                    commit = resolve(repository, revision)
                worktree = made.create(commit)
            return Checkout(path=worktree.project, commit=commit, worktree=worktree)

        yield make
