"""The session's loop: starts what may start, reports what has ended, stops on request.

The main thread alone touches pytest and the terminal, and waits for nothing but its own queue.
"""

from __future__ import annotations

import functools
import signal
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.choosing import chosen_for
from pytest_cobbler.cycle.measure import Measured, Measuring
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.patience import stopped
from pytest_cobbler.cycle.stitch import Stitching
from pytest_cobbler.display import counted, one_line
from pytest_cobbler.errors import CobblerError, HookProblem
from pytest_cobbler.hooks import call
from pytest_cobbler.lifecycle.choices import Choice
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.session.events import Ended, Event, Events, Stepped
from pytest_cobbler.session.limits import RunLimits, cause_of
from pytest_cobbler.session.live import LiveView
from pytest_cobbler.session.nodes import (
    AgentItem,
    ConfigurationFile,
    MeasureItem,
    Placeholder,
    StitchItem,
    proposals,
)
from pytest_cobbler.session.properties import end_of
from pytest_cobbler.session.titles import labelled
from pytest_cobbler.view.news import timed

if TYPE_CHECKING:
    from pytest_cobbler.cycle.run import Run


_TICK = 0.5
_PATIENCE = 30.0
"""Seconds that threads have to end their agents when the session is aborted."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Work(Protocol):
    """The work of a thread on one item."""

    @property
    def record(self) -> Record: ...

    def __call__(self) -> Outcome | Measured: ...

    def give_slot(self) -> None: ...


class Loop:
    """Runs the items of a session."""

    def __init__(
        self, session: pytest.Session, run: Run, events: Events, reporter: Any, live: LiveView
    ) -> None:
        self._session = session
        self._run = run
        self._events = events
        self._plan = Plan()
        self._items: dict[str, AgentItem] = {}
        self._running: dict[str, float] = {}
        self._may_run: set[str] = set()
        """Ready items that were found not to be marked: of thousands, each is asked once."""
        self._choices: dict[str, Choice] = {}
        self._no_measure = ""
        self._limits = RunLimits(run)
        self._reporter = reporter
        self._live = live
        self._api = ""
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
            self._live.close()
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
        else:
            self._take(event)
        self._show()

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
            if key in self._may_run:
                continue
            item = self._items[key]
            why = self._no_measure if isinstance(item, MeasureItem) else ""
            if why or item.is_marked_not_to_run():
                summary = why or "marked so"
                self._report(key, Outcome(verdict=Verdict.BLOCKED, cause=Cause.NOT_ASKED, summary=summary))
                return True
            if not isinstance(item, MeasureItem):
                self._may_run.add(key)
        return self._report_what_is_not_served()

    def _report_what_is_not_served(self) -> bool:
        """Report one item none of whose agents is served any more, although the run goes on with others."""
        healths = self._run.healths
        if healths.stop or not any(health.stop for health in healths.all()):
            return False
        for key in self._plan.ready():
            choice = self._choices.get(key)
            if choice and (stop := healths.stop_of(choice.agents)):
                self._report(key, stopped(stop))
                return True
        return False

    def _may_start(self) -> list[str]:
        """The keys of ready items. Kept work goes to its gate before any agent is asked."""
        ready, waiting = self._plan.ready(), self._run.waiting
        if not waiting:
            return ready
        first = [key for key in ready if self._items[key].task_id in waiting]
        is_first = bool(first) or any(self._items[key].task_id in waiting for key in self._running)
        return first if is_first else ready

    def _start(self) -> None:
        if self._limits.reached:
            return
        if self._plan.ready() or self._run.slots.waiting:
            self._print_all([timed(time.time(), line) for line in self._limits.news()])
        for key in self._may_start():
            if self._limits.reached or self._limits.are_enough(len(self._running)):
                return
            if (choice := self._choice(key)) is None:
                return
            slot = self._run.slots.take(choice.agents)
            if not slot:
                self._claim_ahead(key)
                if self._run.slots.are_taken or len(self._run.parts.agents) == 1:
                    return
                continue  # another one may have an agent that is not limited
            if not self._begin(key):
                self._run.slots.give(slot)
                return
            self._plan.mark(key, State.RUNNING)
            self._running[key] = time.monotonic()
            threading.Thread(
                target=self._body,
                args=(key, self._work(key, choice, slot)),
                name=f"cobbler-{key}",
                daemon=True,
            ).start()

    def _claim_ahead(self, key: str) -> None:
        """Claim a task that will start as soon as a place is free: with bd, that takes a while."""
        item, ledger = self._items[key], self._run.ledger
        if self._running and isinstance(item, StitchItem):
            ledger.tracker.claim_ahead(item.task.id, ledger.claim)

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

    def _choice(self, key: str) -> Choice | None:
        """The agents that may work on an item; ``None``: there is none, and the item has failed."""
        if key not in self._choices:
            item = self._items[key]
            task = item.task if isinstance(item, StitchItem) else None
            try:
                self._choices[key] = chosen_for(self._run, task)
            except CobblerError as problem:
                item.error, cause = problem, cause_of(problem)
                self._report(key, Outcome(verdict=Verdict.FAILED, cause=cause, summary=problem.cause))
                return None
        return self._choices[key]

    def _work(self, key: str, choice: Choice, slot: str) -> Work:
        item = self._items[key]

        def on_step(text: str) -> bool:
            if self._run.project.config.silence_agent:  # the live view reads the last ones itself
                return False
            return self._events.offer(Stepped(key, text))

        if isinstance(item, StitchItem):
            return Stitching(self._run, item.task, choice, slot, on_step)
        return Measuring(self._run, item.cycle, choice, slot, on_step)

    def _body(self, key: str, work: Work) -> None:
        fault: BaseException | None = None
        try:
            result: Outcome | Measured | BaseException = work()
        except BaseException as error:  # every error belongs to the item
            result = error
            fault = self._limits.fault_of(self._items[key].name, error)
        self._events.put(Ended(key, result, work.record, fault))
        work.give_slot()  # after the event and the fault: they may stop further agents from starting

    def _take(self, event: Event) -> None:
        if isinstance(event, Stepped):
            item = self._items[event.key]
            text = f"{labelled(item.name, item.title)}: {one_line(event.text)}"
            self._live.print([timed(time.time(), one_line(text))])
        elif isinstance(event, Ended):
            self._end(event)

    def _print_all(self, lines: Sequence[str]) -> None:
        if self._reporter is not None and self._reporter.verbosity >= 0:
            self._live.print(lines)

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
            item.error = event.fault
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
        self._run.listener.item_ended(end_of(key, outcome))
        self._plan.mark(key, State.DONE if outcome.verdict.is_success else State.FAILED)
        self._live.before_report(key)
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
        self._live.after_report(key)
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
            self._live.stopping = f"stopping: {counted(len(self._running), 'item')} to end"
            self._live.refresh()
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

    def _show(self) -> None:
        if (waiting := self._limits.waiting) != self._api:
            self._api = waiting
            self._run.listener.waits_for_api(waiting)
        self._live.refresh()


def _restore(number: signal.Signals, handler: Any) -> None:
    signal.signal(number, handler)


def _comes_before(other: AgentItem, measure: AgentItem) -> bool:
    if other is measure:
        return False
    return other.cycle < measure.cycle
