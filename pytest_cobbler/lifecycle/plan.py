"""Which item may start next. It knows neither pytest nor threads, so the tests are tables."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Age = tuple[Any, ...]


class State(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass
class _Entry:
    """An item.

    ``unmet``: needs that are not done; ``lost``: needs that never will be; ``pending``: items that must end
    first and have not ended yet. ``urgency``: the first priority of the item and of all that need it;
    ``height``: the effort of the longest chain that begins with the item.
    """

    needs: frozenset[str]
    after: set[str]
    priority: int
    effort: float
    order: tuple[Age, int]
    urgency: int = 0
    height: float = 0.0
    unmet: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    state: State = State.WAITING

    @property
    def rank(self) -> tuple[int, float, Age, int]:
        return (self.urgency, -self.height, *self.order)


class Plan:
    """The items of a session and what they wait for.

    A *need* of an item must have landed. Items that it comes *after* must have ended, in whatever way. The
    time of a query grows with the length of its answer, not with the number of items.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._dependants: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._waiting: dict[str, None] = {}
        self._blocked: dict[str, None] = {}
        self._ready: list[str] = []
        self._running = 0
        self._ranked = True

    def add(
        self,
        key: str,
        *,
        needs: Iterable[str] = (),
        after: Iterable[str] = (),
        priority: int = 0,
        effort: float = 1.0,
        age: Age = (),
    ) -> None:
        """Add an item. A need that is not in the plan (yet) is unmet.

        ``effort`` is what it probably takes, in any unit; ``age`` sorts items that are alike otherwise.
        """
        if key in self._entries:
            raise ValueError(f"{key} is already in the plan")
        entry = _Entry(
            needs=frozenset(needs),
            after=set(),
            priority=priority,
            effort=effort,
            order=(age, len(self._entries)),
        )
        self._entries[key] = entry
        self._waiting[key] = None
        entry.unmet = {need for need in entry.needs if not self._is(need, State.DONE)}
        entry.lost = {need for need in entry.unmet if need not in self or self._is(need, State.FAILED)}
        for need in entry.needs:
            self._dependants[need][key] = None
        for other in self._dependants[key]:
            self._entries[other].lost.discard(key)
            if key in self._entries[other].after:
                self._entries[other].pending.add(key)
            self._update_lists(other)
        self.follow(key, after)

    def follow(self, key: str, after: Iterable[str]) -> None:
        """Let ``key`` come after further items. An item that is not in the plan (yet) does not delay it."""
        entry = self._entries[key]
        for other in set(after) - entry.after:
            entry.after.add(other)
            self._dependants[other][key] = None
            if other in self and not self.ended(other):
                entry.pending.add(other)
        self._update_lists(key)
        self._ranked = False

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def state(self, key: str) -> State:
        return self._entries[key].state

    def mark(self, key: str, state: State) -> None:
        """Record that an item is running, or how it ended."""
        entry = self._entries[key]
        if state is State.WAITING or self.ended(key):
            raise ValueError(f"{key} is {entry.state.value} and cannot become {state.value}")
        self._running += (state is State.RUNNING) - (entry.state is State.RUNNING)
        entry.state = state
        self._waiting.pop(key, None)
        self._update_lists(key)
        if self.ended(key):
            for other in self._dependants[key]:
                self._tell(self._entries[other], key, state)
                self._update_lists(other)

    @staticmethod
    def _tell(entry: _Entry, key: str, state: State) -> None:
        entry.pending.discard(key)
        if state is State.DONE:
            entry.unmet.discard(key)
        elif key in entry.needs:
            entry.lost.add(key)

    def _update_lists(self, key: str) -> None:
        """Update the lists of ready and of blocked items for one item."""
        entry = self._entries[key]
        waits = entry.state is State.WAITING
        if waits and entry.lost:
            self._blocked[key] = None
        else:
            self._blocked.pop(key, None)
        place = bisect.bisect_left(self._ready, entry.rank, key=self._rank_of)
        listed = place < len(self._ready) and self._ready[place] == key
        ready = waits and not entry.unmet and not entry.pending
        if ready and not listed:
            self._ready.insert(place, key)
        elif listed and not ready:
            del self._ready[place]

    def _rank_of(self, key: str) -> tuple[int, float, Age, int]:
        return self._entries[key].rank

    def _rank(self) -> None:
        """Order by urgency, then by the longest chain that waits for an item, then by creation.

        A chain is as long as the efforts of its items: list scheduling by critical path.
        """
        for entry in self._entries.values():
            entry.urgency, entry.height = entry.priority, 0.0
        for key in _dependants_first({key: self._dependants[key] for key in self._entries}):
            entry = self._entries[key]
            later = [(other, self._entries[other]) for other in self._dependants[key]]
            entry.height = entry.effort + max((one.height for _, one in later), default=0.0)
            needing = (one.urgency for _, one in later if key in one.needs)
            entry.urgency = min((entry.priority, *needing))
        self._ready.sort(key=self._rank_of)
        self._ranked = True

    def waiting(self) -> list[str]:
        return list(self._waiting)

    def ended(self, key: str) -> bool:
        return self._entries[key].state in (State.DONE, State.FAILED)

    def ready(self) -> list[str]:
        """The items that may start now, in the order in which they should."""
        if not self._ranked:
            self._rank()
        return list(self._ready)

    def _is(self, key: str, state: State) -> bool:
        return key in self._entries and self._entries[key].state is state

    def blocked(self) -> dict[str, list[str]]:
        """Waiting items that can never start -> the needs that prevent it."""
        return {key: sorted(self._entries[key].lost) for key in self._blocked}

    def stuck(self) -> list[str]:
        """Items that wait for each other in a circle; none while an item runs, is ready or blocked."""
        if self._running or self._ready or self._blocked or not self._waiting:
            return []
        path: dict[str, int] = {}
        key = next(iter(self._waiting))
        while key not in path:
            path[key] = len(path)
            # Each waits for another waiting item: otherwise it would be ready or blocked.
            key = min(self._entries[key].unmet | self._entries[key].pending)
        return list(path)[path[key] :]


def _dependants_first(dependants: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys, each after all that wait for it; within a circle, in the order in which it is gone round."""
    order: dict[str, None] = {}
    for start in dependants:
        if start in order:
            continue
        path = {start: iter(dependants[start])}
        while path:
            key = next(reversed(path))
            child = next((c for c in path[key] if c not in order and c not in path), None)
            if child is None:
                order[key] = None
                del path[key]
            else:
                path[child] = iter(dependants[child])
    return list(order)
