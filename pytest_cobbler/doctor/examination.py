"""Runs checks that need each other, each with a time limit, and reports the result of each."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Literal

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation

__all__ = ["Check", "Finding", "Seen", "examine"]

LIMIT = 60.0
"""Seconds of one check, unless it says otherwise; most take less than one."""

_TIDYING = 20.0
"""Seconds that a check which was ended has to remove what it made."""

Status = Literal["ok", "warning", "off", "failed", "not tried"]
"""``off``: it does not apply here; ``not tried``: what it needs has failed."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a check saw that did not fail; ``detail`` is one line, ``remedy`` is for a warning."""

    detail: str
    status: Literal["ok", "warning", "off"] = "ok"
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing to be proved.

    Args:
        run: proves it, and says what it saw; raises ``CobblerError`` or ``OSError`` if it is not so.
        needs: names of checks before it in the list that must not have failed.
        by_hand: a command that shows a person what hangs when the time is up.
        limit: seconds.
        aside: ``None``, or what ends ``run``: then it runs in a thread beside the others.
    """

    name: str
    run: Callable[[], Seen | str]
    needs: tuple[str, ...] = ()
    by_hand: str = ""
    limit: float = LIMIT
    aside: Cancellation | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of a check. ``text`` is the detail or the cause, in one line; ``seconds`` is wall time."""

    name: str
    status: Status
    text: str
    remedy: str = ""
    evidence: str = ""
    seconds: float | None = None


def examine(
    checks: Sequence[Check],
    report: Callable[[Finding], None],
    begin: Callable[[str], None] = lambda _name: None,
) -> list[Finding]:
    """Run ``checks`` in their order, and pass each finding to ``report`` immediately.

    ``begin`` gets the name of the check that is waited for, before its finding.

    Those aside begin as soon as what they need is done; they are told in their place. Whatever ends this
    early, an interrupt for instance, ends them too.
    """
    return _Examination(checks, report, begin).run()


class _TimeIsUp(BaseException):
    """Raised in the middle of a check; nothing on its way out takes it for a failure of its own."""


class _Examination:
    def __init__(
        self, checks: Sequence[Check], report: Callable[[Finding], None], begin: Callable[[str], None]
    ) -> None:
        self._checks = checks
        self._report = report
        self._begin = begin
        self._findings: dict[str, Finding] = {}
        self._aside: dict[str, Future[Finding]] = {}

    def run(self) -> list[Finding]:
        with ThreadPoolExecutor(thread_name_prefix="cobbler-doctor") as threads:
            try:
                for check in self._checks:
                    self._begin_aside(threads)
                    self._begin(check.name)
                    finding = self._aside_finding(check) if check.aside else self._finding(check)
                    self._findings[check.name] = finding
                    self._report(finding)
            finally:
                for check in self._checks:
                    if check.aside:
                        check.aside.cancel()
        return list(self._findings.values())

    def _begin_aside(self, threads: ThreadPoolExecutor) -> None:
        for check in self._checks:
            ready = all(need in self._findings for need in check.needs)
            if check.aside and ready and check.name not in self._aside and not self._lacking(check):
                self._aside[check.name] = threads.submit(_run_check, check)

    def _aside_finding(self, check: Check) -> Finding:
        if check.name not in self._aside:
            return self._not_tried(check)
        assert check.aside
        future = self._aside[check.name]
        wait([future], check.limit)
        if not future.done():
            check.aside.cancel()
            future.result()
            return _too_long(check)
        return future.result()

    def _finding(self, check: Check) -> Finding:
        if self._lacking(check):
            return self._not_tried(check)
        began = time.monotonic()
        try:
            with _time_limit(check.limit):
                return _run_check(check)
        except _TimeIsUp:
            return _too_long(check, time.monotonic() - began)

    def _lacking(self, check: Check) -> list[str]:
        return [need for need in check.needs if self._findings[need].status in ("failed", "not tried")]

    def _not_tried(self, check: Check) -> Finding:
        return Finding(name=check.name, status="not tried", text=f"needs {', '.join(self._roots(check))}")

    def _roots(self, check: Check) -> list[str]:
        """Those that failed themselves, of what a check needs."""
        by_name = {check.name: check for check in self._checks}
        roots: list[str] = []
        for name in self._lacking(check):
            roots += [name] if self._findings[name].status == "failed" else self._roots(by_name[name])
        return list(dict.fromkeys(roots))


def _run_check(check: Check) -> Finding:
    began = time.monotonic()
    finding = _outcome(check)
    return finding if finding.status == "off" else replace(finding, seconds=time.monotonic() - began)


def _outcome(check: Check) -> Finding:
    try:
        seen = check.run()
    except CobblerError as error:
        return Finding(
            name=check.name,
            status="failed",
            text=error.cause,
            remedy=error.remedy,
            evidence=error.evidence,
        )
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Finding(name=check.name, status="failed", text=text)
    if isinstance(seen, str):
        return Finding(name=check.name, status="ok", text=seen)
    return Finding(name=check.name, status=seen.status, text=seen.detail, remedy=seen.remedy)


def _too_long(check: Check, seconds: float | None = None) -> Finding:
    return Finding(
        name=check.name,
        status="failed",
        text=f"did not finish within {check.limit:g} s, and was stopped",
        remedy=f"Something hangs. To see what, run: {check.by_hand}" if check.by_hand else "",
        seconds=check.limit if seconds is None else seconds,
    )


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise ``_TimeIsUp`` when the time is up, and again when tidying up takes too long.

    An alarm, because it ends whatever the check is in the middle of: what it made is removed on the way out
    as on an interrupt. Only the main thread can have one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def up(_number: int, _frame: object) -> None:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, seconds, _TIDYING)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
