"""What a project's own tests read of its generation: values, through which nothing can be written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.tracker.base import Task

__all__ = ["ActiveGeneration", "Tasks"]


@dataclass(frozen=True)
class Tasks:
    """The tasks of a tracker as they were when it was read, by id; ``description`` names the tracker."""

    description: str
    all: tuple[Task, ...]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, task_id: str) -> Task:
        for task in self.all:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    def titled(self, title: str) -> Task:
        """The task with this title.

        Raises:
            LookupError: there is none, or more than one.
        """
        found = [task for task in self.all if task.title == title]
        if len(found) != 1:
            raise LookupError(f"{len(found)} tasks {title!r} among {[task.title for task in self.all]}")
        return found[0]


@dataclass(frozen=True, kw_only=True)
class ActiveGeneration:
    """The generation that a run would work on.

    ``start`` is the commit of ``base`` that it began with, ``tip`` the head of its branch; ``tasks`` are
    those that landed in it, those that its measures proposed, and the open ones that belong to no other
    generation; ``landed`` the commits that did tasks, oldest first.
    """

    name: str
    base: str
    start: str
    tip: str
    tasks: tuple[Task, ...]
    landed: tuple[Landed, ...]
