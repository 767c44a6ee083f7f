"""The use case "measure": an agent proposes tasks, and they are in the tracker."""

from __future__ import annotations

from datetime import datetime, timedelta

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, records, seed, statuses, task

MEASURE = "configuration.yaml::measure"

TEMPLATE = """\
Existing: {{.ExistingIssues}}
At most {{.Limit}}, of {{.LinesMin}} to {{.LinesMax}} lines.
{{if .UserInput}}Also: {{.UserInput}}{{end}}
Write to {{.OutputPath}}
"""


def test_proposed_tasks_are_open_in_the_tracker(project: Project, agent: StandInAgent) -> None:
    agent.measure().writes_tasks(
        [
            {"index": 0, "title": "First", "description": "The one.", "dependency": -1},
            {"index": 1, "title": "Second", "description": "The other.", "dependency": 0},
        ]
    )
    result = project.run("--cobbler-generate", MEASURE)
    assert (result.ret, came_to(result)) == (0, {"measure::cycle-1": "proposed"})
    first, second = project.task("First"), project.task("Second")
    assert (first.type, first.status, first.description) == ("task", "open", "The one.")
    assert second.needs == (first.id,)


def test_a_measure_is_recorded(project: Project, agent: StandInAgent) -> None:
    agent.measure().reports(tokens_input=7, tokens_output=5, cost_usd=0.5).writes_tasks([{"title": "A"}])
    project.run("--cobbler-generate", MEASURE)
    [found] = records(project)
    keys = ("caller", "started_at", "duration_s", "tokens", "loc_before", "loc_after", "diff")
    assert {key for key in keys if key not in found} == set()
    assert (found["caller"], found["cost_usd"]) == ("measure", 0.5)
    assert isinstance(found["tokens"], dict)
    assert (found["tokens"]["input"], found["tokens"]["output"]) == (7, 5)
    assert datetime.fromisoformat(str(found["started_at"])).utcoffset() == timedelta()


def test_a_measure_proposes_no_more_tasks_than_the_limit(project: Project, agent: StandInAgent) -> None:
    """The ancestor only asked for it."""
    project.configure(max_issues=2)
    agent.measure().writes_tasks([{"title": title} for title in ("One", "Two", "Three")])
    assert project.run("--cobbler-generate", MEASURE).ret == 0
    assert {found.title for found in project.tasks()} == {"One", "Two"}


def test_a_measure_without_proposals_is_a_success(project: Project) -> None:
    result = project.run("--cobbler-generate", MEASURE)
    assert (result.ret, came_to(result), project.tasks()) == (0, {"measure::cycle-1": "proposed"}, [])


def test_a_measure_template_of_the_ancestor_is_filled_in(project: Project, agent: StandInAgent) -> None:
    project.write({"measure.tmpl": TEMPLATE})
    project.configure(measure_prompt="measure.tmpl", user_prompt="be brief", max_issues=4)
    seed(project, task("p-a", title="Is there"))
    agent.measure().writes_tasks([{"title": "Something else"}])
    assert project.run("--cobbler-generate", MEASURE).ret == 0
    (prompt,) = project.path.glob(".cobbler/*/attempts/cycle-1/1/prompt.md")
    lines = prompt.read_text().splitlines()
    assert '"title": "Is there"' in prompt.read_text()
    assert {"At most 4, of 250 to 350 lines.", "Also: be brief"} <= set(lines)
    assert statuses(project)["p-a"] == "open"
