"""What a task waits for beyond the edges of its own, as bd has it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pytest_cobbler.tracker.base import Task

__all__ = ["with_all_needs"]


def with_all_needs(tasks: Iterable[Task]) -> list[Task]:
    """``tasks``, where each also needs what blocks the issues above it, and the parts it waits for.

    What blocks an epic blocks its children, at any depth; to wait for an epic is to need each of these.
    """
    by_id = {task.id: task for task in tasks}
    children: defaultdict[str, list[str]] = defaultdict(list)
    for task in by_id.values():
        if task.parent:
            children[task.parent].append(task.id)
    own = {
        task.id: (*task.needs, *(child for end in task.waits_for for child in children[end]))
        for task in by_id.values()
    }
    found = []
    for task in by_id.values():
        needs = list(own[task.id])
        for above in _above(task.id, by_id):
            # An old bd lets an epic wait for its own child, which must not wait for itself then.
            needs += [need for need in own.get(above, ()) if above not in _above(need, by_id)]
        found.append(replace(task, needs=tuple(dict.fromkeys(needs))))
    return found


def _above(task_id: str, by_id: Mapping[str, Task]) -> Iterator[str]:
    """What a task is part of, from the inside out; a circle ends where it closes."""
    seen = {task_id}
    task = by_id.get(task_id)
    while task and task.parent and task.parent not in seen:
        seen.add(task.parent)
        yield task.parent
        task = by_id.get(task.parent)
