"""What the threads of a session tell its main thread."""

from __future__ import annotations

import queue
from dataclasses import dataclass, field

from pytest_cobbler.cycle.measure import Measured
from pytest_cobbler.cycle.outcome import Outcome
from pytest_cobbler.lifecycle.records import Record

_BACKLOG = 1000
"""Above this number of unread events, steps are dropped; the transcripts have all of them."""


@dataclass(frozen=True)
class Ended:
    """A thread has ended. ``fault`` is what to report of an error: it may be one of all items."""

    key: str
    result: Outcome | Measured | BaseException
    record: Record
    fault: BaseException | None = None


@dataclass(frozen=True)
class Stepped:
    """An agent took a step."""

    key: str
    text: str


@dataclass(frozen=True)
class Woken:
    """Something may be ready now."""


Event = Ended | Stepped | Woken


@dataclass
class Events:
    """The queue of events from the threads to the main thread."""

    _queue: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)

    def put(self, event: Event) -> None:
        self._queue.put(event)

    def offer(self, event: Stepped) -> bool:
        """Add a step, unless the main thread is far behind: an agent may take a million steps.

        Returns:
            whether it was added.
        """
        if self._queue.qsize() >= _BACKLOG:
            return False
        self._queue.put(event)
        return True

    def wake(self) -> None:
        self._queue.put(Woken())

    def get(self, timeout: float) -> Event | None:
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None
