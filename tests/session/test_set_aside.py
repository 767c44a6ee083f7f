"""A task that fails in run after run is set aside until a person removes its label."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE, failed_runs
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import by_title, came_to, seed, statuses, task


def stored(project: Project) -> list[dict[str, Any]]:
    lines = (project.path / ".beads" / "issues.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_task_that_failed_too_often_waits_until_its_label_is_removed(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.task("hard").writes("bad.txt", "bad\n")
    cobbler_agent.otherwise().runs('echo x >"$COBBLER_TASK_ID"')
    seed(project, task("p-hard", title="hard"), task("p-after", "p-hard"))
    project.configure(test_command="[ ! -e bad.txt ]")
    assert project.run("--cobbler-generate").ret == pytest.ExitCode.TESTS_FAILED
    again = project.run("--cobbler-regate")  # which asks no agent, so it does not count
    assert again.ret == pytest.ExitCode.TESTS_FAILED
    assert "set aside" not in by_title(again)["hard"].message
    second = project.run("--cobbler-resume")
    assert "set aside after failed runs" in by_title(second)["hard"].message
    [aside] = [line for line in second.outlines if line.startswith("Set aside: ")]
    assert aside == f"Set aside: p-hard. To try again what is set aside, remove the label {SET_ASIDE}."
    assert "To try again what did not land: pytest --cobbler-resume" in again.outlines
    assert statuses(project)["p-hard"] == "open"
    (hard,) = [record for record in stored(project) if record["id"] == "p-hard"]
    assert hard["labels"] == [SET_ASIDE]
    assert "set aside after failed runs" in hard["comments"][-1]["text"]

    third = project.run("--cobbler-resume")
    assert third.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    third.stdout.fnmatch_lines(
        [f"waiting: p-hard: set aside *: remove its label {SET_ASIDE} to try it again"]
    )

    store = project.path / ".beads" / "issues.jsonl"
    store.write_text(store.read_text().replace(f'"{SET_ASIDE}"', ""))
    cobbler_agent.task("hard", attempt=3).deletes("bad.txt").writes("good.txt", "good\n")
    assert set(came_to(project.run("--cobbler-resume")).values()) == {"landed"}


def test_work_of_a_task_that_was_set_aside_lands_without_an_agent(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    """As its failure says: the gate was repaired, or ``allow_paths`` opens what was refused."""
    cobbler_agent.task("p-gate").writes("bad.txt", "bad\n")
    cobbler_agent.task("p-path").writes("pytest.ini", "[pytest]\n")
    seed(project, task("p-gate"), task("p-path"))
    project.configure(test_command="[ ! -e bad.txt ]", max_failures=1)
    failed = by_title(project.run("--cobbler-generate"))
    assert all("set aside after failed runs" in case.message for case in failed.values())
    project.configure(test_command="true", allow_paths=["pytest.ini"])
    assert project.run("--cobbler-resume").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    planned = project.run("--cobbler-regate", "--collect-only")
    planned.stdout.fnmatch_lines(["*StitchItem p-gate*", "*StitchItem p-path*"])
    landed = project.run("--cobbler-regate")
    assert came_to(landed) == {"stitch::p-gate": "landed", "stitch::p-path": "landed"}


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, jobs=1, max_attempts=1, max_failures=2)
    return cobbler_project


def comment(**facts: object) -> str:
    return "failed: gate\n" + json.dumps({"caller": "stitch", "outcome": "failed", "cause": "gate", **facts})


@pytest.mark.parametrize(
    ("last", "number"),
    [
        ({}, 2),
        ({"cause": "timeout"}, 2),
        ({"outcome": "limited", "cause": "limited"}, 1),
        ({"outcome": "cancelled", "cause": "cancelled"}, 1),
        ({"cause": "landing"}, 1),
        ({"cause": "hook"}, 1),
        ({"shared": True, "cause": "agent"}, 1),
        ({"regated": True}, 1),
        ({"set_aside": True}, 0),
        ({"commit": "0" * 40}, 0),
        ({"caller": "measure"}, 1),
    ],
)
def test_which_runs_count_as_failures_of_a_task(last: Mapping[str, object], number: int) -> None:
    assert failed_runs([comment(), "a person says something", comment(**last)]) == number
