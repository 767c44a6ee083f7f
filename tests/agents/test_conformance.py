"""What every agent keeps to, whatever program it is."""

from __future__ import annotations

import shlex
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Limits
from tests.support.parts import need
from tests.support.real_agents import ACP, CLAUDE, CODEX, EVERY, GEMINI, OPENCODE
from tests.support.scripted_api import API_KEY, Line, ScriptedApi, always, error, hang, text, turn
from tests.support.workplaces import KEY, Workplace, acp, claude, codex, gemini, opencode


class Cast(ABC):
    """One kind of agent in every part that the suite wants played."""

    patience: float
    """Seconds in which it is sure to have begun."""

    @abstractmethod
    def plays(self, script: str, *, says: str = "Done.") -> Agent:
        """Runs ``script`` in a shell, says something, and is done."""

    @abstractmethod
    def fails(self) -> Agent:
        """Is not done."""

    @abstractmethod
    def hangs(self) -> Agent:
        """Says "Wait." and then nothing any more."""


class Commands(Cast):
    patience = 1.0

    def plays(self, script: str, *, says: str = "Done.") -> Agent:
        return self._agent(f"({script}) && echo {shlex.quote(says)}")

    def fails(self) -> Agent:
        return self._agent("echo failing; exit 1")

    def hangs(self) -> Agent:
        return self._agent("echo Wait.; sleep 60")

    def _agent(self, script: str) -> Agent:
        return CommandAgent(["sh", "-c", script], credential=KEY)


@dataclass
class Programs(Cast):
    """Real programs, made by ``made``; ``call`` is the tool that runs a command."""

    api: ScriptedApi
    made: Callable[[ScriptedApi], Agent]
    call: Callable[[str], dict[str, Any]]
    refusal: int
    patience: float

    def plays(self, script: str, *, says: str = "Done.") -> Agent:
        return self._agent(turn(self.call(script)), turn(text(says)))

    def fails(self) -> Agent:
        return self._agent(always(error(self.refusal)))

    def hangs(self) -> Agent:
        return self._agent(turn(text("Wait."), self.call("true")), hang())

    def _agent(self, *lines: Line) -> Agent:
        self.api.script("", lines)
        return self.made(self.api)


PROGRAMS: dict[str, Callable[[ScriptedApi], Cast]] = {
    "claude": lambda api: Programs(api, claude, CLAUDE.call, 403, 5.0),
    "codex": lambda api: Programs(api, codex, CODEX.call, 400, 5.0),
    "opencode": lambda api: Programs(api, opencode, OPENCODE.call, 400, 30.0),
    "gemini": lambda api: Programs(api, gemini, GEMINI.call, 400, 30.0),
    "acp": lambda api: Programs(api, acp, ACP.call, 400, 30.0),
}


@pytest.fixture(
    params=[
        "command",
        "claude",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("codex", "opencode", "gemini", "acp")),
    ]
)
def cast(request: pytest.FixtureRequest) -> Iterator[Cast]:
    if request.param == "command":
        yield Commands()
        return
    need(EVERY[request.param].program)
    with ScriptedApi() as api:
        yield PROGRAMS[request.param](api)


def test_work_is_done_in_the_worktree(cast: Cast, workplace: Workplace) -> None:
    """Also if the prompt could be taken for a command of the program."""
    result = workplace.run(cast.plays("echo hello > hello.txt"), "/quit")

    assert (result.error, result.limited, result.limited_until) == ("", False, None)
    assert result.completed.ok
    assert (workplace.worktree / "hello.txt").read_text() == "hello\n"
    assert workplace.steps[-1] == "Done."
    assert b"Done." in workplace.transcript.read_bytes()


def test_a_failure_is_one_line_that_says_who(cast: Cast, workplace: Workplace) -> None:
    error = workplace.run(cast.fails()).error

    assert error.startswith("agent: ")
    assert error.isprintable()


@pytest.mark.matrix("costly")
def test_a_limit_of_time(cast: Cast, workplace: Workplace) -> None:
    result = workplace.run(cast.hangs(), limits=Limits(wall=cast.patience))

    assert result.error == f"agent: timeout after {cast.patience:g}s"
    assert not result.limited
    assert b"Wait." in workplace.transcript.read_bytes()
    assert workplace.errors.exists()


@pytest.mark.matrix("costly")
def test_a_limit_of_silence(cast: Cast, workplace: Workplace) -> None:
    result = workplace.run(cast.hangs(), limits=Limits(wall=600.0, idle=cast.patience))

    assert result.error == f"agent: no output for {cast.patience:g}s"
    assert not result.limited
    assert result.completed.seconds < 60


def test_a_cancellation_in_the_middle(cast: Cast, workplace: Workplace) -> None:
    cancellation = Cancellation()
    agent, seen = cast.hangs(), threading.Event()

    def cancel(_step: str) -> None:
        seen.set()
        cancellation.cancel()

    result = workplace.run(agent, cancellation=cancellation, on_step=cancel)

    assert seen.is_set()
    assert result.error == "agent: cancelled"


def test_a_cancellation_before_the_beginning(cast: Cast, workplace: Workplace) -> None:
    cancellation = Cancellation()
    cancellation.cancel()

    result = workplace.run(cast.plays("touch begun"), cancellation=cancellation)

    assert result.error == "agent: cancelled"
    assert not (workplace.worktree / "begun").exists()


def test_its_secrets_are_in_nothing_that_it_leaves(cast: Cast, workplace: Workplace) -> None:
    agent = cast.plays(
        "echo $ANTHROPIC_API_KEY $OPENAI_API_KEY; printenv | base64 -w0; printenv >&2",
        says=f"My key is {API_KEY}",
    )

    result = workplace.run(agent)

    assert result.error == ""
    assert agent.secrets == (API_KEY,)
    assert "My key is [credential]" in workplace.transcript.read_text() + result.text
    for path in (workplace.transcript, workplace.errors):
        assert API_KEY.encode() not in path.read_bytes()
    assert API_KEY not in repr((result, workplace.steps, agent.description))


def test_steps_are_printable_lines(cast: Cast, workplace: Workplace) -> None:
    workplace.run(cast.plays("true", says="a\x1b[31m\x07 \u202eb"))

    assert workplace.steps
    assert all(step.isprintable() and len(step) <= 200 for step in workplace.steps)
    assert "\\x07" in workplace.steps[-1]


def test_no_one_has_to_watch(cast: Cast, workplace: Workplace) -> None:
    assert workplace.run(cast.plays("true"), on_step=None).error == ""


def test_two_can_work_at_once(cast: Cast, tmp_path: Path) -> None:
    agent = cast.plays("echo hello > hello.txt")
    places = [Workplace(tmp_path / "one"), Workplace(tmp_path / "two")]

    with ThreadPoolExecutor() as pool:
        # Some programs are told apart by their prompts alone.
        results = list(pool.map(lambda place: place.run(agent, f"Write {place.directory}"), places))

    assert [result.error for result in results] == ["", ""]
    assert all((place.worktree / "hello.txt").exists() for place in places)


def test_an_agent_describes_itself_and_is_ready(cast: Cast, workplace: Workplace) -> None:
    agent = cast.plays("true")

    agent.preflight(workplace.sandbox)

    assert agent.description.startswith("agent: ")
    assert agent.description.isprintable()
