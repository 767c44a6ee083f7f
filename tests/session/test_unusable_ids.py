"""A task whose id cannot be part of a branch's name is skipped, and the others are done."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, seed, statuses, task
from tests.support.stores import BdStore, bd_program, bd_template

__all__ = ["bd_program", "bd_template"]

UNUSABLE = "p-a..b"
TASKS = (task(UNUSABLE), task("p-c", UNUSABLE), task("p-d"))


@pytest.fixture(params=["embedded", pytest.param("bd", marks=pytest.mark.bd)])
def project(request: pytest.FixtureRequest, cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, tracker=request.param)
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    if request.param == "embedded":
        seed(cobbler_project, *TASKS)
        return cobbler_project
    program, template = request.getfixturevalue("bd_program"), request.getfixturevalue("bd_template")
    BdStore(cobbler_project.path, program, template).seed(*TASKS)
    return cobbler_project


@pytest.mark.matrix("costly")
def test_an_unusable_id_is_named_and_the_run_does_not_pass(project: Project) -> None:
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert came_to(result) == {"stitch::p-d": "landed"}
    named = f"waiting: {UNUSABLE}: an id that cannot be part of a branch name: rename the task"
    assert result.outlines.count(named) == 1
    assert f"waiting: p-c: waits for {UNUSABLE}" in result.outlines
    assert statuses(project) == {UNUSABLE: "open", "p-c": "open", "p-d": "closed"}


def test_an_unusable_id_is_named_before_a_run(project: Project) -> None:
    result = project.run("--cobbler-generate", "--collect-only")
    assert result.ret == 0
    assert any(line.startswith(f"waiting: {UNUSABLE}: an id that") for line in result.outlines)
