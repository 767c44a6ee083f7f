"""Mistakes of the ancestor in measure: in what it made of proposals, and in what it told and counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, measure, records, seed, task
from tests.support.stores import BdStore


def test_no_proposal_without_a_dependency_depends_on_the_first_one(
    project: Project, agent: StandInAgent
) -> None:
    """A ``dependency`` that was missing was read as 0: all tasks needed task 0, and that needed itself."""
    agent.measure().writes_tasks([{"title": "A"}, {"title": "B"}, {"title": "C", "dependency": 1}])
    assert project.run("--cobbler-generate").ret == 0
    needs = {found.title: found.needs for found in project.tasks()}
    assert needs == {"A": (), "B": (), "C": (project.task("B").id,)}


@pytest.mark.parametrize(
    ("proposals", "complaint"),
    [
        ([{"dependency": 1}, {"dependency": 0}], "*wait for each other*"),
        ([{"dependency": 0}, {}], "*itself*"),
        ([{}, {"index": 0}], "*index*"),
    ],
    ids=["circle", "itself", "one index twice"],
)
def test_no_tasks_are_created_that_can_never_start(
    project: Project, agent: StandInAgent, proposals: list[dict[str, int]], complaint: str
) -> None:
    """Circles were not noticed, and of proposals with one index only the last was known."""
    answer = [{"index": n, "title": f"T{n}", "description": "d"} | more for n, more in enumerate(proposals)]
    agent.measure().writes_output(json.dumps(answer))
    result = project.run("--cobbler-generate")
    assert came_to(result) == {"measure::cycle-1": "failed"}
    result.stdout.fnmatch_lines([complaint])
    assert project.tasks() == []


@pytest.mark.matrix("costly")
def test_no_finished_work_is_proposed_again(
    project: Project, agent: StandInAgent, bd_program: Path, bd_template: Path
) -> None:
    """bd lists 50 open issues unless an option sets a limit, and none did: measure saw no finished work."""
    project.write({"measure.tmpl": "{{.ExistingIssues}} {{.OutputPath}}"})
    project.configure(tracker="bd", measure_prompt="measure.tmpl")
    store = BdStore(project.path, bd_program, bd_template)
    store.seed(*(task(f"proj-{n:02}", title=f"Step {n}", status="closed") for n in range(60)))
    answer = [{"index": n, "title": f"step {n}.", "description": "x"} for n in (3, 59)]
    agent.measure().writes_output(json.dumps(answer))
    result = project.run("--cobbler-generate", "configuration.yaml::measure")
    assert came_to(result) == {"measure::cycle-1": "failed"}
    for name in ("proj-03", "proj-59"):
        result.stdout.fnmatch_lines([f"*exists already: {name} *closed*"])
    (prompt,) = project.path.glob(".cobbler/*/attempts/cycle-1/1/prompt.md")
    assert all(f'"proj-{n:02}"' in prompt.read_text() for n in range(60))
    assert len(project.tasks()) == 60


def test_no_measure_is_counted_once_for_each_of_its_tasks(project: Project, agent: StandInAgent) -> None:
    """Each of the tasks that it proposed got a record with all that it had cost."""
    agent.measure().reports(cost_usd=0.75).writes_tasks([{"title": title} for title in "ABC"])
    result = project.run("--cobbler-generate")
    costs = [case.properties["cobbler_cost_usd"] for case in result.junit.values()]
    assert sorted(costs) == ["0.0", "0.0", "0.0", "0.75"]
    result.stdout.fnmatch_lines(["agents: * s, at least 0.7500 USD"])
    assert [found.get("cost_usd") for found in records(project) if found["caller"] == "measure"] == [0.75]


def test_no_measure_without_an_answer_is_a_success(project: Project, agent: StandInAgent) -> None:
    """Where the agent had written no file, that was logged, and the run went on as if nothing was to do."""
    agent.measure().prints("I forgot.")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.junit[measure()].message.startswith("the agent wrote no task file")


def test_no_answer_of_an_earlier_measure_is_read_again(project: Project, agent: StandInAgent) -> None:
    """Old answers were removed by a pattern that never matched without a slash behind ``cobbler_dir``."""
    project.configure(cobbler_dir=".cobbler")
    agent.measure(cycle=1).writes_tasks([{"title": "A"}])
    assert project.run("--cobbler-generate").ret == 0
    agent.measure(cycle=1).runs('rm "$COBBLER_OUTPUT"')
    project.configure(max_attempts=1)
    result = project.run("--cobbler-generate")
    assert result.junit[measure()].message.startswith("the agent wrote no task file")
    assert [found.title for found in project.tasks()] == ["A"]


def test_no_issue_of_another_type_is_taken_for_a_task(project: Project) -> None:
    """The type was read under a name that bd does not use, so that every issue was of type task."""
    project.write({"stitch.tmpl": "{{.IssueType}} {{.ID}}: {{.Title}}"})
    project.configure(stitch_prompt="stitch.tmpl")
    seed(project, task("p-a"), task("p-bug", issue_type="bug"), task("p-epic", issue_type="epic"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-a": "landed"}
    (prompt,) = project.path.glob(".cobbler/*/attempts/p-a/1/prompt.md")
    assert prompt.read_text().startswith("task p-a: p-a")
