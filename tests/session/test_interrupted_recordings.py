"""A recording of a generation whose runs were interrupted is played in one run, to the same commits."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_cobbler.recordings.files import read_result, recorded_attempts
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.sessions import by_title

FIRST, SECOND = "First", "Second"
KILLED = -signal.SIGKILL


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """Two tasks; the work of the first breaks the gate until its second attempt."""
    cobbler_agent.measure().writes_tasks([{"title": FIRST}, {"title": SECOND, "dependency": 0}])
    cobbler_agent.task(FIRST).writes("state", "bad\n").writes("early", "early\n")
    cobbler_agent.task(FIRST, attempt=2).writes("state", "good\n")
    cobbler_agent.task(SECOND).writes("second", "second\n")
    cobbler_project.configure(test_command="! grep -q bad state 2>/dev/null", jobs=1)
    return cobbler_project


def record(project: Project, *options: str, env: dict[str, str] | None = None) -> RunResult:
    return project.run("--cobbler-generate", "--cobbler-record=recording", *options, env=env)


def go_on(project: Project) -> None:
    """Record runs until every task has landed."""
    for _ in range(3):
        if len(project.landed()) == 2:
            return
        record(project, "--cobbler-cycles=0") if project.tasks() else record(project)
    pytest.fail("it never came to its end")


def came_to(project: Project) -> tuple[list[str], str]:
    """The titles that landed in their order, and modes, objects and paths of the tip."""
    tree = project.git("ls-tree", "-r", project.generation or "")
    excluded = ("recording/", "configuration.yaml")
    mine = [line for line in tree.splitlines() if not line.partition("\t")[2].startswith(excluded)]
    return [commit.title for commit in project.landed()], "\n".join(mine)


def play_afresh(project: Project) -> RunResult:
    """Play the recording in one run, on a repository without a generation."""
    project.git("update-ref", "-d", f"refs/heads/{project.generation}")
    for name in (".beads", ".cobbler"):
        shutil.rmtree(project.path / name)
    project.configure(agent="replay", agent_command=None, recording="recording")
    return project.run("--cobbler-generate")


def assert_it_plays(project: Project) -> None:
    go_on(project)
    before = came_to(project)
    result = play_afresh(project)
    result.assert_outcomes(passed=3)
    assert came_to(project) == before


def broken_off(project: Project) -> list[str]:
    """What broke off the attempts of the recording, for those that were broken off."""
    results = [read_result(path, str(path)) for path in recorded_attempts(project.path / "recording")]
    return [one.broken_off for one in results if one.broken_off]


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("measure:1", ["interrupted"]),  # the measure's agent is about to start
        ("agent:1", ["interrupted"]),  # its work lies in its worktree
        ("keep:1", []),  # it broke the gate and is kept
        ("gate:2", ["interrupted"]),  # a second attempt, and what it goes on from
        ("land:1", []),  # what the next run sees is not what the first one saw
    ],
)
def test_a_killed_run_is_played_to_the_same_commits(project: Project, line: str, ends: list[str]) -> None:
    env = {"KILL_AFTER": line, "PYTHONPATH": str(Path(__file__).parents[1] / "support" / "plugins")}
    assert record(project, "-p", "killer", env=env).ret == KILLED
    assert_it_plays(project)
    assert broken_off(project) == ends


def held(project: Project) -> Path:
    return project.agent.directory / "held"


def hold(project: Project) -> str:
    """Commands that signal their start and take a minute, once."""
    return f"test -e {held(project)} || {{ touch {held(project)}; sleep 61; }}"


def signalled(project: Project, number: signal.Signals) -> RunResult:
    running = project.start("--cobbler-generate", "--cobbler-record=recording")
    running.wait_until(held(project).exists)
    running.send_signal(number)
    return running.wait(60)


def in_the_agent(project: Project, agent: StandInAgent) -> None:
    agent.task(FIRST).runs(hold(project))


def in_the_gate(project: Project, _agent: StandInAgent) -> None:
    gate = project.configuration["test_command"]
    project.configure(
        test_command=f"{gate} || {{ test -e {held(project)} || {{ {hold(project)}; }}; false; }}"
    )


def in_the_measure(project: Project, agent: StandInAgent) -> None:
    agent.measure(cycle=1).runs(hold(project))


@pytest.mark.matrix
@pytest.mark.parametrize("place", [in_the_agent, in_the_gate, in_the_measure])
def test_a_stopped_run_is_played_to_the_same_commits(
    project: Project, cobbler_agent: StandInAgent, place: Callable[[Project, StandInAgent], None]
) -> None:
    place(project, cobbler_agent)
    assert signalled(project, signal.SIGTERM).ret == pytest.ExitCode.INTERRUPTED
    assert_it_plays(project)
    assert broken_off(project) == ["cancelled"]


def test_a_limited_run_is_played_to_the_same_commits(project: Project, cobbler_agent: StandInAgent) -> None:
    cobbler_agent.task(FIRST).reports(error="Claude AI usage limit reached|1893456000")
    assert record(project).ret == pytest.ExitCode.INTERRUPTED
    assert_it_plays(project)


def test_an_attempt_that_the_api_cut_short_is_played_with_the_one_that_went_on_from_it(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    busy = {"type": "result", "is_error": True, "api_error_status": 529, "result": "overloaded"}
    cobbler_agent.task(FIRST).writes("early", "early\n").prints(json.dumps(busy)).fails()
    cobbler_agent.task(FIRST, attempt=2).writes("state", "bad\n")
    cobbler_agent.task(FIRST, attempt=3).writes("state", "good\n")
    project.configure(max_attempts=2)
    result = record(project)
    assert result.ret == 0, "the first attempt does not count"
    assert "early" in project.files()
    assert_it_plays(project)


def test_a_limit_at_the_end_of_a_recording_is_played_as_a_limit(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.task(FIRST).reports(error="Claude AI usage limit reached|1893456000")
    record(project)
    result = play_afresh(project)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert by_title(result)[FIRST].properties["cobbler_outcome"] == "limited"


def test_a_recording_that_ends_in_an_attempt_fails_with_that_reason(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    in_the_agent(project, cobbler_agent)
    signalled(project, signal.SIGTERM)
    result = play_afresh(project)
    case = by_title(result)[FIRST]
    assert "the recording ends in this attempt, which was broken off (cancelled)" in case.message
    assert case.properties["cobbler_attempts"] == "1"
