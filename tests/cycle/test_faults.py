"""Faults that several tasks meet with: which ones count, and when the run stops."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.faults import SharedFaults, full_disk
from pytest_cobbler.cycle.signatures import signature_of
from pytest_cobbler.errors import RepositoryError, SandboxError
from pytest_cobbler.landing.candidates import Landing
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.usage import Usage

ENDED = Completed(status=2, cause=Ending.EXITED, seconds=0.3, stderr="no such option")
FAILED = Attempt(
    number=1,
    result=AgentResult(completed=ENDED, error="agent: exited with 2: no such option"),
    cause=Cause.AGENT,
    summary="agent: exited with 2: no such option",
)
RED = GateResult(failed="test", cause=Ending.EXITED, status=1, seconds=0.2, output="")


def test_three_different_tasks_with_one_fault_stop_the_run_and_one_task_does_not() -> None:
    faults = SharedFaults()
    for _ in range(5):
        assert not faults.met("p-a", "agent: exited with 2")
    assert not faults.met("p-b", "agent: exited with 2")
    assert not faults.met("p-c", "another fault")
    assert not faults.met("p-c", "")
    assert faults.stop == ""
    assert faults.met("p-c", "agent: exited with 2")
    assert faults.stop == "3 tasks failed alike: agent: exited with 2"


def test_a_landing_shows_that_nothing_is_wrong_with_all_tasks() -> None:
    faults = SharedFaults()
    for task in ("p-a", "p-b", "p-c", "p-d"):
        faults.met(task, "gate: test timed out")
        faults.landed()
    assert faults.stop == ""


def test_a_full_disk_stops_the_run_at_the_first_time() -> None:
    faults = SharedFaults()
    faults.disk_is_full("/work")
    faults.disk_is_full("/other")
    assert faults.stop == "disk full: /work"


def test_an_agent_that_cannot_begin_is_such_a_fault_and_one_that_worked_is_not() -> None:
    assert signature_of(FAILED) == "agent: exited with 2: no such option"
    worked = replace(FAILED, result=replace(FAILED.result, usage=Usage(turns=1)))
    slow = replace(FAILED, result=replace(FAILED.result, completed=replace(ENDED, seconds=60.0)))
    idle = replace(FAILED, cause=Cause.IDLE)
    assert [signature_of(attempt) for attempt in (worked, slow, idle)] == ["", "", ""]


@pytest.mark.parametrize(
    ("landing", "signature"),
    [
        (Landing(cause=Cause.GATE, gate=RED), ""),
        (Landing(cause=Cause.GATE, gate=replace(RED, status=127)), "gate: test failed (exit 127)"),
        (Landing(cause=Cause.GATE, gate=replace(RED, status=127, seconds=60.0)), ""),
        (
            Landing(cause=Cause.GATE, gate=replace(RED, cause=Ending.TIMEOUT, status=137, timeout=900.0)),
            "gate: test timed out after 15m",
        ),
        (Landing(cause=Cause.CONFLICT), ""),
        (Landing(cause=Cause.LANDING, error=SandboxError("podman has no image x")), "podman has no image x"),
        (Landing(cause=Cause.LANDING, error=RepositoryError("the branch is checked out")), ""),
    ],
)
def test_which_ends_of_a_landing_are_such_faults(landing: Landing, signature: str) -> None:
    assert signature_of(FAILED, landing) == signature


def test_where_a_disk_is_full(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/work/prompt.md")
    assert full_disk([tmp_path], full) == "/work/prompt.md"
    wrapped = RuntimeError("x")
    wrapped.__cause__ = full
    assert full_disk([tmp_path / "gone"], wrapped) == "/work/prompt.md"
    assert full_disk([tmp_path], OSError(errno.EACCES, "Permission denied", "/work")) == ""
    assert full_disk([tmp_path]) == ""
