"""How long tasks will probably take, so that the longest chain of tasks starts first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from pytest_cobbler.lifecycle.records import read_records
from pytest_cobbler.tracker.base import Task

__all__ = ["Efforts"]

_MINUTE = 60.0
_USUAL = 300.0
"""Seconds of the median task if no time is known. The order does not depend on it."""

_STEPS = 3
"""A description of twice the median size is a step; so many count. A smaller difference says nothing."""


class Efforts:
    """What the tasks of a tracker will probably take.

    A task takes its estimate (bd: ``estimated_minutes``), corrected by what earlier tasks took in comparison
    with theirs. A task without an estimate takes as long as the median task, or more or less by the size of
    its description, in which files and criteria are named: 1.4 times as long if it has twice the size.
    """

    def __init__(
        self, tasks: Iterable[Task] = (), comments: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Learn from ``tasks``, open or not, and from the records of those that landed (id -> comments)."""
        known = {task.id: task for task in tasks}
        took = _took(known, comments or {})
        estimates = [task.minutes * _MINUTE for task in known.values() if task.minutes]
        compared = [took[name] / (known[name].minutes * _MINUTE) for name in took if known[name].minutes]
        self._correction = _correction(compared, list(took.values()), estimates)
        usual = [*took.values()] or [seconds * self._correction for seconds in estimates]
        self.are_known = bool(usual)
        """Whether they follow from any estimate or time; the order of tasks needs no such knowledge."""
        self._median = statistics.median(usual or [_USUAL])
        described = [known[name] for name in took] or list(known.values())
        sizes = [len(task.description) for task in described if task.description]
        self._median_size = statistics.median(sizes or [1])

    def of(self, task: Task) -> float:
        """The seconds of agent and gate that ``task`` will probably take; positive."""
        if task.minutes:
            return task.minutes * _MINUTE * self._correction
        if not task.description:
            return self._median
        steps = round(math.log2(len(task.description) / self._median_size))
        return self._median * math.sqrt(2.0 ** min(max(steps, -_STEPS), _STEPS))


def _took(known: Mapping[str, Task], comments: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Id of a task that landed -> the seconds of all its attempts in the run that landed it."""
    took = {}
    for name in comments.keys() & known.keys():
        for record in read_records(name, comments[name]):
            if record.caller != "measure" and record.commit and record.usage.seconds:
                took[name] = record.usage.seconds
    return took


def _correction(compared: Sequence[float], took: Sequence[float], estimates: Sequence[float]) -> float:
    """What to multiply an estimate with."""
    if compared:
        return statistics.median(compared)
    if took and estimates:
        return statistics.median(took) / statistics.median(estimates)
    return 1.0
