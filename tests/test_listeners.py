"""Every step of a run reaches every listener, and the journal has a line for it."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.listeners import (
    AttemptEnd,
    ItemEnd,
    JournalListener,
    LandingFailure,
    Listeners,
    MeasureEnd,
    PlannedItem,
    RunListener,
)
from pytest_cobbler.report.journal import Journal
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import Usage
from tests.support.workplaces import Workplace

EVENTS = [
    name
    for name, function in inspect.getmembers(RunListener, inspect.isfunction)
    if not name.startswith("_") and name != "failures"
]
RESULT = AgentResult(
    completed=Completed(status=0, cause=Ending.EXITED, seconds=1.25, stderr=""),
    usage=Usage(turns=3, tokens_output=7, cost_usd=0.5, seconds=1.0, model="m"),
)
USAGE = {
    "duration_s": 1.0,
    "attempts": 1,
    "tokens": {"input": 0, "output": 7, "cache_read": 0, "cache_write": 0},
    "cost_usd": 0.5,
    "turns": 3,
    "model": "m",
}


class Told:
    """Stands for a listener of any kind, and notes the ``calls`` of its methods."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...], dict[str, object]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append((name, arguments, named))


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_reaches_every_listener_as_it_was_told(event: str) -> None:
    told = [Told(), Told()]
    parameters = [*inspect.signature(getattr(RunListener, event)).parameters.values()][1:]
    arguments = [object() for one in parameters if one.kind is not one.KEYWORD_ONLY]
    named = {one.name: object() for one in parameters if one.kind is one.KEYWORD_ONLY}
    getattr(Listeners(told), event)(*arguments, **named)  # type: ignore[arg-type]
    assert [one.calls for one in told] == [[(event, tuple(arguments), named)]] * 2


def test_failures_of_all_listeners_are_listed() -> None:
    class Failing(RunListener):
        def failures(self) -> list[str]:
            return ["disk full"]

    assert Listeners([Failing(), RunListener(), Failing()]).failures() == ["disk full"] * 2


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def listener(journal: Path) -> JournalListener:
    return JournalListener(Journal(journal))


def lines(journal: Path) -> list[dict[str, Any]]:
    """The journal without the times."""
    found = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in found:
        del line["time"]
    return found


def test_the_journal_has_a_line_for_each_step_of_a_task(
    journal: Path, listener: JournalListener, tmp_path: Path
) -> None:
    request = Workplace(tmp_path / "place").request()
    listener.claimed("t-1")
    listener.attempt_begins(request)
    listener.agent_starts(request, 2, "abc")
    listener.agent_ended(request, 2, RESULT)
    listener.harvested("t-1", 2, 3, ("removed before harvest: x",))
    listener.attempt_ended(AttemptEnd(request=request, result=RESULT, tree="def"))
    listener.queued("t-1", 2)
    listener.lane_entered("t-1")
    listener.merged("t-1", Merge(tip="abc", tree="def", settled=("x",)))
    listener.gated("t-1", "def", passed=False, summary="test failed (exit 1)", seconds=0.5, tests="1 failed")
    failed = Task(id="t-1", title="Write hello.txt")
    listener.not_landed(LandingFailure(task=failed, number=2, cause=Cause.GATE, summary="gate: test failed"))
    listener.kept("t-1", 2, "refs/cobbler/attempts/g/t-1/2", Cause.GATE)
    listener.released("t-1", "failed", "gate: test failed")
    task = request.task_id
    assert lines(journal) == [
        {"event": "claim", "task": "t-1"},
        {
            "event": "attempt",
            "task": task,
            "attempt": 2,
            "worktree": str(request.worktree),
            "parent": "abc",
        },
        {"event": "agent", "task": task, "attempt": 2, "seconds": 1.25, "usage": USAGE},
        {"event": "harvest", "task": "t-1", "attempt": 2, "files": 3, "notes": ["removed before harvest: x"]},
        {"event": "attempt-end", "task": task, "attempt": request.attempt},
        {"event": "queue", "task": "t-1", "attempt": 2},
        {"event": "lane", "task": "t-1"},
        {"event": "merge", "task": "t-1", "tip": "abc", "tree": "def", "settled": ["x"]},
        {
            "event": "gate",
            "task": "t-1",
            "tree": "def",
            "passed": False,
            "summary": "test failed (exit 1)",
            "seconds": 0.5,
            "tests": "1 failed",
        },
        {
            "event": "not-landed",
            "task": "t-1",
            "attempt": 2,
            "cause": "gate",
            "summary": "gate: test failed",
        },
        {
            "event": "keep",
            "task": "t-1",
            "attempt": 2,
            "ref": "refs/cobbler/attempts/g/t-1/2",
            "cause": "gate",
        },
        {"event": "release", "task": "t-1", "outcome": "failed", "summary": "gate: test failed"},
    ]


def test_the_journal_has_a_line_for_each_step_of_a_measure(
    journal: Path, listener: JournalListener, tmp_path: Path
) -> None:
    request = replace(Workplace(tmp_path / "place").request(), phase="measure", task_id="cycle-1")
    listener.agent_starts(request, 1, "abc")
    listener.agent_ended(request, 1, RESULT)
    listener.measure_ended(MeasureEnd(request=request, number=1, result=replace(RESULT, error="no words")))
    listener.proposed("cycle-1", ["t-1"], ["One too many"])
    assert lines(journal) == [
        {"event": "measure", "item": "cycle-1", "attempt": 1, "worktree": str(request.worktree)},
        {
            "event": "measured",
            "item": "cycle-1",
            "attempt": 1,
            "seconds": 1.25,
            "error": "no words",
            "usage": USAGE,
        },
        {"event": "proposed", "item": "cycle-1", "tasks": ["t-1"], "left": ["One too many"]},
    ]


def test_the_journal_has_the_landing_and_the_close(journal: Path, listener: JournalListener) -> None:
    listener.landed("t-1", "abc")
    listener.ref_moved("t-1", "refs/heads/task/g-t-1")
    listener.closed("t-1", "abc")
    assert lines(journal) == [
        {"event": "land", "task": "t-1", "commit": "abc"},
        {"event": "moved", "task": "t-1", "ref": "refs/heads/task/g-t-1"},
        {"event": "close", "task": "t-1", "commit": "abc"},
    ]


def test_a_journal_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").mkdir()
    listener = JournalListener(Journal(tmp_path / "journal.jsonl"))
    listener.landed("t-1", "abc")
    assert [failure.partition(" ")[0] for failure in listener.failures()] == ["JOURNAL:"]


def test_the_journal_has_the_plan_and_the_end_of_items(journal: Path, listener: JournalListener) -> None:
    second = PlannedItem(key="stitch::b", title="Second", needs=("stitch::a",), effort=60.0)
    listener.planned([PlannedItem(key="stitch::a", title="First"), second])
    listener.item_ended(ItemEnd(key="stitch::b", outcome="blocked", cause=Cause.NEEDS, summary="blocked"))
    assert lines(journal) == [
        {
            "event": "plan",
            "items": [
                {"key": "stitch::a", "title": "First"},
                {"key": "stitch::b", "title": "Second", "needs": ["stitch::a"], "effort": 60.0},
            ],
        },
        {
            "event": "item",
            "key": "stitch::b",
            "outcome": "blocked",
            "cause": "needs",
            "summary": "blocked",
        },
    ]


def test_the_journal_has_what_agents_spend_and_how_long_they_wait(
    journal: Path, listener: JournalListener
) -> None:
    listener.spent("stitch::a", 0.0123456789)
    listener.spent("measure::cycle-1", 2)
    listener.waits_for_api("API error 429")
    listener.waits_for_api("")
    assert lines(journal) == [
        {"event": "spent", "task": "a", "usd": 0.012346},
        {"event": "spent", "item": "cycle-1", "usd": 2},
        {"event": "api", "waits": "API error 429"},
        {"event": "api"},
    ]


def test_a_follower_of_the_journal_gets_each_line_as_it_is_written(journal: Path) -> None:
    written = Journal(journal, lambda text: text.replace("secret", "***"))
    heard: list[str] = []
    written.follow(heard.append)
    written.write("land", task="t-1", commit="a secret")
    assert heard == journal.read_text().splitlines()
    assert "***" in heard[0]
