"""What a run prints while it works, beside a reporter that notes its lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.session import live
from pytest_cobbler.session.live import LiveView
from pytest_cobbler.story.events import Heard
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Phase

START = "2027-01-15T08:00:00+00:00"


class Clock:
    """``time``, as far as the view uses it."""

    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


class Reporter:
    """A reporter in a pipe; its name is not that of pytest's own."""

    hasmarkup = False
    _tw = None

    def __init__(self, verbosity: int = 0) -> None:
        self.verbosity = verbosity
        self.lines: list[str] = []
        """What has arrived at the other end of the pipe."""
        self._buffer: list[str] = []
        self.config = self

    def getoption(self, _name: str, default: str) -> str:
        return default

    def ensure_newline(self) -> None: ...

    def write_line(self, line: str) -> None:
        self._buffer.append(line[9:])

    def flush(self) -> None:
        self.lines += self._buffer
        self._buffer.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


def hear(journal: Heard, event: str, **facts: Any) -> None:
    journal.take(json.dumps({"time": START, "event": event, **facts}))


@pytest.mark.parametrize(("verbosity", "lines"), [(0, 4), (-1, 2), (-2, 0)])
def test_a_run_without_news_says_once_a_minute_that_it_is_alive(
    clock: Clock, tmp_path: Path, verbosity: int, lines: int
) -> None:
    journal, reporter = Heard(), Reporter(verbosity)
    follower = Follower(tmp_path, journal)
    view = LiveView(follower, reporter)
    hear(journal, "run", run="r")
    hear(journal, "claim", task="a")
    hear(journal, "attempt", task="a", attempt=1)
    for _ in range(125):
        clock.now += 1
        view.refresh()
    hear(journal, "queue", task="a")
    clock.now += 1
    view.refresh()
    view.close()
    hear(journal, "not-landed", task="a")
    run = follower.hear()
    told = [line.partition(":")[0] for line in reporter.lines]
    alive = ["still at work"] * 2
    assert told == {0: ["a", *alive, "a"], -1: alive, -2: []}[verbosity]
    assert len(told) == lines
    assert run
    assert run.items["stitch::a"].phase is Phase.BETWEEN, "the story goes on without the view"


def test_without_a_reporter_nothing_is_printed(clock: Clock, tmp_path: Path) -> None:
    journal = Heard()
    view = LiveView(Follower(tmp_path, journal), None)
    hear(journal, "run", run="r")
    hear(journal, "item", key="stitch::a", outcome="failed")
    clock.now += 100
    view.refresh()
    view.before_report("stitch::a")
    view.after_report("stitch::a")
    view.print(["a line"])
    view.close()
    assert view.took("stitch::a") == ""


def test_two_looks_are_not_closer_than_half_a_second_also_if_the_clock_is_set_back(
    clock: Clock, tmp_path: Path
) -> None:
    journal, reporter = Heard(), Reporter()
    view = LiveView(Follower(tmp_path, journal), reporter)
    hear(journal, "run", run="r")
    hear(journal, "claim", task="a")
    hear(journal, "attempt", task="a", attempt=1)
    clock.now += 0.3
    view.refresh()
    assert reporter.lines == []
    clock.now -= 3600
    view.refresh()
    assert reporter.lines == ["a: the agent starts (attempt 1)"]
