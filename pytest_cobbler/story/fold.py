"""The one fold over the events of a journal: each event changes the story."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pytest_cobbler.agents.values import blocks_of, number_of, object_of, text_of
from pytest_cobbler.causes import Cause
from pytest_cobbler.story.events import Event, read_events, time_of
from pytest_cobbler.story.model import Attempt, GateRun, Item, Phase, Run, Span, Story
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["fold", "read_story", "take"]


def read_story(journal: Path) -> Story:
    """The story that a journal tells. No content of the file is an error."""
    return fold(read_events(journal))


def fold(events: Iterable[Event]) -> Story:
    """The story of all ``events``."""
    story = Story()
    for event in events:
        take(story, event)
    return story


def take(story: Story, event: Event) -> None:
    """Add one event to the story. Unknown events, and facts of the wrong type, change nothing."""
    time, name = time_of(event), text_of(event, "event")
    if time is None:
        return
    if name == "run":
        _begin_run(story, event, time)
    run = story.run
    if run is None or run.is_over:
        return
    run.last = max(run.last, time)
    if (of_run := _OF_RUN.get(name)) is not None:
        of_run(run, event, time)
    elif (of_item := _OF_ITEMS.get(name)) is not None:
        key = _key_of(event)
        item = run.items.get(key)
        if item is None and name in _FIRST:
            item = run.items[key] = Item(key=key)
        if item is not None:
            item.names_agents = run.has_agents
            of_item(item, event, time)


def _key_of(event: Event) -> str:
    if task := text_of(event, "task"):
        return f"stitch::{task}"
    return f"measure::{text_of(event, 'item')}"


# -- events of a run


def _begin_run(story: Story, event: Event, time: float) -> None:
    if story.run:
        _close(story.run)
    facts = {name: value for name, value in event.items() if name not in ("time", "event")}
    run = Run(id=text_of(event, "run"), began=time, last=time, tip=text_of(event, "tip"), facts=facts)
    story.runs.append(run)


def _close(run: Run) -> None:
    """End everything that a run left open: it has ended, or it was killed after its last event."""
    run.is_over = True
    for item in run.items.values():
        for span in item.spans[-1:]:
            span.end = span.end or run.last


def _end_run(run: Run, event: Event, time: float) -> None:
    run.ended = time
    run.exit = int(number_of(event, "exit") or 0)
    _close(run)


def _plan(run: Run, event: Event, time: float) -> None:
    for planned in blocks_of(event.get("items")):
        key = text_of(planned, "key")
        item = run.items.setdefault(key, Item(key=key))
        item.title = text_of(planned, "title")
        item.needs = _texts(planned.get("needs"))
        item.effort = number_of(planned, "effort")
        if not item.spans:
            _enter(item, Phase.WAITING, time)


def _note_session(run: Run, event: Event, _time: float) -> None:
    facts = {name: value for name, value in event.items() if name not in ("time", "event")}
    run.facts = {**run.facts, **facts}


def _note_recovery(run: Run, event: Event, _time: float) -> None:
    run.recovered.append(text_of(event, "what"))


def _note_api(run: Run, event: Event, _time: float) -> None:
    run.api = text_of(event, "waits")


def _end_item(run: Run, event: Event, time: float) -> None:
    """The report of an item, right after its landing or release."""
    key = text_of(event, "key")
    item = run.items.setdefault(key, Item(key=key))
    _end(item, time, text_of(event, "outcome"), text_of(event, "summary"))
    item.cause = Cause.parse(word) if (word := text_of(event, "cause")) else Cause.NONE
    item.commit = item.commit or text_of(event, "commit")


# -- events of an item


def _enter(item: Item, phase: Phase, time: float) -> None:
    """Leave the current phase for another one."""
    attempt = item.attempt.number if item.attempt else 0
    _leave(item, time)
    item.spans.append(Span(phase=phase, begin=time, attempt=attempt))


def _leave(item: Item, time: float) -> None:
    for span in item.spans[-1:]:
        span.end = max(time, span.begin) if span.end is None else span.end


def _end(item: Item, time: float, outcome: str, summary: str = "") -> None:
    _leave(item, time)
    item.ended = time if item.ended is None else item.ended
    item.outcome = outcome or item.outcome
    item.summary = summary or item.summary


def _claim(item: Item, _event: Event, time: float) -> None:
    _enter(item, Phase.STARTING, time)


def _begin_attempt(item: Item, event: Event, time: float) -> None:
    number = int(number_of(event, "attempt") or 0)
    agent, worktree, node = (text_of(event, name) for name in ("agent", "worktree", "node"))
    item.attempts.append(Attempt(number=number, begin=time, agent=agent, worktree=worktree, node=node))
    _enter(item, Phase.AGENT, time)


def _end_agent(item: Item, event: Event, time: float) -> None:
    if item.attempt:
        item.attempt.seconds = number_of(event, "seconds")
        item.attempt.error = text_of(event, "error")
        item.attempt.usage = _usage_of(event)
    _enter(item, Phase.CHECKING, time)


def _end_measure(item: Item, event: Event, time: float) -> None:
    _end_agent(item, event, time)
    if item.attempt:
        item.attempt.summary = item.attempt.error


def _spend(item: Item, event: Event, _time: float) -> None:
    if item.attempt:
        item.attempt.charged += max(0.0, number_of(event, "usd") or 0.0)


def _harvest(item: Item, event: Event, _time: float) -> None:
    if item.attempt:
        item.attempt.files = int(number_of(event, "files") or 0)
        item.attempt.notes = _texts(event.get("notes"))


def _end_attempt(item: Item, event: Event, time: float) -> None:
    """The end of an agent's work, before its landing. Without a cause, it will be queued."""
    cause = Cause.parse(word) if (word := text_of(event, "cause")) else Cause.NONE
    if item.attempt:
        item.attempt.cause, item.attempt.summary = cause, text_of(event, "summary")
    if cause:
        _enter(item, Phase.BETWEEN, time)


def _queue(item: Item, _event: Event, time: float) -> None:
    _enter(item, Phase.QUEUED, time)


def _enter_lane(item: Item, _event: Event, time: float) -> None:
    _enter(item, Phase.MERGING, time)


def _merge(item: Item, event: Event, time: float) -> None:
    if item.attempt:
        item.attempt.conflicts = _texts(event.get("conflicts"))
    _enter(item, Phase.GATE, time)


def _gate(item: Item, event: Event, time: float) -> None:
    if item.attempt:
        gate = GateRun(
            tree=text_of(event, "tree"),
            passed=event.get("passed") is True,
            summary=text_of(event, "summary"),
            seconds=number_of(event, "seconds") or 0.0,
            tests=text_of(event, "tests"),
            ended=time,
        )
        item.attempt.gates.append(gate)
    _enter(item, Phase.LANDING, time)


def _land(item: Item, event: Event, time: float) -> None:
    item.commit = text_of(event, "commit")
    if item.attempt:
        item.attempt.commit, item.attempt.cause = item.commit, Cause.NONE
    _end(item, time, "landed")


def _fail_to_land(item: Item, event: Event, time: float) -> None:
    if item.attempt:
        item.attempt.cause = Cause.parse(text_of(event, "cause"))
        gates = item.attempt.gates
        item.attempt.summary = text_of(event, "summary") or (gates[-1].summary if gates else "")
    _enter(item, Phase.BETWEEN, time)


def _keep(item: Item, event: Event, _time: float) -> None:
    if item.attempt and item.attempt.number == number_of(event, "attempt"):
        item.attempt.kept = text_of(event, "ref")


def _release(item: Item, event: Event, time: float) -> None:
    _end(item, time, text_of(event, "outcome"), text_of(event, "summary"))


def _propose(item: Item, event: Event, time: float) -> None:
    item.proposed = _texts(event.get("tasks"))
    _end(item, time, "proposed")


def _usage_of(event: Event) -> Usage:
    usage = object_of(event.get("usage"))
    if not usage:
        return NOTHING
    try:
        turns = int(number_of(usage, "turns") or 0)
        return replace(Usage.from_json(usage), attempts=1, turns=turns, model=text_of(usage, "model"))
    except ValueError:
        return NOTHING


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list | tuple) else ()


_OF_RUN: Final[Mapping[str, Callable[[Run, Event, float], None]]] = MappingProxyType(
    {
        "session": _note_session,
        "plan": _plan,
        "recovered": _note_recovery,
        "api": _note_api,
        "item": _end_item,
        "end": _end_run,
    }
)
_OF_ITEMS: Final[Mapping[str, Callable[[Item, Event, float], None]]] = MappingProxyType(
    {
        "claim": _claim,
        "attempt": _begin_attempt,
        "measure": _begin_attempt,
        "spent": _spend,
        "agent": _end_agent,
        "measured": _end_measure,
        "harvest": _harvest,
        "attempt-end": _end_attempt,
        "queue": _queue,
        "lane": _enter_lane,
        "merge": _merge,
        "gate": _gate,
        "land": _land,
        "not-landed": _fail_to_land,
        "keep": _keep,
        "release": _release,
        "proposed": _propose,
    }
)
_FIRST: Final = ("claim", "measure")
"""The events with which an item may begin that was not planned: those of earlier versions were not."""
