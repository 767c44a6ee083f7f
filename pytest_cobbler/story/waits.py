"""What each item of a run waited for, what it held up, the critical path, and the time that is left."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pytest_cobbler.story.model import Item, Phase, Run

__all__ = ["PathStep", "Wait", "WaitKind", "Waits", "seconds_left"]

_WORK = (Phase.STARTING, Phase.AGENT, Phase.CHECKING, Phase.MERGING, Phase.GATE, Phase.LANDING)
"""The phases that an effort is about: those in which an item does not wait."""

_MOMENT = 0.05
"""Seconds: shorter waits are the work of the run itself."""


class WaitKind(StrEnum):
    """``NEED``: another task had to land; ``SLOT``: all agents' places were taken, or the API served no more;
    ``LANE``: another change was in the landing lane; ``GATE``: its own gate ran."""

    NEED = "need"
    SLOT = "slot"
    LANE = "lane"
    GATE = "gate"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """A time that an item waited. ``on`` is the key of the item that ended it, if it was another one."""

    kind: WaitKind
    begin: float
    end: float
    on: str = ""


@dataclass(frozen=True, kw_only=True)
class PathStep:
    """A part of the critical path: what ``key`` did from ``begin`` to ``end`` held up the end of the run."""

    key: str
    begin: float
    end: float


class Waits:
    """The waits of all items of a run until ``now``, and what follows from them."""

    def __init__(self, run: Run, now: float) -> None:
        self._run = run
        self._now = now
        self._slots = _Departures(run.items.values(), lambda phase: phase.has_slot)
        self._lane = _Departures(run.items.values(), lambda phase: phase.is_in_lane)
        self._waits = {item.key: list(self._waits_of(item)) for item in run.items.values()}

    def of(self, key: str) -> list[Wait]:
        """What an item waited for, in order."""
        return self._waits[key]

    def unblocked(self) -> dict[str, list[str]]:
        """Key -> the keys of the items that went on when that item ended something."""
        found: dict[str, list[str]] = {}
        for key, waits in self._waits.items():
            for on in dict.fromkeys(wait.on for wait in waits if wait.on):
                found.setdefault(on, []).append(key)
        return found

    def critical_path(self) -> list[PathStep]:
        """The steps that held up the end of the run, oldest first: each begins as the one before ends."""
        started = [item for item in self._run.items.values() if item.began is not None]
        if not started:
            return []
        item = max(started, key=lambda one: one.ended or self._now)
        until, steps = item.ended or self._now, list[PathStep]()
        while len(steps) < 2 * len(started):
            held = [wait for wait in self.of(item.key) if wait.on and wait.end <= until]
            begin = held[-1].end if held else item.began or until
            steps.append(PathStep(key=item.key, begin=min(begin, until), end=until))
            if not held:
                break
            item, until = self._run.items[held[-1].on], held[-1].end
        return steps[::-1]

    def _waits_of(self, item: Item) -> Iterator[Wait]:
        yield from self._before_start(item)
        for span in item.spans:
            begin, end = span.begin, span.end or self._now
            if end - begin <= _MOMENT:
                continue
            if span.phase is Phase.BETWEEN and not (span is item.spans[-1] and item.outcome):
                yield Wait(kind=WaitKind.SLOT, begin=begin, end=end, on=self._slots.last(end, item))
            elif span.phase is Phase.QUEUED:
                yield Wait(kind=WaitKind.LANE, begin=begin, end=end, on=self._lane.last(end, item))
            elif span.phase is Phase.GATE:
                yield Wait(kind=WaitKind.GATE, begin=begin, end=end)

    def _before_start(self, item: Item) -> Iterator[Wait]:
        """The wait for needs, then that for a slot."""
        if not item.spans or item.spans[0].phase is not Phase.WAITING:
            return
        begin, end = item.spans[0].begin, item.spans[0].end or self._now
        needs = [self._run.items[need] for need in item.needs if need in self._run.items]
        last = max(needs, key=lambda need: need.ended or self._now, default=None)
        ready = min(max(begin, last.ended or self._now), end) if last else begin
        if last and ready - begin > _MOMENT:
            yield Wait(kind=WaitKind.NEED, begin=begin, end=ready, on=last.key)
        if end - ready > _MOMENT and item.began is not None:
            yield Wait(kind=WaitKind.SLOT, begin=ready, end=end, on=self._slots.last(end, item))


class _Departures:
    """When items left phases in which they held up others, oldest first."""

    def __init__(self, items: Iterable[Item], holds: Callable[[Phase], bool]) -> None:
        self._ends = sorted(
            (span.end, item.key)
            for item in items
            for span in item.spans
            if span.end is not None and holds(span.phase)
        )

    def last(self, end: float, waiting: Item) -> str:
        """The other item that left last before ``end``; empty if there is none."""
        place = bisect_right(self._ends, (end + _MOMENT, chr(0x10FFFF)))
        return next((key for _, key in reversed(self._ends[:place]) if key != waiting.key), "")


def seconds_left(run: Run, now: float) -> float | None:
    """How long the run will probably take: by its longest chain of tasks, and by its places for agents.

    The tasks that this run has landed correct the efforts, and replace those that are unknown. ``None`` if
    there is neither.
    """
    landed = [item for item in run.items.values() if item.outcome == "landed" and item.kind == "stitch"]
    took = {item.key: item.seconds_in(*_WORK, now=now) for item in landed}
    compared = [took[item.key] / item.effort for item in landed if item.effort]
    pace = statistics.median(compared) if compared else 1.0
    usual = statistics.median(took.values()) if took else None
    left: dict[str, float] = {}
    for item in run.items.values():
        if item.outcome or item.kind != "stitch":
            continue
        effort = usual if item.effort is None else item.effort * pace
        if effort is None:
            return None
        left[item.key] = max(0.0, effort - item.seconds_in(*_WORK, now=now))
    chains: dict[str, float] = {}

    def chain(key: str, below: frozenset[str]) -> float:
        if key not in chains:
            needs = [need for need in run.items[key].needs if need in left and need not in below]
            chains[key] = left[key] + max((chain(need, below | {key}) for need in needs), default=0.0)
        return chains[key]

    longest = max((chain(key, frozenset({key})) for key in left), default=0.0)
    return max(longest, sum(left.values()) / run.jobs)
