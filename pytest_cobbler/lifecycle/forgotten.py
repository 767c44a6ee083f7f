"""Landings that the tracker does not know: it was restored from a state before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pytest_cobbler.lifecycle.records import read_records
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.tracker.base import ACTOR, Task


def forgotten_landings(
    tasks: Iterable[Task],
    landed: Mapping[str, Landed],
    comments: Callable[[], Mapping[str, Sequence[str]]],
) -> list[Landed]:
    """The landings whose tasks are open without a record of that landing, in the order of ``landed``.

    A task with the record was opened again by a person, and is done again.

    Args:
        landed: task id -> its last landing in the active generation.
        comments: reads ours, by task; called only if a landed task is open.
    """
    open_ids = {
        task.id
        for task in tasks
        if task.type == "task"
        and task.status == "open"
        and task.assignee in ("", ACTOR)
        and task.id in landed
    }
    if not open_ids:
        return []
    known = comments()
    return [
        one
        for one in landed.values()
        if one.task in open_ids
        and all(record.commit != one.commit for record in read_records(one.task, known.get(one.task, ())))
    ]
