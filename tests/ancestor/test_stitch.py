"""The use case "stitch": an agent does each task that is ready, and its work is merged."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, ids_landed, records, seed, statuses, task

STITCH = "configuration.yaml::stitch"


def test_a_run_without_an_open_task_has_nothing_to_do(project: Project) -> None:
    """The ancestor's exit status was 0; pytest has one of its own for that."""
    seed(project, task("p-a", status="closed"))
    result = project.run("--cobbler-generate", STITCH)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_task_leaves_a_commit_and_no_branch(project: Project) -> None:
    assert project.run("--cobbler-start").ret == 0
    name = str(project.generation)
    first = project.git("rev-parse", name)
    seed(project, task("p-a", title="Add a file"))
    result = project.run("--cobbler-generate", STITCH)
    assert (result.ret, came_to(result), statuses(project)) == (
        0,
        {"stitch::p-a": "landed"},
        {"p-a": "closed"},
    )
    assert project.git("rev-parse", f"{name}~1") == first
    assert project.git("log", "-1", "--format=%s", name) == "Add a file\n"
    assert check(project, result) == []


def test_tasks_run_after_their_dependencies(project: Project) -> None:
    seed(project, task("p-c", "p-b", priority=0), task("p-b", "p-a", priority=1), task("p-a", priority=2))
    assert project.run("--cobbler-generate", STITCH).ret == 0
    assert ids_landed(project) == ["p-a", "p-b", "p-c"]


def test_a_stitch_is_recorded(project: Project, agent: StandInAgent) -> None:
    agent.task("p-a").writes("two.txt", "1\n2\n").reports(tokens_output=5)
    seed(project, task("p-a"))
    project.run("--cobbler-generate", STITCH)
    [found] = records(project)
    assert (found["caller"], found["diff"]) == ("stitch", {"files": 1, "insertions": 2, "deletions": 0})
    assert {"started_at", "duration_s", "tokens", "loc_before", "loc_after"} <= found.keys()
    assert found["commit"] == project.landed()[0].commit


def test_a_second_run_finds_no_open_task(project: Project, agent: StandInAgent) -> None:
    agent.measure().writes_tasks([{"title": "The only one"}])
    assert project.run("--cobbler-generate").ret == 0
    landed = ids_landed(project)
    result = project.run("--cobbler-generate")
    assert (result.ret, came_to(result)) == (0, {"measure::cycle-1": "proposed"})
    assert ids_landed(project) == landed


def test_a_stitch_template_of_the_ancestor_is_filled_in(project: Project) -> None:
    project.write({"stitch.tmpl": "{{.ID}}|{{.Title}}|{{.IssueType}}|{{.Description}}|\n"})
    project.configure(stitch_prompt="stitch.tmpl")
    seed(project, task("p-a", title="Add it", description="A file."))
    assert project.run("--cobbler-generate", STITCH).ret == 0
    (prompt,) = project.path.glob(".cobbler/*/attempts/p-a/1/prompt.md")
    assert prompt.read_text().startswith("p-a|Add it|task|A file.|\n")
