"""How many agents work concurrently, and which of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.process import Cancellation

__all__ = ["Slots", "make_slots"]


def make_slots(config: Config, agents: Sequence[str], freed: Callable[[], None], *, plays: bool) -> Slots:
    """The places of a run; a run that ``plays`` a recording does not wait for what the recorded one did.

    Args:
        agents: the names of the agents, in the order in which they are asked.
    """
    patience = 0.0 if plays else config.limit_wait
    healths = {name: ApiHealth(config.jobs, patience, changed=freed) for name in agents}
    return Slots(config.jobs, freed, Healths(healths))


class Slots:
    """A count of free places for agents. A further attempt of a task takes precedence over a new task.

    A place is for one of the agents: the first of those asked for whose API lets it start.

    Args:
        freed: called, in any thread, when a place may have become free for a new task.
        healths: of each agent. They may allow fewer agents than there are places, or none for a while.
    """

    def __init__(self, count: int, freed: Callable[[], None], healths: Healths) -> None:
        self._free = count
        self.healths = healths
        self._working: Counter[str] = Counter()
        self._waiting: list[Sequence[str]] = []
        self._condition = threading.Condition()
        self._freed = freed

    @property
    def waiting(self) -> int:
        """The number of started tasks that wait for a place."""
        return len(self._waiting)

    @property
    def are_taken(self) -> bool:
        """Whether no place is free."""
        return not self._free

    def take(self, names: Sequence[str]) -> str:
        """Take a place for a new task, if one is free that no started task is waiting for.

        Returns:
            the agent among ``names`` that it is for; empty if there is no place.
        """
        with self._condition:
            ahead = sum(1 for waiting in self._waiting if self._first(waiting))
            name = self._first(names, ahead)
            self._take(name)
            return name

    def wait(self, cancellation: Cancellation, names: Sequence[str]) -> str:
        """Wait for a place for a further attempt; empty when the run is cancelled or stops first."""
        with self._condition:
            self._waiting.append(names)
            try:
                while not (name := self._first(names)):
                    if cancellation.requested or self.healths.stop_of(names):
                        return ""
                    self._condition.wait(0.2)
                if cancellation.requested:
                    return ""
                self._take(name)
                return name
            finally:
                self._waiting.remove(names)

    def give(self, name: str) -> None:
        """Give back the place of an agent."""
        with self._condition:
            self._free += 1
            self._working[name] -= 1
            self._condition.notify_all()
        self._freed()

    def _take(self, name: str) -> None:
        if name:
            self._free -= 1
            self._working[name] += 1

    def _first(self, names: Sequence[str], ahead: int = 0) -> str:
        """The first agent that may start beside those at work and ``ahead`` others; empty: none may."""
        if self._free <= ahead or self.healths.stop_of(names):
            return ""
        may_start = (name for name in names if self.healths[name].may_start(self._working[name] + ahead))
        return next(may_start, "")
