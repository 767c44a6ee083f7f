"""One line for each event of a run, for a pipe or the log of a CI system, where no block can be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from pytest_cobbler.agents.values import text_of
from pytest_cobbler.causes import Ending
from pytest_cobbler.display import counted, escaped, named, one_line
from pytest_cobbler.story.events import Event, time_of
from pytest_cobbler.story.model import Attempt, Item, Run
from pytest_cobbler.view.lines import DoingOf, run_lines
from pytest_cobbler.view.lines import text_of as text_of_line
from pytest_cobbler.view.words import label_of, shown_seconds, spent_by

__all__ = ["alive", "ending", "news", "timed", "took"]

_MOST: Final = 4
"""Items at work that a line names; further ones are only counted."""
_WIDE: Final = 10_000


def timed(time: float, text: str) -> str:
    """A line with the local time in front."""
    return f"{datetime.fromtimestamp(time):%H:%M:%S} {text}"


def news(event: Event, run: Run) -> str:
    """The line on an event, which the story of ``run`` has taken; empty if it has none."""
    time, name = time_of(event), text_of(event, "event")
    if time is None:
        return ""
    words = _WORDS.get(name)
    item = _item_of(event, run)
    if words is None or item is None:
        return ""
    text = words(event, item)
    return timed(time, f"{label_of(item)}: {text}" if name != "item" else text) if text else ""


def ending(item: Item) -> str:
    """The line on an item that has ended: ``LANDED p-1 Add the store (3m07s, 0.12 USD)``."""
    facts = took(item)
    why = f": {one_line(item.summary)}" if item.summary and item.outcome not in ("landed", "proposed") else ""
    return f"{item.outcome.upper()} {label_of(item)}{f' ({facts})' if facts else ''}{why}"


def took(item: Item) -> str:
    """What an item took: its time, and its money if that is known. Empty if it never began."""
    if item.began is None or item.ended is None:
        return ""
    spent = spent_by(item)
    time = shown_seconds(item.ended - item.began)
    return ", ".join([*map(escaped, item.agents), time, *([f"{spent} USD"] if spent else [])])


def alive(run: Run, doing_of: DoingOf, now: float) -> str:
    """A line on a run that had no news for a while: what is at work, and the state of the run."""
    items = sorted(run.running, key=lambda item: item.began or 0.0)
    parts = []
    for item in items[:_MOST]:
        doing = doing_of(item)
        step = f", {one_line(doing.step)}" if doing and doing.step else ""
        parts.append(f"{label_of(item)} ({item.phase}, {shown_seconds(now - item.since)}{step})")
    if len(items) > _MOST:
        parts.append(f"{len(items) - _MOST} more")
    state = " ".join(map(text_of_line, run_lines(run, now, _WIDE)))
    return timed(now, f"still at work: {state}" + (f": {'; '.join(parts)}" if parts else ""))


def _item_of(event: Event, run: Run) -> Item | None:
    if key := text_of(event, "key"):
        return run.items.get(key)
    task = text_of(event, "task")
    return run.items.get(f"stitch::{task}" if task else f"measure::{text_of(event, 'item')}")


def _begin(_event: Event, item: Item) -> str:
    if item.attempt is None:
        return ""
    where = f" on {one_line(item.attempt.node)}" if item.attempt.node else ""
    return f"{_who(item)} starts{where} (attempt {item.attempt_number})"


def _who(item: Item) -> str:
    return escaped(item.attempt.agent) if item.names_agents and item.attempt else "the agent"


def _agent(_event: Event, item: Item) -> str:
    attempt = item.attempt
    if attempt is None:
        return ""
    seconds = shown_seconds(attempt.seconds or 0.0)
    spent = spent_by(attempt)
    money = f", {spent} USD" if spent else ""
    error = f": {one_line(attempt.error)}" if attempt.error else ""
    return f"{_who(item)} has ended after {seconds}{money}{error}"


def _attempt_end(_event: Event, item: Item) -> str:
    return _failed(item.attempt) if item.attempt and item.attempt.cause else ""


def _merge(event: Event, _item: Item) -> str:
    if event.get("conflicts"):
        return ""  # it keeps the change from the gate; the next line tells that
    settled = event.get("settled")
    files = [one_line(str(path)) for path in settled] if isinstance(settled, list) else []
    return "in the gate" + (f", merged by merge_driver: {named(files)}" if files else "")


def _gate(_event: Event, item: Item) -> str:
    gates = item.attempt.gates if item.attempt else []
    if not gates:
        return ""
    gate = gates[-1]
    if gate.summary.endswith(f" was {Ending.CANCELLED}"):
        return f"the gate was cancelled after {shown_seconds(gate.seconds)}"
    what = gate.tests if gate.passed else gate.summary
    word = "passed" if gate.passed else "failed"
    return f"the gate has {word} after {shown_seconds(gate.seconds)}" + (
        f": {one_line(what)}" if what else ""
    )


def _not_landed(event: Event, item: Item) -> str:
    attempt = item.attempt
    if attempt is None:  # the work of an earlier run
        number, summary = event.get("attempt"), text_of(event, "summary")
        return f"attempt {number} did not land: {one_line(summary)}"
    gates = attempt.gates
    if gates and not gates[-1].passed and attempt.summary == f"gate: {gates[-1].summary}":
        return ""  # the line on the gate has said it
    return _failed(attempt)


def _failed(attempt: Attempt) -> str:
    return f"attempt {attempt.number} did not land: {one_line(attempt.summary)}"


def _proposed(_event: Event, item: Item) -> str:
    return f"{counted(len(item.proposed), 'task')} proposed"


_WORDS: Final[Mapping[str, Callable[[Event, Item], str]]] = MappingProxyType(
    {
        "attempt": _begin,
        "measure": _begin,
        "agent": _agent,
        "measured": _agent,
        "attempt-end": _attempt_end,
        "queue": lambda _event, _item: "waits to land",
        "merge": _merge,
        "gate": _gate,
        "not-landed": _not_landed,
        "proposed": _proposed,
        "item": lambda _event, item: ending(item),
    }
)
