"""How many agents run concurrently."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_cobbler.process import Cancellation


class Slots:
    """A count of free places for agents. A further attempt of a task takes precedence over a new task.

    ``freed`` is called, in any thread, when a place may have become free for a new task.
    """

    def __init__(self, count: int, freed: Callable[[], None]) -> None:
        self._free = count
        self._waiting = 0
        self._condition = threading.Condition()
        self._freed = freed

    def take(self) -> bool:
        """Take a place for a new task, if one is free that no started task is waiting for."""
        with self._condition:
            if self._free <= self._waiting:
                return False
            self._free -= 1
            return True

    def wait(self, cancellation: Cancellation) -> bool:
        """Wait for a place for a further attempt; False when the run is cancelled first."""
        with self._condition:
            self._waiting += 1
            try:
                while not self._free:
                    if cancellation.requested:
                        return False
                    self._condition.wait(0.2)
                if cancellation.requested:
                    return False
                self._free -= 1
                return True
            finally:
                self._waiting -= 1

    def give(self) -> None:
        with self._condition:
            self._free += 1
            self._condition.notify()
        self._freed()
