"""References on objects in use that nothing else holds, so that `git gc` beside a run removes none of them.

The start of an attempt may be a merge that no branch has, and the gate tests a merge before it is a commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterator, Mapping

from pytest_cobbler.repository.repository import Repository

PINS = "refs/cobbler/pins/"

BASE = "base"
"""The pin of a worktree on the tree of the shared checkout that it lies over."""

LANDING, STOP = "landing", "stop"
"""The names under which the landing lane and a stop pin the merge that is in the gate."""


class Pins:
    """The pins of one generation, or of other worktrees: each a few objects under a name.

    Args:
        owner: where the worktrees are below the work directory.
    """

    def __init__(self, repository: Repository, owner: str) -> None:
        self._repository = repository
        self._prefix = f"{PINS}{owner}/"

    def hold(self, name: str, objects: Mapping[str, str]) -> None:
        """Hold commits and trees under ``name``, by what they are; the earlier ones of that are let go."""
        self._repository.set_refs({f"{self._prefix}{name}/{what}": one for what, one in objects.items()})

    @contextlib.contextmanager
    def holding(self, name: str, objects: Mapping[str, str]) -> Iterator[None]:
        """Hold them inside of the block."""
        self.hold(name, objects)
        try:
            yield
        finally:
            self.release(name)

    def release(self, name: str) -> None:
        self._repository.drop_refs(self._repository.list_refs(f"{self._prefix}{name}"))

    def release_others(self, in_use: Container[str] = ()) -> None:
        """Let go what dead processes held, except under the names ``in_use``."""
        refs = self._repository.list_refs(self._prefix.rstrip("/"))
        self._repository.drop_refs(
            [ref for ref in refs if ref.removeprefix(self._prefix).rpartition("/")[0] not in in_use]
        )
