"""The collection tree: ``configuration.yaml`` -> ``measure``, ``stitch`` -> items.

Names hold no brackets: ``--lf`` of pytest 9.2 does not find custom items with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from traceback import TracebackException
from typing import Any, Protocol

import pytest

from pytest_cobbler.config import Config
from pytest_cobbler.config.paths import repository_of
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.display import escaped, escaped_lines, quoted
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.session.item import SessionItem
from pytest_cobbler.session.properties import properties_of
from pytest_cobbler.session.titles import labelled
from pytest_cobbler.tracker.base import Task


class SessionState(Protocol):
    """The part of the session that the collection tree uses."""

    @property
    def settings(self) -> Config: ...

    @property
    def open_tasks(self) -> tuple[Task, ...]: ...

    @property
    def generation_name(self) -> str: ...

    def admit(self, measure: MeasureItem) -> None:
        """Make items of the tasks that ``measure`` proposed."""


STATE: pytest.StashKey[SessionState] = pytest.StashKey()
"""The key of the session's state in ``config.stash``."""

_MOST = 20
"""Proposed tasks that are listed; further ones are only counted."""

_FRAMEWORK = re.compile(r"[/\\](_pytest|pluggy)[/\\]")


class TaskFailed(Exception):
    """An item whose work did not land; shown as text, without a traceback."""


class ConfigurationFile(pytest.File):
    """``configuration.yaml`` as the file that holds the items."""

    def collect(self) -> Iterator[pytest.Collector]:
        yield StitchGroup.from_parent(self, name="stitch")
        yield MeasureGroup.from_parent(self, name="measure")


class StitchGroup(pytest.Collector):
    """The tasks that earlier runs left open."""

    def collect(self) -> Iterator[pytest.Item]:
        for task in self.config.stash[STATE].open_tasks:
            yield self.item(task, cycle=0)

    def item(self, task: Task, cycle: int) -> StitchItem:
        return StitchItem.from_parent(self, name=task.id, task=task, cycle=cycle)


class MeasureGroup(pytest.Collector):
    """One item for each cycle."""

    def collect(self) -> Iterator[pytest.Item]:
        for cycle in range(1, self.config.stash[STATE].settings.cycles + 1):
            yield MeasureItem.from_parent(self, name=f"cycle-{cycle}", cycle=cycle)


class AgentItem(SessionItem):
    """An item whose work is done in a thread before its protocol runs."""

    def __init__(self, *, cycle: int, **kw: Any) -> None:
        super().__init__(**kw)
        self.cycle = cycle
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        """The exception that ended the work, if there is no outcome."""

    @property
    def task_id(self) -> str:
        """The task's id; empty for a measure."""
        return ""

    def is_marked_not_to_run(self) -> bool:
        """Whether a hook of the project gave it a mark with which pytest would not run it."""
        skipif = (condition for mark in self.iter_markers("skipif") for condition in mark.args)
        return (
            self.get_closest_marker("skip") is not None
            or any(condition for condition in skipif if not isinstance(condition, str))
            or any(mark.kwargs.get("run") is False for mark in self.iter_markers("xfail"))
        )

    def ended(self, outcome: Outcome) -> None:
        """Take the outcome of the thread. The protocol reports it."""
        self.outcome = outcome
        existing = {name for name, _ in self.user_properties}
        properties = properties_of(
            outcome,
            task_id=self.task_id,
            title=self.title,
            cycle=self.cycle,
            generation=self.config.stash[STATE].generation_name,
            root=repository_of(self.config.stash[STATE].settings.root),
        )
        self.user_properties += [pair for pair in properties if pair[0] not in existing]

    def runtest(self) -> None:
        outcome = self.outcome
        if outcome is None:
            raise CobblerError("not started: another plugin runs the items")
        if outcome.transcript_tail:
            self.add_report_section("call", "stdout transcript", quoted(outcome.transcript_tail))
        if self.error is not None:
            raise self.error
        details = escaped_lines(outcome.details)
        if outcome.verdict is Verdict.FAILED:
            raise TaskFailed("\n".join(part for part in (escaped(outcome.summary), details) if part))
        if details:
            self.add_report_section("call", "stdout notes", details)
        if not outcome.verdict.is_success:
            pytest.skip(escaped(outcome.summary) or str(outcome.verdict))
        self.passed()

    def passed(self) -> None:
        """Act on the success, still inside the item's call."""

    def amend(self, report: pytest.TestReport, outcome: Outcome) -> None:
        """Add the outcome of the work and its time to the report of a phase."""
        if report.when == "call" or (report.when == "setup" and not report.passed):
            report.duration = outcome.record.seconds
            report.start = report.stop - report.duration
        train = f" (train of {outcome.train})" if outcome.train else ""
        landed = f"{str(outcome.verdict).upper()} in {outcome.commit}{train}"
        result = landed if outcome.commit else outcome.summary
        if report.failed and outcome.verdict.is_success:
            report.longrepr = f"{result}; its {report.when} failed:\n{report.longreprtext}"
        elif report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if outcome.verdict.is_success:
                reason = f"{result}; {reason}"
            report.longrepr = (self.location[0], 1, reason)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if self.config.getoption("fulltrace", False):
            return printable(super().repr_failure(excinfo, style))
        if isinstance(excinfo.value, TaskFailed | CobblerError):
            return escaped_lines(str(excinfo.value))
        message = escaped(f"{type(excinfo.value).__name__}: {excinfo.value}")
        return f"{message}\n\n{traced(excinfo.value)}"


def printable(shown: Any) -> Any:
    """What pytest shows of a failure; as plain text if an agent's words in it do not print as they are."""
    text = escaped_lines(str(shown))
    return shown if text == str(shown) else text


def traced(error: BaseException) -> str:
    """The traceback of ``error`` and its causes, without pytest's frames and without values."""
    traceback = TracebackException.from_exception(error)
    link: TracebackException | None = traceback
    while link:
        link.stack[:] = [frame for frame in link.stack if not _FRAMEWORK.search(frame.filename)]
        link = link.__cause__ or link.__context__
    return escaped_lines("".join(traceback.format()))


class MeasureItem(AgentItem):
    """An agent proposes tasks; they become items inside this item's call."""

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self.tasks: tuple[Task, ...] = ()
        self.omitted: tuple[str, ...] = ()
        self.add_marker("cobbler_measure")

    def passed(self) -> None:
        if listed := proposals(self):
            self.add_report_section("call", "stdout proposals", "\n".join(listed))
        self.config.stash[STATE].admit(self)


def proposals(measure: MeasureItem) -> list[str]:
    """The lines that list what a measure proposed; none if it did not come so far."""
    if measure.outcome is None or measure.outcome.verdict is not Verdict.PROPOSED:
        return []
    listed = [f"  {labelled(task.id, escaped(task.title))}" for task in measure.tasks[:_MOST]]
    more = [f"  and {len(measure.tasks) - _MOST} more"] if len(measure.tasks) > _MOST else []
    return [f"{measure.name}: {len(measure.tasks)} proposed", *listed, *more]


class StitchItem(AgentItem):
    """An agent does a task."""

    def __init__(self, *, task: Task, **kw: Any) -> None:
        super().__init__(**kw)
        self.task = task
        self.extra_keyword_matches.add(task.title)
        self.add_marker(pytest.mark.cobbler_stitch(task=task.id))

    def __repr__(self) -> str:
        needs = f", needs {' '.join(self.task.needs)}" if self.task.needs else ""
        return f"<{type(self).__name__} {self.name}: {self.title}{needs}>"

    @property
    def title(self) -> str:
        return escaped(self.task.title)

    @property
    def task_id(self) -> str:
        return self.task.id


class Placeholder(AgentItem):
    """The ``nextitem`` while the next item is not known yet: it keeps the parents set up."""

    def runtest(self) -> None:
        raise AssertionError("never run")
