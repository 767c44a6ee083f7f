"""The limits of a run, for its loop: when no more agents start, and the lines that report it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.faults import full_disk
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.outcome import Outcome
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import CobblerError, HookProblem, SandboxError

__all__ = ["RunLimits", "cause_of", "health_lines"]

_AHEAD = 5
"""Items at work, in the gate or before it, for each agent that may work."""


class RunLimits:
    """Why no more agents start in a run: the budget, the API, or a fault of all tasks.

    ``of_items`` is the first limit at which an item ended although the run goes on.
    """

    def __init__(self, run: Run) -> None:
        self._healths = run.healths
        self._landing = run.landing
        self._faults = run.faults
        self._places = run.places
        config = run.project.config  # the order of a recording may ask for any number
        self._most = None if config.agent == "replay" else _AHEAD * config.jobs
        self._budget = ""
        self._told = False
        self._passed_over = ("", "")
        self.of_items = ""

    @property
    def reached(self) -> str:
        """Why no more agents start, although those that work may end their work; empty if they may."""
        if self._budget:
            return self._budget
        if self._faults.stop:
            return escaped(self._faults.stop)
        if stop := self._healths.stop:
            return limit_line(f"agent: {stop.trouble.shown}", stop.until, is_claimed=stop.is_claimed)
        stopped = self._landing.stopped
        return f"nothing lands any more: {escaped(stopped.cause)}" if stopped else ""

    @property
    def waiting(self) -> str:
        """What new agents wait for, and until when; empty if they do not wait."""
        health = self._healths.waiting_for
        until, trouble = (health.waits_until, health.last) if health else (None, None)
        if health is None or until is None or trouble is None:
            return ""
        allowed = health.allowed
        agents = "1 agent" if allowed == 1 else f"up to {allowed} agents"
        return f"{escaped(trouble.shown)}; {agents} from {until.astimezone():%H:%M:%S}"

    def are_enough(self, running: int) -> bool:
        """Whether so much work waits for its gate that another agent would only make it older.

        Args:
            running: items at work, in the gate or before it.
        """
        return self._most is not None and running >= self._most

    def news(self) -> list[str]:
        """The lines on a wait, or on another agent's turn, that has begun since the last call."""
        waiting = self.waiting
        is_new, self._told = bool(waiting) and not self._told, bool(waiting)
        lines = [f"waiting for the API: {waiting}"] if is_new else []
        passed_over = self._healths.passed_over
        if passed_over != self._passed_over:
            lines += [] if waiting else [self._turn(*passed_over)]
            self._passed_over = passed_over
        return lines

    def _turn(self, name: str, instead: str) -> str:
        """Which agent works, and why."""
        if not name:
            return f"new attempts are by {next(iter(self._healths))} again"
        health = self._healths[name]
        trouble = health.stop.trouble if health.stop else health.last
        until = health.stop.until if health.stop else health.waits_until
        when = f" until {until.astimezone():%H:%M:%S}" if until else ""
        return f"new attempts are by {instead}{when}: {name}: {escaped(trouble.shown) if trouble else ''}"

    def fault_of(self, name: str, error: BaseException) -> BaseException:
        """Note the error of an item, which may be one of all items; return the error to report."""
        if where := full_disk(self._places, error):
            self._faults.disk_is_full(where)
            return CobblerError(f"disk full: {where}", "Free some space; then the same command goes on.")
        if isinstance(error, SandboxError):
            self._faults.met(name, error.cause)
        return error

    def take(self, outcome: Outcome) -> str:
        """Take the limit at which an item ended; return why the run has to end immediately, if so."""
        stop = self._healths.stop
        if outcome.cause is Cause.BUDGET:
            self._budget = self._budget or f"limited: {outcome.summary}"
        elif stop and stop.at_once:
            return self.reached
        else:
            line = limit_line(outcome.summary, outcome.until, is_claimed=outcome.limit_is_claimed)
            self.of_items = self.of_items or line
        return ""


def cause_of(error: BaseException) -> Cause:
    """The cause of an item whose thread ended with an error."""
    if isinstance(error, HookProblem):
        return Cause.HOOK
    return Cause.SANDBOX if isinstance(error, SandboxError) else Cause.ERROR


def limit_line(summary: str, until: datetime | None, *, is_claimed: bool) -> str:
    """Why a run or an item is limited, with the time at which that ends."""
    when = f" until {until.astimezone():%Y-%m-%d %H:%M %Z}" if until else ""
    claimed = " (as the agent reports)" if is_claimed else ""
    return f"limited{when}: {escaped(summary)}{claimed}"


def health_lines(healths: Healths) -> Iterator[str]:
    """For the summary: the troubles of each API, and what the run did about them."""
    for name in healths:
        if healths[name].seen:
            of = f" of {name}" if len(healths) > 1 else ""
            yield f"api{of}: {_troubles(healths[name])}"


def _troubles(health: ApiHealth) -> str:
    numbers = [f"{count} x {status or 'no answer'}" for status, count in sorted(health.seen.items())]
    parts = [", ".join(numbers)]
    if health.waited:
        parts.append(f"new agents waited {health.waited.total_seconds():.0f} s")
    if health.least < health.agents:
        parts.append(f"{health.least} of {health.agents} in parallel at the least")
    return "; ".join(parts)
