"""The steps of a run, for every part that records them: journal, recording, live views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.causes import Cause
from pytest_cobbler.report.journal import Journal
from pytest_cobbler.report.log import EventLog
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import Usage

__all__ = [
    "AttemptEnd",
    "ItemEnd",
    "JournalListener",
    "LandingFailure",
    "Listeners",
    "LogListener",
    "MeasureEnd",
    "PlannedItem",
    "RunListener",
]


@dataclass(frozen=True, kw_only=True)
class PlannedItem:
    """An item that a run will do: ``stitch::ID`` or ``measure::NAME``, as its node id has it.

    ``needs`` are the keys of the items that have to land first. ``effort`` are the seconds that it will
    probably take; ``None`` if that is unknown.
    """

    key: str
    title: str = ""
    needs: tuple[str, ...] = ()
    effort: float | None = None


@dataclass(frozen=True, kw_only=True)
class ItemEnd:
    """The end of an item, as it is reported. ``cause`` is empty after a success."""

    key: str
    outcome: str
    cause: Cause = Cause.NONE
    summary: str = ""
    commit: str = ""


@dataclass(frozen=True, kw_only=True)
class AttemptEnd:
    """The end of an attempt at a task, before its landing.

    ``commit`` holds the work, if it could be imported. The attempt started from ``tree``; ``marked`` are the
    files in which we had left conflict markers. ``cause`` and ``summary`` are empty if the work may land.
    """

    request: AgentRequest
    result: AgentResult
    tree: str
    marked: tuple[str, ...] = ()
    commit: str = ""
    cause: Cause = Cause.NONE
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class MeasureEnd:
    """The end of an agent that was asked for tasks: its answer, or why its answer is not kept."""

    request: AgentRequest
    number: int
    result: AgentResult
    answer: bytes | None = None
    withheld: str = ""


@dataclass(frozen=True, kw_only=True)
class LandingFailure:
    """The landing of an attempt at a task failed."""

    task: Task
    number: int
    cause: Cause
    summary: str = ""


class RunListener:
    """Called at each step of a run, by the thread that took the step. The methods here do nothing.

    A listener must not raise: it reports what it cannot write in ``failures``. Attempts are numbered over all
    runs of a generation.
    """

    def failures(self) -> list[str]:
        """What could not be written, one line for each failure."""
        return []

    def planned(self, items: Sequence[PlannedItem]) -> None:
        """The run will do these items, beside those that it has planned before."""

    def item_ended(self, end: ItemEnd) -> None:
        """An item is about to be reported."""

    def claimed(self, task_id: str) -> None:
        """The run has taken a task."""

    def attempt_begins(self, request: AgentRequest) -> None:
        """An attempt is about to use its number; none of its files exist yet."""

    def agent_starts(self, request: AgentRequest, number: int, parent: str) -> None:
        """The prompt is on the disk, and the agent starts. Its worktree was made from ``parent``."""

    def spent(self, key: str, usd: float) -> None:
        """The agent of an item has spent so many US dollars more."""

    def waits_for_api(self, what: str) -> None:
        """New agents wait for the API, as ``what`` describes; empty: they wait no more."""

    def agent_ended(self, request: AgentRequest, number: int, result: AgentResult) -> None:
        """An agent has ended, successfully or not; its work has not been read yet."""

    def harvested(self, task_id: str, number: int, files: int, notes: Sequence[str]) -> None:
        """The work on a task was taken out of its worktree."""

    def attempt_ended(self, end: AttemptEnd) -> None:
        """The attempt has ended: its work may land or not."""

    def queued(self, task_id: str, number: int) -> None:
        """The work of an attempt, perhaps one of an earlier run, waits for the landing lane."""

    def lane_entered(self, task_id: str) -> None:
        """The landing lane has begun with the work."""

    def merged(self, task_id: str, merge: Merge) -> None:
        """The work was merged with the tip, as git objects only."""

    def gated(
        self, task_id: str, tree: str, *, passed: bool, summary: str, seconds: float, tests: str
    ) -> None:
        """The gate has run on a merged tree; ``tests`` are the tests that ran, for people."""

    def landed(self, task_id: str, commit: str) -> None:
        """The generation branch was moved to the commit of a task."""

    def not_landed(self, failure: LandingFailure) -> None:
        """The landing of an attempt failed."""

    def kept(self, task_id: str, number: int, ref: str, cause: Cause) -> None:
        """Work that did not land was kept."""

    def ref_moved(self, task_id: str, ref: str) -> None:
        """One of our refs was not deleted, because another process has moved it."""

    def closed(self, task_id: str, commit: str) -> None:
        """The close of a landed task was handed to the tracker."""

    def released(self, task_id: str, verdict: str, summary: str) -> None:
        """The release of a task that did not land was handed to the tracker."""

    def measure_ended(self, end: MeasureEnd) -> None:
        """The agent of a measure has ended."""

    def proposed(self, name: str, task_ids: Sequence[str], omitted: Sequence[str]) -> None:
        """A measure has created tasks; ``omitted`` are titles beyond the limit."""


class Listeners(RunListener):
    """Several listeners as one; each is called in turn."""

    def __init__(self, listeners: Iterable[RunListener]) -> None:
        self._listeners = tuple(listeners)

    def failures(self) -> list[str]:
        return [failure for listener in self._listeners for failure in listener.failures()]

    def planned(self, items: Sequence[PlannedItem]) -> None:
        for listener in self._listeners:
            listener.planned(items)

    def item_ended(self, end: ItemEnd) -> None:
        for listener in self._listeners:
            listener.item_ended(end)

    def claimed(self, task_id: str) -> None:
        for listener in self._listeners:
            listener.claimed(task_id)

    def attempt_begins(self, request: AgentRequest) -> None:
        for listener in self._listeners:
            listener.attempt_begins(request)

    def agent_starts(self, request: AgentRequest, number: int, parent: str) -> None:
        for listener in self._listeners:
            listener.agent_starts(request, number, parent)

    def spent(self, key: str, usd: float) -> None:
        for listener in self._listeners:
            listener.spent(key, usd)

    def waits_for_api(self, what: str) -> None:
        for listener in self._listeners:
            listener.waits_for_api(what)

    def agent_ended(self, request: AgentRequest, number: int, result: AgentResult) -> None:
        for listener in self._listeners:
            listener.agent_ended(request, number, result)

    def harvested(self, task_id: str, number: int, files: int, notes: Sequence[str]) -> None:
        for listener in self._listeners:
            listener.harvested(task_id, number, files, notes)

    def attempt_ended(self, end: AttemptEnd) -> None:
        for listener in self._listeners:
            listener.attempt_ended(end)

    def queued(self, task_id: str, number: int) -> None:
        for listener in self._listeners:
            listener.queued(task_id, number)

    def lane_entered(self, task_id: str) -> None:
        for listener in self._listeners:
            listener.lane_entered(task_id)

    def merged(self, task_id: str, merge: Merge) -> None:
        for listener in self._listeners:
            listener.merged(task_id, merge)

    def gated(
        self, task_id: str, tree: str, *, passed: bool, summary: str, seconds: float, tests: str
    ) -> None:
        for listener in self._listeners:
            listener.gated(task_id, tree, passed=passed, summary=summary, seconds=seconds, tests=tests)

    def landed(self, task_id: str, commit: str) -> None:
        for listener in self._listeners:
            listener.landed(task_id, commit)

    def not_landed(self, failure: LandingFailure) -> None:
        for listener in self._listeners:
            listener.not_landed(failure)

    def kept(self, task_id: str, number: int, ref: str, cause: Cause) -> None:
        for listener in self._listeners:
            listener.kept(task_id, number, ref, cause)

    def ref_moved(self, task_id: str, ref: str) -> None:
        for listener in self._listeners:
            listener.ref_moved(task_id, ref)

    def closed(self, task_id: str, commit: str) -> None:
        for listener in self._listeners:
            listener.closed(task_id, commit)

    def released(self, task_id: str, verdict: str, summary: str) -> None:
        for listener in self._listeners:
            listener.released(task_id, verdict, summary)

    def measure_ended(self, end: MeasureEnd) -> None:
        for listener in self._listeners:
            listener.measure_ended(end)

    def proposed(self, name: str, task_ids: Sequence[str], omitted: Sequence[str]) -> None:
        for listener in self._listeners:
            listener.proposed(name, task_ids, omitted)


class LogListener(RunListener):
    """Writes landings to the log, and reports lines that the log has lost."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def failures(self) -> list[str]:
        return [f"LOG: {self._log.failure}"] if self._log.failure else []

    def landed(self, task_id: str, commit: str) -> None:
        self._log.write("landing", {"item": task_id, "commit": commit})


class JournalListener(RunListener):
    """Writes a line of the journal for each step."""

    def __init__(self, journal: Journal) -> None:
        self._write = journal.write
        self._journal = journal

    def failures(self) -> list[str]:
        return [f"JOURNAL: {self._journal.failure}"] if self._journal.failure else []

    def planned(self, items: Sequence[PlannedItem]) -> None:
        planned = [{name: fact for name, fact in asdict(item).items() if fact} for item in items]
        self._write("plan", items=planned)

    def item_ended(self, end: ItemEnd) -> None:
        self._write("item", **asdict(end))

    def claimed(self, task_id: str) -> None:
        self._write("claim", task=task_id)

    def agent_starts(self, request: AgentRequest, number: int, parent: str) -> None:
        node = {"node": request.node} if request.node else {}
        if request.phase == "measure":
            self._write(
                "measure",
                item=request.task_id,
                attempt=number,
                agent=request.agent,
                worktree=request.location or request.worktree,
                **node,
            )
        else:
            self._write(
                "attempt",
                task=request.task_id,
                attempt=number,
                agent=request.agent,
                worktree=request.location or request.worktree,
                **node,
                parent=parent,
            )

    def spent(self, key: str, usd: float) -> None:
        phase, _, name = key.partition("::")
        self._write("spent", **{"task" if phase == "stitch" else "item": name}, usd=round(usd, 6))

    def waits_for_api(self, what: str) -> None:
        self._write("api", waits=what)

    def agent_ended(self, request: AgentRequest, number: int, result: AgentResult) -> None:
        if request.phase == "stitch":
            self._write("agent", task=request.task_id, attempt=number, **_facts(result))

    def harvested(self, task_id: str, number: int, files: int, notes: Sequence[str]) -> None:
        self._write("harvest", task=task_id, attempt=number, files=files, notes=notes)

    def attempt_ended(self, end: AttemptEnd) -> None:
        request = end.request
        self._write(
            "attempt-end",
            task=request.task_id,
            attempt=request.attempt,
            cause=end.cause,
            summary=end.summary,
        )

    def queued(self, task_id: str, number: int) -> None:
        self._write("queue", task=task_id, attempt=number)

    def lane_entered(self, task_id: str) -> None:
        self._write("lane", task=task_id)

    def merged(self, task_id: str, merge: Merge) -> None:
        facts = {"conflicts": merge.conflicts, "settled": merge.settled}
        self._write("merge", task=task_id, tip=merge.tip, tree=merge.tree, **facts)

    def gated(
        self, task_id: str, tree: str, *, passed: bool, summary: str, seconds: float, tests: str
    ) -> None:
        self._write(
            "gate",
            task=task_id,
            tree=tree,
            passed=passed,
            summary=summary,
            seconds=round(seconds, 3),
            tests=tests,
        )

    def landed(self, task_id: str, commit: str) -> None:
        self._write("land", task=task_id, commit=commit)

    def not_landed(self, failure: LandingFailure) -> None:
        self._write(
            "not-landed",
            task=failure.task.id,
            attempt=failure.number,
            cause=failure.cause,
            summary=failure.summary,
        )

    def kept(self, task_id: str, number: int, ref: str, cause: Cause) -> None:
        self._write("keep", task=task_id, attempt=number, ref=ref, cause=cause)

    def ref_moved(self, task_id: str, ref: str) -> None:
        self._write("moved", task=task_id, ref=ref)

    def closed(self, task_id: str, commit: str) -> None:
        self._write("close", task=task_id, commit=commit)

    def released(self, task_id: str, verdict: str, summary: str) -> None:
        self._write("release", task=task_id, outcome=verdict, summary=summary)

    def measure_ended(self, end: MeasureEnd) -> None:
        self._write("measured", item=end.request.task_id, attempt=end.number, **_facts(end.result))

    def proposed(self, name: str, task_ids: Sequence[str], omitted: Sequence[str]) -> None:
        self._write("proposed", item=name, tasks=task_ids, left=omitted)


def _facts(result: AgentResult) -> dict[str, object]:
    """What the end of an agent says of its time, its money and its error."""
    return {
        "seconds": round(result.completed.seconds, 3),
        "error": result.error,
        "usage": _usage_json(result.usage),
    }


def _usage_json(usage: Usage) -> dict[str, object]:
    return {**usage.to_json(), "turns": usage.turns, "model": usage.model}
