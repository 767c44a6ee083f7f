"""The task in which an agent brings the base into a generation that conflicts with it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cobbler.config import Config
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.tracker.base import NewTask, Task
from pytest_cobbler.tracker.lane import TrackerLane

LABEL = "cobbler-merge"
"""Of such a task; it is done like any other, but from the merge with the base, and lands as one."""

_WHAT = """\
The branch {base} has changed since this generation began with it, and both have changed the same files. The \
checkout holds the merge of the two. In these files are conflict markers:

{files}

Resolve each of them so that what both sides wanted is kept, and leave no marker. Change nothing else, \
unless the build or the tests need it. If no file has a marker, change nothing and say so.
"""


def joins_base(task: Task) -> bool:
    return LABEL in task.labels


def propose_join(config: Config, lane: TrackerLane, generation: Generation, files: Sequence[str]) -> str:
    """Have a task for it, one for each generation; its id.

    Raises:
        TrackerError: it could not be made.
    """
    if there := _open(lane, generation):
        return there[0].id
    new = NewTask(
        key="join",
        title=f"Merge {generation.base} into {generation.name}",
        description=_WHAT.format(base=generation.base, files="\n".join(f"* {name}" for name in files)),
        labels=tuple(filter(None, (generation.name, LABEL, config.task_label))),
    )
    return lane.create([new]).result()["join"]


def end_joins(lane: TrackerLane, generation: Generation, reason: str) -> None:
    """Close what is open of it: there is nothing to merge any more."""
    for task in _open(lane, generation):
        lane.close_task(task.id, reason).result()


def _open(lane: TrackerLane, generation: Generation) -> list[Task]:
    tasks = lane.tasks().result()
    return [t for t in tasks if t.status == "open" and joins_base(t) and generation.name in t.labels]
