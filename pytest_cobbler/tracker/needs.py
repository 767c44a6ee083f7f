"""What keeps a task from being ready, as bd computes it: needs, also of the issues above it, and dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pytest_cobbler.tracker.base import Task, moment_of

__all__ = ["put_off", "with_all_needs"]


def put_off(task: Task, by_id: Mapping[str, Task], now: datetime) -> str:
    """Why a task is not to be worked on, or not yet, whatever its status; empty if it is.

    Args:
        by_id: all issues.
    """
    # bd itself reports templates as ready. They are patterns that other issues are made from.
    facts = {"pinned": task.is_pinned, "ephemeral": task.is_ephemeral, "a template": task.is_template}
    for word, is_so in facts.items():
        if is_so:
            return word
    # bd looks at the issue directly above, and not further up.
    for issue in (task, by_id.get(task.parent)):
        if issue and issue.defer_until and moment_of(issue.defer_until) > now:
            return f"deferred until {issue.defer_until}" + ("" if issue is task else f", with {issue.id}")
    return ""


def with_all_needs(tasks: Iterable[Task]) -> list[Task]:
    """The tasks with all their needs.

    A need of an epic that is not closed is a need of its children, at any depth. A task that waits for an
    epic needs each of the epic's children; one that waits for any of them needs none as soon as one is
    closed. A need is met if its issue is pinned or gone.
    """
    by_id = {task.id: task for task in tasks}
    children: defaultdict[str, list[str]] = defaultdict(list)
    for task in by_id.values():
        if task.parent:
            children[task.parent].append(task.id)

    def waiting_for(task: Task) -> Iterator[str]:
        yield from task.needs
        for end in task.waits_for:
            yield from children[end]
        for end in task.waits_for_any:
            if not any(by_id[child].status == "closed" for child in children[end]):
                yield from children[end]

    direct_needs = {
        task.id: [need for need in waiting_for(task) if need in by_id and by_id[need].status != "pinned"]
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
    """The issues that a task is part of, from the inside out, until one is closed or met again."""
    seen = {task_id}
    above = by_id[task_id].parent if task_id in by_id else ""
    while above in by_id and above not in seen and by_id[above].status not in ("closed", "pinned"):
        seen.add(above)
        yield above
        above = by_id[above].parent
