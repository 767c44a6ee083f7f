"""trace.json: the runs in the Trace Event Format, which Perfetto and Chrome read.

The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pytest_cobbler.publishing.document import Document, ItemPart, RunPart, SpanPart
from pytest_cobbler.story.model import Phase

__all__ = ["trace"]

Event = dict[str, Any]

_AGENTS: Final = (Phase.STARTING, Phase.AGENT, Phase.CHECKING)
_LANE: Final = {Phase.MERGING: 1, Phase.GATE: 1, Phase.LANDING: 1}
_FIRST_AGENT: Final = 2
"""Thread 1 is the landing lane, and the agents' places follow."""


def trace(document: Document) -> dict[str, Any]:
    """The trace of a document: a process for each run, a thread for the landing lane and for each agent."""
    began = min((run.began for run in document.runs), default=0.0)
    events = [
        event
        for number, run in enumerate(document.runs, 1)
        for event in _events(document, run, number, began)
    ]
    return {
        "displayTimeUnit": "ms",
        "otherData": {"generation": document.generation.name, "began": began},
        "traceEvents": events,
    }


def _events(document: Document, run: RunPart, process: int, began: float) -> Iterator[Event]:
    until = document.made if run.state == "running" else run.ended or run.last
    common = {"pid": process}
    yield {
        **common,
        "name": "process_name",
        "ph": "M",
        "tid": 0,
        "args": {"name": f"run {run.id} ({run.state})"},
    }
    yield {**common, "name": "thread_name", "ph": "M", "tid": 1, "args": {"name": "landing lane"}}
    spans = sorted(
        ((span, item) for item in run.items for span in item.spans), key=lambda pair: pair[0].begin
    )
    free: list[float] = []
    places: dict[str, int] = {}
    changes: list[tuple[float, int]] = []
    for span, item in spans:
        end = until if span.end is None else span.end
        phase = Phase(span.phase)
        if phase in _LANE:
            yield _complete(span, item, common, 1, began, end)
        elif phase in _AGENTS:
            place = _place(free, places.get(item.key), span.begin)
            if place == len(free):
                free.append(end)
                name = {"name": f"agent {place + 1}"}
                yield {**common, "name": "thread_name", "ph": "M", "tid": place + _FIRST_AGENT, "args": name}
            free[place], places[item.key] = end, place
            changes += [(span.begin, 1), (end, -1)]
            yield _complete(span, item, common, place + _FIRST_AGENT, began, end)
    at_work = 0
    for time, change in sorted(changes):
        at_work += change
        yield {
            **common,
            "name": "agents",
            "ph": "C",
            "tid": 0,
            "ts": _micro(time, began),
            "args": {"at work": at_work},
        }


def _place(free: list[float], last: int | None, begin: float) -> int:
    """The agent's place that is free, if possible the one that the item had."""
    if last is not None and free[last] <= begin:
        return last
    return next((place for place, end in enumerate(free) if end <= begin), len(free))


def _complete(span: SpanPart, item: ItemPart, common: Event, thread: int, began: float, end: float) -> Event:
    return {
        **common,
        "name": item.title or item.key,
        "cat": span.phase,
        "ph": "X",
        "tid": thread,
        "ts": _micro(span.begin, began),
        "dur": _micro(end, span.begin),
        "args": {"item": item.key, "phase": span.phase, "attempt": span.attempt, "outcome": item.outcome},
    }


def _micro(time: float, since: float) -> int:
    """Microseconds."""
    return max(0, round((time - since) * 1_000_000))
