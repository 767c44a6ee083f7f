"""How many agents run concurrently."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.config import Config
from pytest_cobbler.process import Cancellation


def make_slots(config: Config, freed: Callable[[], None], *, plays: bool = False) -> Slots:
    """The places of a run; a run that ``plays`` a recording does not wait for what the recorded one did."""
    patience = 0.0 if plays else config.limit_wait
    return Slots(config.jobs, freed, ApiHealth(config.jobs, patience, changed=freed))


class Slots:
    """A count of free places for agents. A further attempt of a task takes precedence over a new task.

    ``freed`` is called, in any thread, when a place may have become free for a new task. ``health`` may allow
    fewer agents than there are places, or none for a while.
    """

    def __init__(self, count: int, freed: Callable[[], None], health: ApiHealth | None = None) -> None:
        self._count = self._free = count
        self.health = health or ApiHealth(count)
        self._waiting = 0
        self._condition = threading.Condition()
        self._freed = freed

    @property
    def waiting(self) -> int:
        """The number of started tasks that wait for a place."""
        return self._waiting

    def take(self) -> bool:
        """Take a place for a new task, if one is free that no started task is waiting for."""
        with self._condition:
            if not self._is_free(self._waiting):
                return False
            self._free -= 1
            return True

    def wait(self, cancellation: Cancellation) -> bool:
        """Wait for a place for a further attempt; False when the run is cancelled or stops first."""
        with self._condition:
            self._waiting += 1
            try:
                while not self._is_free():
                    if cancellation.requested or self.health.stop:
                        return False
                    self._condition.wait(0.2)
                if cancellation.requested:
                    return False
                self._free -= 1
                return True
            finally:
                self._waiting -= 1

    def _is_free(self, taken: int = 0) -> bool:
        """Whether there is a place beside those in use and ``taken`` ones."""
        return self._free > taken and self.health.may_start(self._count - self._free + taken)

    def give(self) -> None:
        with self._condition:
            self._free += 1
            self._condition.notify()
        self._freed()
