"""All needs of a task, as bd computes them: also those of the issues above it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pytest_cobbler.tracker.base import Task

__all__ = ["with_all_needs"]


def with_all_needs(tasks: Iterable[Task]) -> list[Task]:
    """The tasks with all their needs.

    A need of an epic is a need of its children, at any depth. A task that waits for an epic needs each of the
    epic's children.
    """
    by_id = {task.id: task for task in tasks}
    children: defaultdict[str, list[str]] = defaultdict(list)
    for task in by_id.values():
        if task.parent:
            children[task.parent].append(task.id)
    direct_needs = {
        task.id: (*task.needs, *(child for end in task.waits_for for child in children[end]))
        for task in by_id.values()
    }
    complete = []
    for task in by_id.values():
        needs = list(direct_needs[task.id])
        for above in _above(task.id, by_id):
            # An old bd lets an epic wait for its own child; the child must not wait for itself then.
            needs += [need for need in direct_needs.get(above, ()) if above not in _above(need, by_id)]
        complete.append(replace(task, needs=tuple(dict.fromkeys(needs))))
    return complete


def _above(task_id: str, by_id: Mapping[str, Task]) -> Iterator[str]:
    """The issues that a task is part of, from the inside out; a circle ends where it closes."""
    seen = {task_id}
    task = by_id.get(task_id)
    while task and task.parent and task.parent not in seen:
        seen.add(task.parent)
        yield task.parent
        task = by_id.get(task.parent)
