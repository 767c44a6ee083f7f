"""The session's loop: starts what may start, reports what has ended, stops on request.

The main thread alone touches pytest and the terminal, and waits for nothing but its own queue.
"""

from __future__ import annotations

import functools
import queue
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.measure import Measured, Measuring
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.stitch import Stitching
from pytest_cobbler.display import counted, one_line
from pytest_cobbler.errors import CobblerError, HookProblem
from pytest_cobbler.hooks import call
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.session.limits import RunLimits, cause_of
from pytest_cobbler.session.nodes import (
    AgentItem,
    ConfigurationFile,
    MeasureItem,
    Placeholder,
    StitchItem,
    proposals,
)
from pytest_cobbler.session.status import Running, StatusLine
from pytest_cobbler.session.titles import labelled

if TYPE_CHECKING:
    from pytest_cobbler.cycle.run import Run


_TICK = 0.5
_BACKLOG = 1000
"""Above this number of unread events, steps are dropped; the transcripts have all of them."""
_LONGEST_TITLE = 30
"""Columns of a title in the status line."""
_PATIENCE = 30.0
"""Seconds that threads have to end their agents when the session is aborted."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """A thread has ended."""

    key: str
    result: Outcome | Measured | BaseException
    record: Record


@dataclass(frozen=True)
class Stepped:
    """An agent took a step."""

    key: str
    text: str


@dataclass(frozen=True)
class Woken:
    """Something may be ready now."""


Event = Ended | Stepped | Woken


@dataclass
class Events:
    """The queue of events from the threads to the main thread."""

    _queue: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)

    def put(self, event: Event) -> None:
        self._queue.put(event)

    def offer(self, event: Stepped) -> None:
        """Add a step, unless the main thread is far behind: an agent may take a million steps."""
        if self._queue.qsize() < _BACKLOG:
            self._queue.put(event)

    def wake(self) -> None:
        self._queue.put(Woken())

    def get(self, timeout: float) -> Event | None:
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None


class Work(Protocol):
    """The work of a thread on one item."""

    @property
    def record(self) -> Record: ...

    def __call__(self) -> Outcome | Measured: ...

    def give_slot(self) -> None: ...


class Loop:
    """Runs the items of a session."""

    def __init__(self, session: pytest.Session, run: Run, events: Events, reporter: Any) -> None:
        self._session = session
        self._run = run
        self._events = events
        self._plan = Plan()
        self._items: dict[str, AgentItem] = {}
        self._running: dict[str, float] = {}
        self._steps: dict[str, str] = {}
        self._no_measure = ""
        self._limits = RunLimits(run)
        self._reporter = reporter
        self._status = StatusLine(reporter)
        self._looping = False
        self._hurries = False
        """Whether a second interrupt came: what works is reported before it has ended."""
        self._abandoned: set[str] = set()
        """The items that were reported before they had ended."""
        file = session.items[0].getparent(ConfigurationFile)
        assert file is not None
        self._placeholder = Placeholder.from_parent(file, name="next", cycle=0)
        self._exit: BaseException | None = None
        self.not_selected: list[str] = []
        self.too_late: list[HookProblem] = []
        """The errors of hooks whose items had already been reported."""

    def skip_measures(self, why: str) -> None:
        """Run no further measures."""
        self._no_measure = why

    def add(self, items: list[AgentItem]) -> None:
        """Plan new items. A measure comes after the stitches of all earlier cycles."""
        for item in items:
            self._items[item.key] = item
            if isinstance(item, StitchItem):
                needs = [f"stitch::{need}" for need in item.task.needs if self._is_open(need)]
                task = item.task
                effort = self._run.efforts.of(task)
                self._plan.add(item.key, needs=needs, priority=task.priority, effort=effort, age=task.age)
            else:
                self._plan.add(item.key)
        for key, item in self._items.items():
            if isinstance(item, MeasureItem) and self._plan.state(key) is State.WAITING:
                self._plan.follow(key, [k for k, other in self._items.items() if _comes_before(other, item)])

    def _is_open(self, task_id: str) -> bool:
        return task_id in self._run.open_tasks

    # -- running

    def run(self) -> None:
        """Run every item.

        Raises:
            pytest.Session.Failed, pytest.Session.Interrupted: as pytest's own loop does.
            pytest.exit.Exception: a hook of ours called ``pytest.exit``.
        """
        session = self._session
        self._catch_signals()
        self._looping = True
        try:
            while self._plan.waiting() or self._running:
                self._end_at_limit()
                if session.shouldstop or session.shouldfail:
                    break
                self._step()
            self._end_at_limit()
            if session.shouldstop or session.shouldfail:
                self._stop(str(session.shouldfail or session.shouldstop))
        finally:
            self._looping = False
            self._run.cancellation.cancel()
            self._wait_for_threads()
            self._status.hide()
        if self._exit:
            raise self._exit
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop or self._limits.of_items:
            raise session.Interrupted(session.shouldstop or self._limits.of_items)

    def _end_at_limit(self) -> None:
        """End the run at its limit, if nothing works any more that may end its work."""
        if not self._running and not self._session.shouldfail:
            self._session.shouldstop = self._session.shouldstop or self._limits.reached

    def _step(self) -> None:
        if self._report_what_cannot_start():
            return
        self._start()
        event = self._events.get(_TICK)
        if event is None:
            if self._running and not self._plan.ready():
                self._run.turns.go_on(len(self._running))
            self._show_status()
        else:
            self._take(event)

    def _report_what_cannot_start(self) -> bool:
        """Report one item that will never start; return whether there was one."""
        for key, needs in self._plan.blocked().items():
            unselected = [need for need in needs if need not in self._plan]
            self.not_selected += [key] if unselected else []
            why = "was not selected" if unselected else "did not land"
            names = ", ".join(need.partition("::")[2] for need in needs)
            self._report(
                key,
                Outcome(
                    verdict=Verdict.BLOCKED, cause=Cause.NEEDS, summary=f"blocked by {names}, which {why}"
                ),
            )
            return True
        for key in self._plan.stuck():
            self._report(key, Outcome(verdict=Verdict.BLOCKED, cause=Cause.NEEDS, summary="waits for itself"))
            return True
        for key in self._plan.ready():
            item = self._items[key]
            why = self._no_measure if isinstance(item, MeasureItem) else ""
            if why or item.is_marked_not_to_run():
                summary = why or "marked so"
                self._report(key, Outcome(verdict=Verdict.BLOCKED, cause=Cause.NOT_ASKED, summary=summary))
                return True
        return False

    def _may_start(self) -> list[str]:
        """The keys of ready items. Kept work goes to its gate before any agent is asked."""
        ready, waiting = self._plan.ready(), self._run.waiting
        first = [key for key in ready if self._items[key].task_id in waiting]
        is_first = bool(first) or any(self._items[key].task_id in waiting for key in self._running)
        return first if is_first else ready

    def _start(self) -> None:
        if self._limits.reached:
            return
        if self._plan.ready() or self._run.slots.waiting:
            self._print_all(self._limits.news())
        for key in self._may_start():
            if self._limits.are_enough(len(self._running)) or not self._run.slots.take():
                return
            if not self._begin(key):
                self._run.slots.give()
                return
            self._plan.mark(key, State.RUNNING)
            self._running[key] = time.monotonic()
            threading.Thread(
                target=self._body, args=(key, self._work(key)), name=f"cobbler-{key}", daemon=True
            ).start()

    def _begin(self, key: str) -> bool:
        """Call the project's hook before an agent starts; return whether the agent may start."""
        item = self._items[key]
        try:
            self._call(item.ihook.pytest_cobbler_begin, item=item)
        except HookProblem as problem:
            item.error = problem
            self._report(key, Outcome(verdict=Verdict.FAILED, cause=Cause.HOOK, summary=problem.cause))
            return False
        return not self._session.shouldstop

    def _call(self, hook: Any, **arguments: object) -> None:
        """Call a hook of the project. ``pytest.exit`` in it ends the session after all reports."""
        try:
            call(hook, **arguments)
        except pytest.exit.Exception as end:
            self._end_session(end)

    def _work(self, key: str) -> Work:
        item = self._items[key]

        def on_step(text: str) -> None:
            self._events.offer(Stepped(key, text))

        if isinstance(item, StitchItem):
            return Stitching(self._run, item.task, on_step)
        return Measuring(self._run, item.cycle, on_step)

    def _body(self, key: str, work: Work) -> None:
        try:
            result: Outcome | Measured | BaseException = work()
        except BaseException as error:  # every error belongs to the item
            result = error
        self._events.put(Ended(key, result, work.record))
        work.give_slot()  # after the event: it may stop further agents from starting

    def _take(self, event: Event) -> None:
        if isinstance(event, Stepped):
            self._steps[event.key] = one_line(event.text)
            if not self._run.project.config.silence_agent:
                item = self._items[event.key]
                self._print(f"{labelled(item.name, item.title)}: {one_line(event.text)}")
        elif isinstance(event, Ended):
            self._end(event)

    def _print(self, text: str) -> None:
        self._status.hide()
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(text)

    def _print_all(self, lines: Sequence[str]) -> None:
        if self._reporter is not None and self._reporter.verbosity >= 0:
            for line in lines:
                self._print(line)

    def _end_session(self, end: BaseException) -> None:
        self._exit = self._exit or end
        self._session.shouldstop = self._session.shouldstop or str(end) or type(end).__name__

    def _end(self, event: Ended) -> None:
        self._running.pop(event.key, None)
        item, result = self._items[event.key], event.result
        if isinstance(result, pytest.exit.Exception | KeyboardInterrupt):  # a hook in the item's thread
            self._end_session(result)
            result = Outcome(
                verdict=Verdict.CANCELLED, cause=Cause.CANCELLED, summary="cancelled", record=event.record
            )
        if isinstance(result, BaseException):
            item.error = self._limits.fault_of(item.name, result)
            landed = self._run.ledger.finished.get(item.name)
            result = Outcome(
                verdict=Verdict.LANDED if landed else Verdict.FAILED,
                cause=cause_of(result),
                summary=item.error.cause if isinstance(item.error, CobblerError) else "",
                commit=landed.commit if landed else "",
                record=event.record,
            )
        if isinstance(result, Measured):
            assert isinstance(item, MeasureItem)
            item.tasks, item.omitted = result.tasks, result.omitted
            self._run.open_tasks |= {task.id for task in result.tasks}
            if result.outcome.verdict is Verdict.PROPOSED and not result.tasks:
                self.skip_measures("nothing left to propose")
            result = result.outcome
        self._report(event.key, result)

    def _report(self, key: str, outcome: Outcome) -> None:
        """Report an item with pytest's protocol."""
        item = self._items[key]
        item.ended(outcome)
        self._plan.mark(key, State.DONE if outcome.verdict.is_success else State.FAILED)
        self._status.hide()
        try:
            self._call(item.ihook.pytest_cobbler_outcome, item=item, outcome=outcome)
        except HookProblem as problem:  # this item's failure, and no other's
            item.error = item.error or problem
        more = bool(self._plan.waiting() or self._running or getattr(item, "tasks", ()))
        proposed = proposals(item) if isinstance(item, MeasureItem) else []
        # With -v below the line of the measure, else above the progress line, which stays in one piece.
        is_below = self._reporter is not None and self._reporter.verbosity > 0
        self._print_all([] if is_below else proposed)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=self._placeholder if more else None)
        self._print_all(proposed if is_below else [])
        try:
            self._call(item.ihook.pytest_cobbler_reported, item=item, outcome=outcome)
        except HookProblem as problem:
            self.too_late.append(problem)
        if outcome.verdict is Verdict.LIMITED:
            self._session.shouldstop = self._session.shouldstop or self._limits.take(outcome)

    # -- stopping

    def _stop(self, why: str) -> None:
        """Stop the running agents, then report all remaining items."""
        self._run.cancellation.cancel()
        while self._running:
            self._status.show(f"stopping: {counted(len(self._running), 'item')} to end")
            event = self._events.get(0 if self._hurries else _TICK)
            if isinstance(event, Ended):
                self._end(event)
            elif event is None and self._hurries:
                break
        for key in list(self._running):
            del self._running[key]
            self._abandoned.add(key)
            self._report_cancelled(key, "cancelled; the next run takes up its work")
        for key in self._plan.waiting():
            self._report_cancelled(key, f"not started: {why}")

    def _report_cancelled(self, key: str, summary: str) -> None:
        self._report(key, Outcome(verdict=Verdict.CANCELLED, cause=Cause.CANCELLED, summary=summary))

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return

        def handler(number: int, _frame: object) -> None:
            if self._hurries and number == signal.SIGINT and self._looping:  # a hook may hang
                raise KeyboardInterrupt
            if self._session.shouldstop and number == signal.SIGINT:
                self._hurries = True
            if not self._session.shouldstop:
                self._session.shouldstop = signal.Signals(number).name
            self._run.cancellation.cancel()
            self._events.wake()

        for number in _SIGNALS:
            old = signal.getsignal(number)
            if old is not signal.SIG_IGN:  # it is ignored under nohup and in background jobs
                signal.signal(number, handler)
                self._session.config.add_cleanup(functools.partial(_restore, number, old))

    def _wait_for_threads(self) -> None:
        """Wait for agents to end after a second interrupt or a hook that ended the session."""
        deadline, left = time.monotonic() + _PATIENCE, {*self._running, *self._abandoned}
        while left and time.monotonic() < deadline:
            event = self._events.get(_TICK)
            if isinstance(event, Ended):
                left.discard(event.key)

    def _show_status(self) -> None:
        now = time.monotonic()
        running = [
            Running(item.name, item.title, now - began, self._steps.get(key, ""))
            for key, began in self._running.items()
            for item in [self._items[key]]
        ]
        self._status.show_running(running, len(self._plan.waiting()), self._limits.waiting)


def _restore(number: signal.Signals, handler: Any) -> None:
    signal.signal(number, handler)


def _comes_before(other: AgentItem, measure: AgentItem) -> bool:
    if other is measure:
        return False
    return other.cycle < measure.cycle
