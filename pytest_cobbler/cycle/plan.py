"""Which item may start: no pytest, no thread, so that it is tested as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pytest_cobbler.tracker.base import Task


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class _Entry:
    needs: frozenset[str]
    after: frozenset[str]
    rank: tuple[int, int, str, str]
    state: State = State.WAITING


@dataclass
class Plan:
    """The items of a session and what they wait for.

    A *need* must have landed; what an item comes *after* must have ended, however it ended.
    """

    _entries: dict[str, _Entry] = field(default_factory=dict)
    _ranked: bool = True

    def add(
        self,
        key: str,
        *,
        needs: Iterable[str] = (),
        after: Iterable[str] = (),
        priority: int = 0,
        created: str = "",
    ) -> None:
        """Add an item; needs that are not in the plan count as unmet."""
        self._entries[key] = _Entry(frozenset(needs), frozenset(after), (0, priority, created, key))
        self._ranked = False

    def _rank(self) -> None:
        """Order by the longest chain that waits for an item, then priority, then creation."""
        dependants: dict[str, list[str]] = {key: [] for key in self._entries}
        for key, entry in self._entries.items():
            for other in (entry.needs | entry.after) & self._entries.keys():
                dependants[other].append(key)
        heights = _heights(dependants)
        for key, entry in self._entries.items():
            entry.rank = (-heights[key], *entry.rank[1:])
        self._ranked = True

    def follow(self, key: str, after: Iterable[str]) -> None:
        """Let ``key`` come after more items than it did."""
        self._entries[key].after |= frozenset(after)
        self._ranked = False

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def state(self, key: str) -> State:
        return self._entries[key].state

    def mark(self, key: str, state: State) -> None:
        self._entries[key].state = state

    def waiting(self) -> list[str]:
        return [key for key, entry in self._entries.items() if entry.state is State.WAITING]

    def ended(self, key: str) -> bool:
        return self._entries[key].state in (State.DONE, State.FAILED)

    def ready(self) -> list[str]:
        """What may start now, in the order in which it should."""
        if not self._ranked:
            self._rank()
        found = [key for key in self.waiting() if self._is_ready(self._entries[key])]
        return sorted(found, key=lambda key: self._entries[key].rank)

    def _is_ready(self, entry: _Entry) -> bool:
        needs_met = all(self._is(need, State.DONE) for need in entry.needs)
        return needs_met and all(self.ended(key) for key in entry.after & self._entries.keys())

    def _is(self, key: str, state: State) -> bool:
        return key in self._entries and self._entries[key].state is state

    def blocked(self) -> dict[str, list[str]]:
        """Waiting items that can never start -> the needs that are to blame."""
        found = {}
        for key in self.waiting():
            bad = [
                need
                for need in sorted(self._entries[key].needs)
                if need not in self._entries or self._is(need, State.FAILED)
            ]
            if bad:
                found[key] = bad
        return found

    def stuck(self) -> list[str]:
        """What waits for itself: nothing runs, nothing is ready and nothing is blocked, yet something waits."""
        running = any(entry.state is State.RUNNING for entry in self._entries.values())
        return [] if running or self.ready() or self.blocked() else self.waiting()


def _heights(dependants: Mapping[str, list[str]]) -> dict[str, int]:
    """Key -> length of the longest chain that waits for it; a cycle counts as far as it was followed."""
    heights: dict[str, int] = {}
    for start in dependants:
        stack = [(start, iter(dependants[start]))]
        open_keys = {start}
        while stack:
            key, children = stack[-1]
            child = next((c for c in children if c not in heights and c not in open_keys), None)
            if child is not None:
                open_keys.add(child)
                stack.append((child, iter(dependants[child])))
                continue
            stack.pop()
            open_keys.discard(key)
            heights[key] = 1 + max((heights.get(c, 0) for c in dependants[key]), default=-1)
    return heights


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What of the tracker's tasks a session takes on.

    ``taken`` in the order in which they may start; ``left``: ready but beyond the limit; ``waiting``: task id ->
    what outside the session it waits for.
    """

    taken: tuple[Task, ...] = ()
    left: tuple[Task, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)


def select_tasks(
    tasks: Iterable[Task],
    *,
    finished: Iterable[str],
    foreign_labels: frozenset[str],
    task_label: str | None,
    limit: int,
) -> Selection:
    """Choose the open tasks of a session: those that are ours, at most ``limit``, with what they need.

    ``finished``: ids that count as done beside closed ones; ``foreign_labels``: of other active generations.
    """
    everything = {task.id: task for task in tasks}
    done = set(finished) | {task.id for task in everything.values() if task.status == "closed"}
    ours = {
        task.id: task
        for task in everything.values()
        if _is_ours(task, foreign_labels, task_label) and task.id not in done and task.status != "closed"
    }
    waiting = _outside(ours, everything, done)
    candidates = [task for task in ours.values() if task.id not in waiting]
    ordered = _ordered(candidates)
    return Selection(taken=tuple(ordered[:limit]), left=tuple(ordered[limit:]), waiting=waiting)


def _is_ours(task: Task, foreign_labels: frozenset[str], task_label: str | None) -> bool:
    if task.type != "task" or foreign_labels & set(task.labels):
        return False
    return task_label is None or task_label in task.labels


def _outside(ours: Mapping[str, Task], everything: Mapping[str, Task], done: set[str]) -> dict[str, str]:
    """Task id -> why it cannot be done in this session."""
    waiting: dict[str, str] = {}
    for task in ours.values():
        if task.status == "in_progress":
            waiting[task.id] = f"in progress, held by {task.assignee or 'somebody else'}"
        elif task.status != "open":
            waiting[task.id] = task.status
        elif task.assignee:
            waiting[task.id] = f"assigned to {task.assignee}"
    changed = True
    while changed:
        changed = False
        for task in ours.values():
            if task.id in waiting:
                continue
            for need in task.needs:
                if need in done or (need in ours and need not in waiting):
                    continue
                waiting[task.id] = f"waits for {need}" + ("" if need in everything else " (unknown)")
                changed = True
                break
    return waiting


def _ordered(tasks: list[Task]) -> list[Task]:
    """Needs before what needs them; within that the longest chain first, then priority, then creation.

    A cycle keeps its place at the end: the session reports it as such.
    """
    plan = Plan()
    known = {task.id for task in tasks}
    for task in tasks:
        plan.add(task.id, needs=known & set(task.needs), priority=task.priority, created=task.created_at)
    by_id = {task.id: task for task in tasks}
    ordered: list[Task] = []
    while ready := plan.ready():
        for key in ready:
            plan.mark(key, State.DONE)
            ordered.append(by_id[key])
    return ordered + [by_id[key] for key in plan.waiting()]
