"""Tasks of a file in the tracker: which are new, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_cobbler.cycle.proposals import duplicate_errors, to_new_tasks
from pytest_cobbler.display import one_line
from pytest_cobbler.intake.drafts import Draft, Source
from pytest_cobbler.intake.reading import unusable
from pytest_cobbler.tracker.base import SOURCE, NewTask, Task

__all__ = ["Import", "plan_import"]


@dataclass(frozen=True, kw_only=True)
class Import:
    """What an import would write. ``known``: index of a draft -> the task that it was imported as."""

    source: Source
    new: tuple[Draft, ...]
    known: Mapping[int, Task]

    def new_tasks(self, generation: str, task_label: str | None) -> list[NewTask]:
        """The tasks to create, in the order of the file; their keys are the indexes."""
        tasks = to_new_tasks(self.new, generation, task_label)
        return [self._located(task, draft) for task, draft in zip(tasks, self.new, strict=True)]

    def _located(self, task: NewTask, draft: Draft) -> NewTask:
        known = [self.known[index] for index in draft.needs if index in self.known]
        return replace(
            task,
            needs=tuple(str(index) for index in draft.needs if index not in self.known),
            existing_needs=tuple(need.id for need in known if need.status != "closed"),
            labels=(*task.labels, *draft.labels),
            metadata={SOURCE: draft.identity(self.source.name)},
        )

    def lines(self) -> Iterator[str]:
        """The new tasks with their needs, for display."""
        names = {draft.index: draft.key or str(draft.index) for draft in self.source.drafts}
        names |= {index: task.id for index, task in self.known.items()}
        for draft in self.new:
            number = "" if draft.key else f"{names[draft.index]}. "
            labels = f" [{', '.join(draft.labels)}]" if draft.labels else ""
            needs = ", ".join(names[index] for index in draft.needs)
            yield f"{number}{one_line(draft.title)}{labels}{f'; needs {needs}' if needs else ''}"


def plan_import(source: Source, tasks: Iterable[Task]) -> Import:
    """Find out which tasks of a file are new.

    Raises:
        UsageProblem: a new one has the title of a task that the tracker has.
    """
    tasks = list(tasks)
    by_identity = {
        task.metadata[SOURCE]: task for task in tasks if isinstance(task.metadata.get(SOURCE), str)
    }
    known = {
        draft.index: by_identity[identity]
        for draft in source.drafts
        if (identity := draft.identity(source.name)) in by_identity
    }
    new = tuple(draft for draft in source.drafts if draft.index not in known)
    if errors := list(duplicate_errors(new, tasks)):
        raise unusable(source.name, errors)
    return Import(source=source, new=new, known=known)
