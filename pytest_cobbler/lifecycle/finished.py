"""The tasks that are finished in a generation."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import Landed, landed_tasks


class Finished:
    """The finished tasks of one generation and their landed commits. Thread-safe."""

    def __init__(self, landed: dict[str, Landed]) -> None:
        self._landed = landed
        self._lock = threading.Lock()

    def add(self, landed: Landed) -> None:
        with self._lock:
            self._landed[landed.task] = landed

    def __contains__(self, task_id: str) -> bool:
        with self._lock:
            return task_id in self._landed

    def landed_by(self, run_id: str, task_id: str) -> Landed | None:
        """The landed commit of the task if run ``run_id`` landed it.

        Another run may have landed it since: a reopened task is done again.
        """
        landed = self.get(task_id)
        return landed if landed and landed.run == run_id else None

    def forget(self, task_ids: Iterable[str]) -> None:
        """Take tasks out that are to be done again."""
        with self._lock:
            for task_id in task_ids:
                self._landed.pop(task_id, None)

    def get(self, task_id: str) -> Landed | None:
        with self._lock:
            return self._landed.get(task_id)

    def all(self) -> list[Landed]:
        with self._lock:
            return list(self._landed.values())


def finished_tasks(repository: Repository, generation: Generation, tip: str) -> dict[str, Landed]:
    """Task id -> landed commit, in the generation and its base.

    The base counts only if the start of the generation kept the sources.
    """
    in_base = {} if generation.reset else landed_tasks(repository, generation.start)
    return in_base | landed_tasks(repository, f"{generation.first}..{tip}")
