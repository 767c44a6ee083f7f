"""Where tasks live: the seam between the cycle and the store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from pytest_cobbler.errors import TrackerError

ACTOR = "cobbler"
"""The one name under which cobbler claims, comments and closes."""

METADATA = "cobbler"
"""The key of an issue's ``metadata`` that holds its claim and nothing else; other data take other keys."""

TITLE_LIMIT = 500
"""Bytes of UTF-8 that beads allows in a title."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One issue as the tracker has it.

    ``status`` is one of beads' own (open, in_progress, blocked, deferred, closed, pinned, hooked) or one of
    the project's; ``needs`` are the ids of the issues that block this one (dependencies of type ``blocks`` or
    ``conditional-blocks``), closed or not; ``parent`` is the issue that it is part of, ``waits_for`` those
    whose parts it waits for; ``labels`` are sorted; ``created_at`` is RFC 3339; ``priority`` 0 (first) to 4.
    """

    id: str
    title: str
    description: str = ""
    status: str = "open"
    type: str = "task"
    priority: int = 2
    needs: tuple[str, ...] = ()
    parent: str = ""
    waits_for: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    assignee: str = ""
    created_at: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """For messages: ``it is in_progress, assigned to jane``."""
        return f"it is {self.status}" + (f", assigned to {self.assignee}" if self.assignee else "")

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
    """A task to be created.

    ``key`` names it within its batch only; ``needs`` are keys of the same batch. ``metadata`` are strings
    because bd 1.0.5 creates no others; the key ``METADATA`` is not for them.
    """

    key: str
    title: str
    description: str
    needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: int = 2
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Which run works on a task; only claims with this record are ever released."""

    host: str
    repository: str
    run: str
    generation: str


class AlreadyClaimed(TrackerError):
    """Another user has the task, or it is no longer open."""


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

    def comments(self) -> dict[str, tuple[str, ...]]:
        """Issue id -> what ``ACTOR`` commented on it, oldest first; only issues with such comments."""
        ...

    def prepare(self) -> None:
        """Make the store if there is none, so that what it lacks is known before it is needed."""
        ...

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        """Create all of ``tasks`` with their dependencies, or none; the id of each key."""
        ...

    def claim(self, task_id: str, claim: Claim) -> None:
        """open -> in_progress, assigned to ``ACTOR``, with ``claim`` recorded in the metadata.

        A task that has exactly this claim stays as it is.

        Raises:
            AlreadyClaimed: it is not open, or another user is its assignee.
        """
        ...

    def release(self, task_id: str, comment: str = "") -> None:
        """Make a task that ``ACTOR`` holds by a recorded claim open again, without assignee and record.

        A task that is open already stays as it is. Anything else, a claim without a record above all, is
        another user's and an error.
        """
        ...

    def reopen(self, task_id: str, comment: str = "") -> None:
        """Make a closed task open again, without assignee and record; an open one stays as it is."""
        ...

    def comment(self, task_id: str, text: str) -> None: ...

    def close(self, task_id: str, reason: str) -> None:
        """Close a task; closing a closed one changes nothing.

        Refused while another user holds it or one of its needs is not closed.
        """
        ...


def check_batch(tasks: Sequence[NewTask]) -> None:
    """Refuse what no store could keep: doubled or unknown keys, circles, impossible titles."""
    keys = Counter(task.key for task in tasks)
    for task in tasks:
        _check_title(task)
        if keys[task.key] > 1:
            raise TrackerError(f"two new tasks have the key {task.key!r}")
        if METADATA in task.metadata:
            raise TrackerError(f"task {task.key!r}: the metadata key {METADATA!r} is kept for claims")
        if not 0 <= task.priority <= 4:
            raise TrackerError(f"task {task.key!r}: priority {task.priority} is not between 0 and 4")
        for need in task.needs:
            if need not in keys:
                raise TrackerError(f"task {task.key!r} needs {need!r}, which is not among the new tasks")
    try:
        TopologicalSorter({task.key: task.needs for task in tasks}).prepare()
    except CycleError as error:
        raise TrackerError(f"the new tasks wait for each other: {' -> '.join(error.args[1])}") from None


def _check_title(task: NewTask) -> None:
    size = len(task.title.encode("utf-8", "replace"))
    if not task.title.strip():
        raise TrackerError(f"task {task.key!r} has no title")
    if size > TITLE_LIMIT:
        raise TrackerError(
            f"the title of task {task.key!r} has {size} bytes; beads allows {TITLE_LIMIT}",
            "shorten it and put the rest into the description",
            task.title,
        )
