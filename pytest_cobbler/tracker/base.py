"""Where tasks live: the seam between the cycle and the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_cobbler.errors import TrackerError

ACTOR = "cobbler"
"""The one name under which cobbler claims, comments and closes."""

METADATA = "cobbler"
"""The key of an issue's ``metadata`` under which our own data lie."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One issue as the tracker has it.

    ``status`` is one of beads' own (open, in_progress, blocked, deferred, closed, pinned, hooked) or a project's;
    ``needs`` are the ids of the issues that block this one (dependencies of type ``blocks``), closed or not;
    ``created_at`` is RFC 3339; ``priority`` 0 (first) to 4.
    """

    id: str
    title: str
    description: str = ""
    status: str = "open"
    type: str = "task"
    priority: int = 2
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    assignee: str = ""
    created_at: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def claim(self) -> Claim | None:
        """Who has it, if that is a run of cobbler."""
        found = self.metadata.get(METADATA)
        if self.status != "in_progress" or self.assignee != ACTOR or not isinstance(found, Mapping):
            return None
        try:
            return Claim(**{name: str(found[name]) for name in ("host", "repository", "run", "generation")})
        except KeyError:
            return None


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task to be created; ``needs`` are keys of the same batch."""

    key: str
    title: str
    description: str
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: int = 2
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Which run works on a task; only claims with this record are ever released."""

    host: str
    repository: str
    run: str
    generation: str


class AlreadyClaimed(TrackerError):
    """Somebody else has the task, or it is no longer open."""


class Tracker(Protocol):
    """A store of tasks. Not thread-safe: everything but the constructor is called from one thread at a time.

    Every method raises ``TrackerError`` when the store fails, is missing, too old, locked or does not answer.
    """

    @property
    def description(self) -> str:
        """``bd 1.3.0`` or ``embedded store``, and where it lies."""
        ...

    def tasks(self) -> list[Task]:
        """Every issue of every type and status, closed ones too, sorted by id."""
        ...

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        """Create all of ``tasks`` with their dependencies, or none; the id of each key."""
        ...

    def claim(self, task_id: str, claim: Claim) -> None:
        """open -> in_progress, assigned to ``ACTOR``, with ``claim`` recorded in the metadata.

        Raises:
            AlreadyClaimed: it is not open, or somebody else is its assignee.
        """
        ...

    def release(self, task_id: str, comment: str = "") -> None:
        """Make a task that ``ACTOR`` holds open again, without assignee."""
        ...

    def comment(self, task_id: str, text: str) -> None: ...

    def close(self, task_id: str, reason: str) -> None:
        """Close a task that ``ACTOR`` holds; closing a closed one changes nothing."""
        ...
