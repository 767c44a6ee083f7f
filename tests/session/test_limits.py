"""Limits of the API for agents that no proxy serves: their own words count, but not each alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.scripted_api import ScriptedApi, always, error, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, statuses, task

WEEKLY = "Weekly limit reached"


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi() as server:
        yield server


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project, *(task(f"p-{at}", title=f"task {at}", priority=at) for at in range(4)))
    cobbler_project.configure(cycles=0, jobs=1, max_attempts=1)
    return cobbler_project


@pytest.mark.usefixtures("claude_program")
def test_a_refused_key_ends_a_run_of_claude_before_it_tries_again(project: Project, api: ScriptedApi) -> None:
    project.configure(agent="claude", agent_command=None)
    api.script("", [always(error(401, "invalid x-api-key"))])
    environment = {**api.environment, "CLAUDE_CODE_MAX_RETRIES": "10"}
    result = project.run("--cobbler-generate", env=environment)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    cancelled = {f"stitch::p-{at}": "cancelled" for at in (1, 2, 3)}
    assert came_to(result) == {"stitch::p-0": "limited"} | cancelled
    assert by_title(result)["task 0"].properties["cobbler_cause"] == "access"
    assert set(statuses(project).values()) == {"open"}
    assert len(api.requests) == 1
    result.stdout.fnmatch_lines(["*!! Interrupted: limited: agent: API error 401* (as the agent reports)*"])
    result.stdout.fnmatch_lines(["To go on: check the credential * pytest --cobbler-resume"])


@pytest.mark.usefixtures("claude_program")
def test_new_agents_wait_for_a_fault_after_which_claude_tries_again_by_itself(
    project: Project, api: ScriptedApi
) -> None:
    project.configure(agent="claude", agent_command=None, max_issues=2, jobs=2)
    write = turn(tool("Bash", command="echo done >half.txt", description="Write"))
    api.script("<title>\ntask 0", [write, error(529), turn(text("Done."))])
    api.script("", [turn(tool("Bash", command="echo done >other.txt")), turn(text("Done."))])
    result = project.run("--cobbler-generate", env=api.environment)
    assert came_to(result) == {"stitch::p-0": "landed", "stitch::p-1": "landed"}
    result.stdout.fnmatch_lines(["api: 1 x 529; new agents waited * s; 1 of 2 in parallel at the least"])
    assert check(project, result) == []


def test_a_limit_that_two_tasks_report_in_a_row_ends_the_run(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.otherwise().writes("half.txt", "half\n").reports(error=WEEKLY)
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert came_to(result) == {
        "stitch::p-0": "limited",
        "stitch::p-1": "limited",
        "stitch::p-2": "cancelled",
        "stitch::p-3": "cancelled",
    }
    assert set(statuses(project).values()) == {"open"}
    assert "half.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/p-0/1")


def test_a_measure_waits_for_the_api_and_is_asked_again(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    busy = {"type": "result", "is_error": True, "api_error_status": 529, "result": "overloaded"}
    cobbler_agent.measure().prints(json.dumps(busy)).fails()
    cobbler_agent.measure(cycle=1, attempt=2).writes_tasks([{"title": "First"}])
    cobbler_agent.task("First").writes("first.txt", "first\n")
    cobbler_project.configure(cycles=1, max_attempts=1)
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == 0
    assert set(came_to(result).values()) == {"proposed", "landed"}
    result.stdout.fnmatch_lines(["*waiting for the API: API error 529: overloaded; 1 agent from ??:??:??"])
    result.stdout.fnmatch_lines(["api: 1 x 529; new agents waited 2 s; 1 of 2 in parallel at the least"])
