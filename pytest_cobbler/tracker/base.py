"""The protocol of a tracker, and the tasks in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Protocol

from pytest_cobbler.errors import TrackerError

ACTOR = "cobbler"
"""The name under which cobbler claims, comments and closes."""

METADATA = "cobbler"
"""The key of the claim in an issue's ``metadata``; other data must use other keys."""

ORDER = "cobbler_order"
"""The key of an issue's place in its batch: bd rounds the time of creation to seconds."""

SOURCE = "cobbler_source"
"""The key of the place that a task was imported from: the file, and the task's name there."""

TITLE_LIMIT = 500
"""Longest title that beads allows, in bytes of UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One issue of the tracker.

    ``status`` is one of beads' own (open, in_progress, blocked, deferred, closed, pinned, hooked) or one of
    the project's; ``needs`` are the ids of the issues that block this one (dependencies of type ``blocks`` or
    ``conditional-blocks``), closed or not; ``parent`` is the issue that it is part of, ``waits_for`` those
    whose parts it waits for, ``waits_for_any`` those of whose parts it waits for one; ``labels`` are sorted;
    ``created_at`` and ``defer_until`` are RFC 3339; ``priority`` 0 (first) to 4; ``minutes`` is an estimate
    of the work, 0 without one.
    """

    id: str
    title: str
    description: str = ""
    status: str = "open"
    type: str = "task"
    priority: int = 2
    minutes: int = 0
    needs: tuple[str, ...] = ()
    parent: str = ""
    waits_for: tuple[str, ...] = ()
    waits_for_any: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    assignee: str = ""
    created_at: str = ""
    defer_until: str = ""
    is_pinned: bool = False
    is_ephemeral: bool = False
    is_template: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def age(self) -> tuple[datetime, int, str]:
        """Sorts tasks by their creation, and those of one batch in the order in which they were proposed."""
        place = str(self.metadata.get(ORDER, ""))
        return moment_of(self.created_at), int(place) if place.isdecimal() else 0, self.id

    @property
    def state(self) -> str:
        """For messages: ``it is in_progress, assigned to jane``."""
        return f"it is {self.status}" + (f", assigned to {self.assignee}" if self.assignee else "")

    @property
    def claim(self) -> Claim | None:
        """The run of cobbler that works on it, if there is one."""
        record = self.metadata.get(METADATA)
        if self.status != "in_progress" or self.assignee != ACTOR or not isinstance(record, Mapping):
            return None
        try:
            return Claim(
                **{name: str(record[name]) for name in ("host", "repository", "run", "generation")},
                repository_id=str(record.get("repository_id", "")),
            )
        except KeyError:
            return None


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """A task to be created.

    ``key`` names the task within its batch only; ``needs`` are keys of the same batch, ``existing_needs`` ids
    of issues that are there. ``metadata`` are strings because bd 1.0.5 accepts no other values; the keys
    ``METADATA`` and ``ORDER`` are reserved.
    ``minutes`` is an estimate of the work, 0 without one; bd 1.0.5 does not keep it.
    """

    key: str
    title: str
    description: str
    needs: tuple[str, ...] = ()
    existing_needs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    priority: int = 2
    minutes: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The run that works on a task; a claim without this record is never released.

    ``repository_id`` stays when the repository moves or the host gets another name; a copy has another one.
    """

    host: str
    repository: str
    run: str
    generation: str
    repository_id: str = ""

    def is_of_same_repository(self, other: Claim) -> bool:
        """Whether both are of one repository, so that only one of their runs can be alive."""
        if self.repository_id and self.repository_id == other.repository_id:
            return True
        return (self.host, self.repository) == (other.host, other.repository)


class AlreadyClaimed(TrackerError):
    """Another user has the task, or it is no longer open."""


class Tracker(Protocol):
    """A store of tasks. Not thread-safe: all methods are called from one thread at a time.

    Every method raises ``TrackerError`` if the store fails, is missing, too old, locked or does not answer.
    """

    @property
    def description(self) -> str:
        """``bd 1.3.0`` or ``embedded store``, and its directory."""
        ...

    def tasks(self) -> list[Task]:
        """Every issue of every type and status, closed ones too, sorted by id."""
        ...

    def comments(self) -> dict[str, tuple[str, ...]]:
        """Issue id -> the comments of ``ACTOR``, oldest first; only issues with such comments."""
        ...

    def prepare(self) -> None:
        """Make the store if there is none, so that an error appears before the store is needed."""
        ...

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        """Create all ``tasks`` with their dependencies, or none; returns the id of each key."""
        ...

    def claim(self, task_id: str, claim: Claim) -> None:
        """open -> in_progress, assigned to ``ACTOR``, with ``claim`` recorded in the metadata.

        A task with exactly this claim stays as it is.

        Raises:
            AlreadyClaimed: it is not open, or another user is its assignee.
        """
        ...

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        """Make a task that ``ACTOR`` holds by a recorded claim open again, without assignee and record.

        It gets ``comment`` and ``label``, if they are given.
        An open task stays as it is. It is an error if the task is neither open nor held by a recorded claim.
        """
        ...

    def reopen(self, task_id: str, comment: str = "") -> None:
        """Make a closed task open again, without assignee and record; an open one stays as it is."""
        ...

    def comment(self, task_id: str, text: str) -> None: ...

    def close(self, task_id: str, reason: str) -> None:
        """Close a task; a closed one stays as it is.

        It is an error if another user holds the task or one of its needs is not closed.
        """
        ...


def moment_of(time: str) -> datetime:
    """A time of RFC 3339; the earliest one if it is none."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        moment = datetime.min
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def check_batch(tasks: Sequence[NewTask]) -> None:
    """Refuse tasks that no store can keep: duplicate or unknown keys, circles, invalid titles."""
    keys = Counter(task.key for task in tasks)
    for task in tasks:
        _check_title(task)
        if keys[task.key] > 1:
            raise TrackerError(f"two new tasks have the key {task.key!r}")
        for name in {METADATA, ORDER} & task.metadata.keys():
            raise TrackerError(f"task {task.key!r}: the metadata key {name!r} is reserved for cobbler")
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
            "shorten the title and move the rest to the description",
            task.title,
        )
