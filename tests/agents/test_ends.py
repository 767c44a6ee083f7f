"""A true success of claude counts, however its program ends; scripts in the place of the program."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.agents.descriptions.claude import Claude
from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Limits
from tests.support.workplaces import KEY, ClaudeAgent, Workplace

INIT = {"type": "system", "subtype": "init", "model": "claude-x", "session_id": "s"}
FOREVER = "sleep 61"


def said(words: str) -> dict[str, Any]:
    message = {"id": words, "model": "claude-x", "content": [{"type": "text", "text": words}], "usage": {}}
    return {"type": "assistant", "message": message}


def result(words: str = "Done.", **changes: Any) -> dict[str, Any]:
    return {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "terminal_reason": "completed",
        "result": words,
        **changes,
    }


def background(*tasks: str, kind: str = "local_bash") -> dict[str, Any]:
    ids = [{"task_id": task, "task_type": kind} for task in tasks]
    return {"type": "system", "subtype": "background_tasks_changed", "tasks": ids}


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    monkeypatch.setattr(Claude, "patience", 0.3)
    return Workplace(tmp_path)


def run(workplace: Workplace, *steps: dict[str, Any] | str, **changes: Any) -> AgentResult:
    """Run a program that prints events and runs commands."""
    lines = [step if isinstance(step, str) else f"echo {_quoted(json.dumps(step))}" for step in steps]
    program = workplace.directory / "claude"
    program.write_text("\n".join(["#!/bin/sh", "cat >/dev/null", *lines]) + "\n")
    program.chmod(0o755)
    agent = ClaudeAgent([], credential=KEY)
    changed = {"command": lambda _argv: (str(program),)} | changes
    cancellation = changed.pop("cancellation", None)
    return workplace.run(agent, cancellation=cancellation, **changed)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_a_program_that_said_success_and_does_not_exit_is_ended(workplace: Workplace) -> None:
    began = time.monotonic()
    ended = run(workplace, INIT, said("I write."), result(), FOREVER)
    assert time.monotonic() - began < 50
    assert (ended.error, ended.doubt, ended.text) == ("", "", "Done.")
    assert (ended.completed.cause, ended.completed.status) == (Ending.EXITED, 0)


@pytest.mark.slow
def test_a_program_that_goes_on_is_not_ended(workplace: Workplace) -> None:
    ended = run(
        workplace,
        *(INIT, said("It is on its way."), background("one"), result("It is on its way."), "sleep 1"),
        *(background(), INIT, said("More."), "sleep 1", result("It is there.")),
    )
    assert (ended.error, ended.doubt, ended.text) == ("", "", "It is there.")


@pytest.mark.parametrize(
    ("steps", "doubt"),
    [
        ([said("I wrote it."), result("")], "agent: the last message is empty"),
        ([said("I wrote it."), result("", result=None)], "agent: the last message is empty"),
        ([said("I wrote it."), result(), "echo oh no >&2", "exit 1"], "agent: exited with 1: oh no"),
        (
            [said("I wrote it."), result(), "kill -9 $$"],
            "agent: killed from outside, perhaps because it ran out of memory",
        ),
    ],
)
def test_a_success_that_ends_badly_is_a_doubt_and_no_error(
    workplace: Workplace, steps: list[dict[str, Any] | str], doubt: str
) -> None:
    ended = run(workplace, INIT, *steps)
    assert (ended.error, ended.doubt) == ("", doubt)


def test_a_time_limit_after_the_success_is_a_doubt(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Claude, "patience", 60.0)
    ended = run(workplace, INIT, said("I wrote it."), result(), FOREVER, limits=Limits(idle=0.5))
    assert (ended.error, ended.doubt) == ("", "agent: no output for 0.5s")


@pytest.mark.parametrize(
    ("kind", "error", "doubt"),
    [
        ("local_bash", "", "agent: no output for 0.5s"),
        ("local_agent", "agent: no output for 0.5s", ""),
    ],
)
def test_a_server_in_the_background_that_never_ends_loses_no_work_and_a_sub_agent_is_no_success(
    workplace: Workplace, kind: str, error: str, doubt: str
) -> None:
    steps = (INIT, said("I wrote it."), background("one", kind=kind), result(), FOREVER)
    ended = run(workplace, *steps, limits=Limits(idle=0.5))
    assert (ended.error, ended.doubt) == (error, doubt)


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([said("I begin."), "exit 0"], "agent: no result"),
        ([said("I begin."), "exit 1"], "agent: exited with 1"),
        ([result(terminal_reason="aborted_streaming")], "agent: interrupted"),
        ([said("x"), result("no", is_error=True), "exit 1"], "agent: error: no"),
        ([said("x"), result(), INIT, said("More."), "exit 1"], "agent: exited with 1"),
        ([said("x"), background("one"), result(), "exit 1"], "agent: exited with 1"),
        ([said("x"), result(terminal_reason="prompt_too_long")], "agent: ended early: prompt_too_long"),
    ],
)
def test_a_false_success_stays_an_error(
    workplace: Workplace, steps: list[dict[str, Any] | str], error: str
) -> None:
    ended = run(workplace, INIT, *steps)
    assert (ended.error, ended.doubt) == (error, "")


def test_a_cancelled_run_stays_cancelled(workplace: Workplace) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    ended = run(workplace, INIT, said("x"), result(), FOREVER, cancellation=cancellation)
    assert ended.error == "agent: cancelled"
