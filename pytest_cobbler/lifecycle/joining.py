"""The task in which an agent merges the base into a generation that conflicts with it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cobbler.config import Config
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.tracker.base import NewTask, Task
from pytest_cobbler.tracker.lane import TrackerLane

LABEL = "cobbler-merge"
"""The label of such a task. Its attempts start from the merge with the base; it lands as a merge."""

_DESCRIPTION = """\
The branch {base} has changed since this generation started from it, and both have changed the same files. \
The checkout holds the merge of the two. These files conflict:

{files}

Resolve every conflict so that the intent of both sides is kept, and leave no marker. Git does not merge \
some files line by line and leaves no markers in them: such a file holds the version of {generation}, and \
{other}. Make it anew so that it fits both. Change nothing else \
unless the build or the tests require it. If no conflict is left, change nothing and report that.
"""

_READABLE = "git show HEAD^2:FILE prints that of {base}"
_UNREADABLE = "that of {base} cannot be read here"
"""With ``agent_history: tip``, an agent has one commit without parents."""


def joins_base(task: Task) -> bool:
    return LABEL in task.labels


def propose_join(config: Config, lane: TrackerLane, generation: Generation, files: Sequence[str]) -> str:
    """Create the task, if the generation has none yet; return its id.

    Raises:
        TrackerError: it could not be created.
    """
    if open_joins := _open(lane, generation):
        return open_joins[0].id
    other = _UNREADABLE if config.agent_history == "tip" else _READABLE
    new = NewTask(
        key="join",
        title=f"Merge {generation.base} into {generation.name}",
        description=_DESCRIPTION.format(
            base=generation.base,
            generation=generation.name,
            other=other.format(base=generation.base),
            files="\n".join(f"* {name}" for name in files),
        ),
        labels=tuple(filter(None, (generation.name, LABEL, config.task_label))),
    )
    return lane.create([new]).result()["join"]


def end_joins(lane: TrackerLane, generation: Generation, reason: str) -> None:
    """Close the open tasks of this kind: there is nothing left to merge."""
    for task in _open(lane, generation):
        lane.close_task(task.id, reason).result()


def _open(lane: TrackerLane, generation: Generation) -> list[Task]:
    tasks = lane.tasks().result()
    return [t for t in tasks if t.status == "open" and joins_base(t) and generation.name in t.labels]
