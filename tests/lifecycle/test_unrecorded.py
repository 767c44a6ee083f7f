"""What agents used without a record in the tracker is found in the journal."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_cobbler.lifecycle.unrecorded import unrecorded

Event = dict[str, object]


def used(cost: float) -> Event:
    return {"seconds": 2.0, "usage": {"attempts": 1, "cost_usd": cost, "tokens": {}}}


def measure(cost: float, number: int = 1) -> list[Event]:
    return [
        {"event": "measure", "item": "cycle-1", "attempt": number},
        {"event": "measured", "item": "cycle-1", "attempt": number, **used(cost)},
    ]


def attempt(task: str, cost: float, cause: str = "gate", number: int = 1) -> list[Event]:
    return [
        {"event": "attempt", "task": task, "attempt": number},
        {"event": "agent", "task": task, "attempt": number, **used(cost)},
        {"event": "attempt-end", "task": task, "attempt": number, "cause": cause},
    ]


def ended(key: str, outcome: str) -> Event:
    return {"event": "item", "key": key, "outcome": outcome}


def found(
    tmp_path: Path, *runs: list[Event]
) -> list[tuple[str, str, float | None, float | None, float | None]]:
    """Task, caller, cost, the part of it that came to nothing, and seconds of each record."""
    events: list[Event] = []
    for run in runs:
        events += [{"event": "run", "run": "r"}, *run]
    journal = tmp_path / "journal.jsonl"
    lines = (
        json.dumps({"time": f"2026-11-29T10:00:{n:02}Z"} | event, ensure_ascii=False)
        for n, event in enumerate(events)
    )
    journal.write_text("".join(f"{line}\n" for line in lines))
    records = [one for one in unrecorded(journal, "generation-1") if one.usage.attempts]
    assert all((one.generation, one.commit) == ("generation-1", "") for one in records)
    return [(r.task, r.caller, r.usage.cost_usd, r.earlier.cost_usd, r.usage.seconds) for r in records]


END: Event = {"event": "end", "exit": 0}


def test_a_measure_that_failed_or_proposed_nothing_has_no_record(tmp_path: Path) -> None:
    failed: list[Event] = [*measure(1.0), *measure(2.0, 2), ended("measure::cycle-1", "failed"), END]
    nothing: list[Event] = [
        *measure(4.0),
        {"event": "proposed", "item": "cycle-1"},
        ended("measure::cycle-1", "proposed"),
        END,
    ]
    assert found(tmp_path, failed, nothing) == [
        ("cycle-1", "measure", 3.0, 3.0, 4.0),
        ("cycle-1", "measure", 4.0, 0.0, 2.0),
    ]


def test_a_measure_that_created_tasks_and_items_that_ended_have_one(tmp_path: Path) -> None:
    run: list[Event] = [
        *measure(1.0),
        {"event": "proposed", "item": "cycle-1", "tasks": ["a"]},
        ended("measure::cycle-1", "proposed"),
        {"event": "claim", "task": "a"},
        *attempt("a", 2.0),
        ended("stitch::a", "failed"),
    ]
    assert found(tmp_path, [*run, END], run) == []


def test_an_attempt_that_failed_before_its_run_was_killed_has_none(tmp_path: Path) -> None:
    run: list[Event] = [
        {"event": "claim", "task": "a"},
        *attempt("a", 0.5),
        *attempt("a", 8.0, cause="", number=2),  # it was at work: the next run counts it
        {"event": "claim", "task": "b"},
        *attempt("b", 0.25),
        ended("stitch::b", "failed"),
    ]
    assert found(tmp_path, run, [END]) == [("a", "stitch", 0.5, 0.0, 2.0)]


def test_there_may_be_no_journal(tmp_path: Path) -> None:
    assert list(unrecorded(tmp_path / "none.jsonl", "generation-1")) == []
