"""The tracker in memory, with the rules of ``Tracker``; and what people do in it with their own program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import ACTOR, METADATA, AlreadyClaimed, Claim, NewTask, Task
from tests.simulator.stage import BEGIN

__all__ = ["SimulatedTracker"]


class SimulatedTracker:
    """The tasks of a schedule. ``touch`` is called before each change of a run, not of a person."""

    description = "simulated tracker"

    def __init__(self, touch: Callable[[str], None]) -> None:
        self.store: dict[str, Task] = {}
        self.notes: dict[str, list[str]] = {}
        """Task id -> the comments of runs."""
        self._made = 0
        self._touch = touch
        self.fails = 0
        """Calls that will fail."""
        self.claimed: Callable[[Task], None] = lambda _task: None
        self.commented: Callable[[str, str], None] = lambda _task_id, _text: None
        self.labelled: Callable[[Task], None] = lambda _task: None

    def touch(self, what: str) -> None:
        self._touch(what)
        if self.fails:
            self.fails -= 1
            raise TrackerError(f"cannot {what}: the store is locked")

    # -- of runs

    def tasks(self) -> list[Task]:
        return [self.store[task_id] for task_id in sorted(self.store)]

    def comments(self) -> dict[str, tuple[str, ...]]:
        return {task_id: tuple(texts) for task_id, texts in self.notes.items() if task_id in self.store}

    def prepare(self) -> None:
        self.touch("prepare the store")

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        self.touch(f"create {len(tasks)} tasks")
        ids: dict[str, str] = {}
        for new in tasks:  # needs come first
            made = self.add([ids[need] for need in new.needs], new.priority)
            ids[new.key] = made.id
            self.store[made.id] = replace(made, title=new.title, labels=new.labels)
        return ids

    def claim(self, task_id: str, claim: Claim) -> None:
        self.touch(f"claim {task_id}")
        task = self._find(task_id)
        if task.claim == claim:
            return
        if task.status != "open" or task.assignee not in ("", ACTOR):
            raise AlreadyClaimed(f"{task_id} cannot be claimed: {task.state}")
        metadata = {**task.metadata, METADATA: asdict(claim)}
        self.store[task_id] = replace(task, status="in_progress", assignee=ACTOR, metadata=metadata)
        self.claimed(self.store[task_id])

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        self.touch(f"release {task_id}{f' with {label}' if label else ''}")
        task = self._find(task_id)
        if task.status == "open":
            return
        if task.claim is None:
            raise TrackerError(f"cannot release {task_id}, which this run did not claim: {task.state}")
        labels = tuple(sorted({*task.labels, *([label] if label else [])}))
        self._open(replace(task, labels=labels), comment)
        if label:
            self.labelled(self.store[task_id])

    def reopen(self, task_id: str, comment: str = "") -> None:
        self.touch(f"reopen {task_id}")
        self._open(self._find(task_id), comment)

    def comment(self, task_id: str, text: str) -> None:
        self.touch(f"comment on {task_id}")
        self._find(task_id)
        self.notes.setdefault(task_id, []).append(text)
        self.commented(task_id, text)

    def close(self, task_id: str, reason: str) -> None:  # noqa: ARG002
        self.touch(f"close {task_id}")
        task = self._find(task_id)
        if task.status == "closed":
            return
        if task.assignee not in ("", ACTOR):
            raise TrackerError(f"cannot close {task_id}: {task.state}")
        waiting = [need for need in task.needs if need in self.store and self.store[need].status != "closed"]
        if waiting:
            raise TrackerError(f"{task_id} cannot be closed: it is blocked by {', '.join(waiting)}")
        self.store[task_id] = _free(replace(task, status="closed"))

    def _find(self, task_id: str) -> Task:
        task = self.store.get(task_id)
        if task is None:
            raise TrackerError(f"there is no task {task_id}")
        return task

    def _open(self, task: Task, comment: str) -> None:
        self.store[task.id] = _free(replace(task, status="open"))
        if comment:
            self.notes.setdefault(task.id, []).append(comment)

    # -- of people

    def add(self, needs: Sequence[str] = (), priority: int = 2) -> Task:
        """A new task."""
        self._made = number = self._made + 1
        made = (BEGIN + timedelta(seconds=number)).isoformat()
        task = Task(
            id=f"t-{number}", title=f"Task {number}", needs=tuple(needs), priority=priority, created_at=made
        )
        self.store[task.id] = task
        return task

    def change(self, task: Task) -> None:
        """What a person makes of a task."""
        self.store[task.id] = task


def _free(task: Task) -> Task:
    """The task without the mark of the run that held it."""
    metadata = {name: value for name, value in task.metadata.items() if name != METADATA}
    return replace(task, assignee="", metadata=metadata)
