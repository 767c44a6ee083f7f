"""Checks that need each other: what is told of each, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cobbler.doctor import examination
from pytest_cobbler.doctor.examination import Check, Finding, Seen, examine
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation, host_environment, run


def fails() -> str:
    raise CobblerError("it is broken", "mend it", "the smoke")


def waits() -> str:
    run(["sleep", "60"], env=host_environment())
    return "waited"


def told(*checks: Check) -> dict[str, Finding]:
    findings: list[Finding] = []
    assert examine(checks, findings.append) == findings
    assert [finding.name for finding in findings] == [check.name for check in checks]
    return {finding.name: finding for finding in findings}


def statuses(*checks: Check) -> dict[str, str]:
    return {name: finding.status for name, finding in told(*checks).items()}


def test_a_finding_has_what_its_check_saw() -> None:
    found = told(
        Check(name="a", run=lambda: "seen"),
        Check(name="b", run=lambda: Seen(detail="hm", status="warning", remedy="look")),
        Check(name="c", run=lambda: Seen(detail="not here", status="off")),
    )
    assert (found["a"].status, found["a"].text) == ("ok", "seen")
    assert (found["b"].status, found["b"].text, found["b"].remedy) == ("warning", "hm", "look")
    assert (found["c"].status, found["c"].seconds) == ("off", None)
    assert found["a"].seconds is not None


def test_an_error_of_a_check_is_a_failure_with_cause_remedy_and_evidence() -> None:
    found = told(Check(name="a", run=fails))["a"]
    assert (found.status, found.text, found.remedy, found.evidence) == (
        "failed",
        "it is broken",
        "mend it",
        "the smoke",
    )


def test_an_error_of_the_system_is_a_failure(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    found = told(Check(name="a", run=lambda: missing.read_text()))["a"]
    assert (found.status, found.text) == ("failed", f"{missing}: No such file or directory")


def test_a_check_that_needs_a_failed_one_is_not_tried_and_the_others_run() -> None:
    found = told(
        Check(name="a", run=fails),
        Check(name="b", run=fails, needs=("a",)),
        Check(name="c", run=fails, needs=("b",)),
        Check(name="d", run=lambda: "fine"),
    )
    assert [found[name].status for name in "abcd"] == ["failed", "not tried", "not tried", "ok"]
    assert found["c"].text == "needs a"
    assert found["c"].seconds is None


@pytest.mark.parametrize("status", ["warning", "off"])
def test_a_check_that_did_not_fail_does_not_block_others(status: str) -> None:
    seen: Callable[[], Seen] = lambda: Seen(detail="", status=status)  # type: ignore[arg-type]  # noqa: E731
    assert statuses(Check(name="a", run=seen), Check(name="b", run=lambda: "", needs=("a",)))["b"] == "ok"


def test_a_hanging_check_is_ended_with_a_command_to_look_at_it() -> None:
    found = told(
        Check(name="a", run=waits, limit=0.2, by_hand="sleep 60"), Check(name="b", run=lambda: "fine")
    )
    assert (found["a"].status, found["a"].text) == ("failed", "did not finish within 0.2 s, and was stopped")
    assert found["a"].remedy.endswith("sleep 60")
    assert found["b"].status == "ok"
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_check_that_hangs_while_cleaning_up_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_TIDYING", 0.2)

    def stubborn() -> str:
        try:
            return waits()
        finally:
            waits()

    assert statuses(Check(name="a", run=stubborn, limit=0.2)) == {"a": "failed"}


class TestAside:
    def test_a_check_aside_runs_beside_the_others_and_is_reported_in_order(self) -> None:
        begun, done = threading.Event(), threading.Event()

        def aside() -> str:
            begun.set()
            assert done.wait(60)
            return "aside"

        def beside() -> str:
            assert begun.wait(60)
            done.set()
            return "beside"

        found = told(
            Check(name="a", run=lambda: ""),
            Check(name="b", run=beside),
            Check(name="c", run=aside, needs=("a",), aside=Cancellation()),
            Check(name="d", run=lambda: "", needs=("c",)),
        )
        assert {finding.status for finding in found.values()} == {"ok"}

    def test_a_check_aside_that_needs_a_failed_one_is_not_tried(self) -> None:
        found = statuses(
            Check(name="a", run=fails), Check(name="b", run=fails, needs=("a",), aside=Cancellation())
        )
        assert found == {"a": "failed", "b": "not tried"}

    def test_a_hanging_check_aside_is_ended(self) -> None:
        cancellation = Cancellation()

        def hangs() -> str:
            run(["sleep", "60"], env=host_environment(), cancellation=cancellation)
            return ""

        found = told(Check(name="a", run=hangs, limit=0.2, aside=cancellation))["a"]
        assert (found.status, found.text) == ("failed", "did not finish within 0.2 s, and was stopped")

    def test_an_interrupt_ends_all_checks(self) -> None:
        cancellation = Cancellation()
        begun = threading.Event()

        def hangs() -> str:
            begun.set()
            run(["sleep", "60"], env=host_environment(), cancellation=cancellation)
            return ""

        def interrupted() -> str:
            assert begun.wait(60)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
            return ""

        checks = [Check(name="a", run=interrupted), Check(name="b", run=hangs, aside=cancellation)]
        with pytest.raises(KeyboardInterrupt):
            examine(checks, lambda _finding: None)
        assert cancellation.requested
