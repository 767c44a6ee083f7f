"""An agent whose node is lost: another one follows, and no attempt is counted; but not without end."""

from __future__ import annotations

import pytest

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sites.records import PlaceRecord, places_on_nodes
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, stitch, task

HOOK = """
from dataclasses import replace
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.causes import Ending

class Losing(CommandAgent):
    def run(self, request, sandbox, cancellation):
        result = super().run(request, sandbox, cancellation)
        if request.task_id == "p-a" and request.attempt > 2:
            return result
        lost = replace(result.completed, status=137, cause=Ending.LOST)
        return replace(result, completed=lost, error="its node is lost")

def pytest_cobbler_agent():
    return Losing(COMMAND)
"""


def test_a_lost_attempt_is_not_counted_up_to_three_times(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    project = cobbler_project
    project.configure(cycles=0, max_attempts=1)
    seed(project, task("p-a"), task("p-b"))
    for attempt in (1, 2, 3):
        cobbler_agent.task("p-a", attempt=attempt).writes(f"{attempt}.txt", "1\n")
    (project.path / "conftest.py").write_text(f"COMMAND = {cobbler_agent.command!r}\n{HOOK}")

    result = project.run("--cobbler-generate", timeout=300)

    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "failed"}
    case = result.junit[stitch("p-b")]
    assert (case.properties["cobbler_cause"], case.properties["cobbler_attempts"]) == ("lost", "4")
    assert case.message.splitlines()[:2] == ["its node is lost", "attempt 1: its node is lost"]


@pytest.mark.parametrize("action", ["--cobbler-reset", "--cobbler-stop"])
def test_work_on_nodes_that_a_run_does_not_reach_is_named_and_is_no_success(
    cobbler_project: Project, action: str
) -> None:
    project = cobbler_project
    project.configure(cycles=0)
    assert project.run("--cobbler-start").ret == 0
    repository, generation = Repository(project.path, project.directory / "work"), str(project.generation)
    records = places_on_nodes(repository, generation)
    records.create("p-a-1")
    commit, purpose = project.git("rev-parse", "HEAD").strip(), {"task": "p-a", "number": "1"}
    records.write(
        PlaceRecord(name="p-a-1", node="n2", parent=commit, tree_id=commit, purpose=purpose, engine="slurm")
    )
    where = "the work on p-a (attempt 1) is on node n2 of slurm, which this configuration does not reach"

    result = project.run("--cobbler-generate")

    assert result.ret == 1
    assert f"warning: {where}" in result.outlines
    assert f"NODE: {where}; the next run with sandbox: slurm asks the node again" in result.outlines
    ended = project.run(action)
    remedy = "to remove it: pytest --cobbler-clean nodes/n2 --cobbler-force"
    assert (ended.ret, ended.outlines[-1]) == (1, f"NODE: {where}; {remedy}")
    forgotten = project.run("--cobbler-clean=nodes/n2", "--cobbler-force")
    assert forgotten.outlines == [
        f"forgot n2 of slurm, which sandbox: none does not reach, with work: {generation}/p-a-1; "
        "its files stay there"
    ]
    assert places_on_nodes(repository, generation).all() == []
