"""The lines on the events of a run, for a pipe and for CI."""

from __future__ import annotations

import json
import os
import pty
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.story.events import Event
from pytest_cobbler.story.fold import take
from pytest_cobbler.story.following import Doing
from pytest_cobbler.story.model import Attempt, Story
from pytest_cobbler.view.news import alive, ending, news
from pytest_cobbler.view.terminals import can_move_cursor
from pytest_cobbler.view.unfolding import last_lines
from pytest_cobbler.view.words import shown_seconds, spent_by, wrapped

USAGE = {"cost_usd": 0.25, "tokens": {"output": 5}}
EVENTS: tuple[tuple[str, Mapping[str, Any], str], ...] = (
    ("run", {"run": "r", "limits": {"budget_usd": 2.0}}, ""),
    ("plan", {"items": [{"key": "stitch::a", "title": "::error::Read"}]}, ""),
    ("claim", {"task": "a"}, ""),
    ("attempt", {"task": "a", "attempt": 1}, "a \\x3a:error::Read: the agent starts (attempt 1)"),
    ("claim", {"task": "n"}, ""),
    ("attempt", {"task": "n", "attempt": 1, "node": "n\n1"}, "n: the agent starts on n 1 (attempt 1)"),
    ("spent", {"task": "a", "usd": 0.2}, ""),
    (
        "agent",
        {"task": "a", "seconds": 90.5, "usage": USAGE},
        "a \\x3a:error::Read: the agent has ended after 1m30s, 0.25 USD",
    ),
    ("attempt-end", {"task": "a"}, ""),
    ("queue", {"task": "a"}, "a \\x3a:error::Read: waits to land"),
    ("lane", {"task": "a"}, ""),
    ("merge", {"task": "a"}, "a \\x3a:error::Read: in the gate"),
    (
        "gate",
        {"task": "a", "passed": False, "seconds": 7.0, "summary": "test failed\n\x1b[1m"},
        r"a \x3a:error::Read: the gate has failed after 7s: test failed \x1b[1m",
    ),
    ("not-landed", {"task": "a", "cause": "gate", "summary": "gate: test failed\n\x1b[1m"}, ""),
    (
        "not-landed",
        {"task": "a", "cause": "gate", "summary": "gate: TestAdd; test failed"},
        "a \\x3a:error::Read: attempt 1 did not land: gate: TestAdd; test failed",
    ),
    (
        "gate",
        {"task": "a", "passed": False, "seconds": 5.0, "summary": "test was cancelled"},
        r"a \x3a:error::Read: the gate was cancelled after 5s",
    ),
    ("merge", {"task": "a", "conflicts": ["notes.md"]}, ""),
    (
        "merge",
        {"task": "a", "settled": ["a\nb", "c"]},
        r"a \x3a:error::Read: in the gate, merged by merge_driver: a b, c",
    ),
    ("claim", {"task": "kept"}, ""),
    (
        "not-landed",
        {"task": "kept", "attempt": 2, "cause": "conflict", "summary": "conflict with the tip in notes.md"},
        "kept: attempt 2 did not land: conflict with the tip in notes.md",
    ),
    (
        "item",
        {"key": "stitch::a", "outcome": "failed", "summary": "gate: test failed"},
        "FAILED a \\x3a:error::Read (0s, 0.25 USD): gate: test failed",
    ),
    (
        "item",
        {"key": "stitch::b", "outcome": "blocked", "summary": "blocked by a"},
        "BLOCKED b: blocked by a",
    ),
    ("measure", {"item": "cycle-1", "attempt": 4}, "cycle-1: the agent starts (attempt 1)"),
    (
        "measured",
        {"item": "cycle-1", "seconds": 1, "error": "agent: no\n"},
        "cycle-1: the agent has ended after 1s: agent: no",
    ),
    ("proposed", {"item": "cycle-1", "tasks": ["x"]}, "cycle-1: 1 task proposed"),
    ("unknown", {"task": "a"}, ""),
)


def test_each_event_has_a_line_that_begins_with_its_time() -> None:
    story, moment = Story(), "2027-01-15T08:00:00+00:00"
    for name, facts, words in EVENTS:
        event: Event = {"time": moment, "event": name, **facts}
        take(story, event)
        assert story.run is not None
        line = news(event, story.run)
        assert line[9:] == words
        assert not line or re.match(r"\d\d:\d\d:\d\d ", line)


def story_of(*events: tuple[str, Mapping[str, Any]], age: float = 0.0) -> Story:
    story = Story()
    moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - age))
    for name, facts in events:
        take(story, {"time": moment, "event": name, **facts})
    return story


def test_a_run_without_news_says_what_it_is_at() -> None:
    begins = [("attempt", {"task": f"t-{number}", "attempt": 1}) for number in range(6)]
    claims = [("claim", {"task": f"t-{number}"}) for number in range(6)]
    run = story_of(("run", {"run": "r"}), *claims, *begins, age=75).run
    assert run is not None
    make = Doing(step="Bash make", noticed=0)
    line = alive(run, lambda item: make if item.name == "t-0" else None, time.time())
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d still at work: 1m1\ds, 6 running, 0 landed, 0 waiting: "
        r"t-0 \(agent, 1m1\ds, Bash make\); t-1 \(agent, 1m1\ds\); .*; 2 more",
        line,
    )


def failed(tmp_path: Path, *more: tuple[str, Mapping[str, Any]]) -> list[str]:
    run = story_of(
        ("run", {"run": "r"}),
        ("claim", {"task": "a"}),
        ("attempt", {"task": "a", "attempt": 3}),
        *more,
        ("item", {"key": "stitch::a", "outcome": "failed"}),
    ).run
    assert run is not None
    return last_lines(tmp_path, run.items["stitch::a"])


def test_the_last_lines_of_a_red_gate_are_those_of_its_log(tmp_path: Path) -> None:
    place = tmp_path / "attempts" / "a" / "3"
    place.mkdir(parents=True)
    noise = "\n".join(f"ok {number}" for number in range(100))
    (place / "gate.log").write_text(f"{noise}\n::error::E assert 1 == 2\n##[add-mask]x\x1b[2J\n", "utf-8")
    lines = failed(tmp_path, ("merge", {"task": "a"}), ("gate", {"task": "a", "passed": False}))
    assert len(lines) <= 8
    assert lines[-2:] == [r"  | \x3a:error::E assert 1 == 2", r"  | \x23#[add-mask]x"]


def test_the_last_lines_of_an_agent_are_its_errors_or_its_last_steps(tmp_path: Path) -> None:
    place = tmp_path / "attempts" / "a" / "3"
    place.mkdir(parents=True)
    assert failed(tmp_path) == []
    block = {"type": "tool_use", "name": "Bash", "input": {"command": "make"}}
    message = {"type": "assistant", "message": {"id": "m", "content": [block]}}
    (place / "transcript.jsonl").write_text(json.dumps(message) + "\nend\n", "utf-8")
    assert failed(tmp_path) == ["  | Bash make", "  | end"]
    (place / "stderr.txt").write_text("it broke\n", "utf-8")
    assert failed(tmp_path) == ["  | it broke"]


def test_times_and_amounts_are_short() -> None:
    assert [shown_seconds(s) for s in (-1, 0, 59.9, 60, 3599, 3600, 100_000)] == [
        *("0s", "0s", "59s", "1m00s", "59m59s", "1h00m", "27h46m"),
    ]
    attempts = [Attempt(number=1, begin=0.0, charged=usd) for usd in (0, 0.00123, 0.0999, 0.1, 12.345)]
    assert [spent_by(one) for one in attempts] == ["", "0.0012", "0.0999", "0.10", "12.35"]


def test_nothing_is_lost_when_a_text_is_wrapped() -> None:
    assert wrapped("資料abc", 3) == ["資", "料a", "bc"]
    assert wrapped("", 3) == [""]
    assert wrapped("資", 1) == ["資", ""]


@pytest.mark.parametrize(
    ("environment", "can"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": ""}, False),
        ({"CI": "true"}, False),
        ({"BUILD_NUMBER": "1"}, False),
    ],
)
def test_a_block_needs_a_terminal_at_which_a_person_looks(
    environment: Mapping[str, str], can: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"TERM": "xterm", "CI": "", "BUILD_NUMBER": "", **environment}.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal, (tmp_path / "file").open("w", encoding="utf-8") as file:
        assert (can_move_cursor(terminal), can_move_cursor(file)) == (can, False)
    os.close(ours)


def test_the_end_of_an_item_that_never_began_has_no_time() -> None:
    run = story_of(("run", {"run": "r"}), ("item", {"key": "stitch::b", "outcome": "cancelled"})).run
    assert run is not None
    assert ending(run.items["stitch::b"]) == "CANCELLED b"
