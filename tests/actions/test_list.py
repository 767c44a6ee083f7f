"""``--cobbler-list`` and ``--cobbler-switch``: which generations there are, and which one is worked on."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, seed, task


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    return cobbler_project


@pytest.fixture
def two(project: Project) -> tuple[str, str]:
    """The names of two active generations."""
    first, second = (started(project) for _ in range(2))
    return first, second


def started(project: Project) -> str:
    return str(project.run("--cobbler-start").outlines[0].split()[1])


def as_json(project: Project) -> list[dict[str, Any]]:
    result = project.run("--cobbler-list", "--cobbler-format=json")
    assert (result.ret, result.errlines) == (0, [])
    found: list[dict[str, Any]] = json.loads("\n".join(result.outlines))["generations"]
    return found


@pytest.mark.parametrize("option", ["--cobbler-list", "--cobbler-switch"])
def test_the_list_without_a_generation_is_empty(project: Project, option: str) -> None:
    result = project.run(option)
    assert (result.ret, result.outlines) == (0, ["No generations found."])
    assert as_json(project) == []


def test_a_line_shows_state_tasks_age_and_cost_of_which_nothing_is_known(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    seed(project, task("p-a"), task("p-b"), task("p-c", "p-b"), task("p-d", status="closed"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch::p-a")
    result.stdout.fnmatch_lines(["agents: * s, at least 0.0000 USD"])
    result.stdout.no_fnmatch_line("cost:*")
    before = CheckoutState.of(project)
    (line,) = project.run("--cobbler-list").outlines
    cost = r"at least 0\.0000 USD"
    assert re.fullmatch(rf"\* {project.generation}  active  1 landed, 2 open  \d+ s  {cost}", line)
    (facts,) = as_json(project)
    assert facts.pop("age_seconds") < 120
    assert facts == {
        "name": project.generation,
        "state": "active",
        "active": True,
        "base": "main",
        "tip": project.git("rev-parse", project.generation or "").strip(),
        "landed": 1,
        "open": 2,
        "left": 0,
        "cost_usd": 0.0,
        "cost_is_partial": True,
        "paid_usd": 0.0,
        "paid_is_partial": True,
        "agents": ["command"],
    }
    assert check(project, before=before) == []


def test_the_list_shows_what_was_paid_not_only_what_landed(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    project.configure(max_attempts=2)
    cobbler_agent.otherwise().runs(WRITES_A_FILE).reports(cost_usd=0.25)
    cobbler_agent.task("p-bad").reports(cost_usd=0.5).fails()
    cobbler_agent.measure().reports(cost_usd=2.0).writes_tasks([{"title": "Proposed"}])
    seed(project, task("p-a"), task("p-bad"))
    assert project.run("--cobbler-generate").ret == 1
    (facts,) = as_json(project)
    assert (facts["cost_usd"], facts["paid_usd"]) == (0.5, 3.5)
    (line,) = project.run("--cobbler-list").outlines
    assert line.endswith("  3.5000 USD, 0.5000 USD of it landed")


def test_ended_generations_are_listed_with_how_they_ended(project: Project) -> None:
    merged, abandoned, halfway, gone = (started(project) for _ in range(4))
    for name, *kinds in ((merged, "finished", "merged"), (abandoned, "abandoned"), (halfway, "finished")):
        for kind in kinds:
            project.git("tag", "--annotate", "--message", "by hand", f"{name}-{kind}", name)
    for name in (merged, abandoned, halfway, gone):
        project.git("branch", "--quiet", "-D", name)
    project.git("branch", "generation-of-mine")
    project.git("tag", "generation-2020-02-03-04-05-06-merged")  # as the ancestor made them
    found = {one["name"]: (one["state"], one["base"], one["landed"], one["open"]) for one in as_json(project)}
    assert found == {
        merged: ("merged", "main", 0, None),
        abandoned: ("abandoned", "main", 0, None),
        halfway: ("finished", "main", 0, None),
        gone: ("gone", None, 0, None),
        "generation-of-mine": ("unreadable", None, 0, None),
        "generation-2020-02-03-04-05-06": ("merged", None, 0, None),
    }
    lines = project.run("--cobbler-list").outlines
    assert lines[0].split() == ["generation-2020-02-03-04-05-06", "merged"]
    assert [line.split()[0] for line in lines[1:5]] == [merged, abandoned, halfway, gone]


def test_commands_work_on_the_chosen_generation(
    project: Project, two: tuple[str, str], cobbler_agent: StandInAgent
) -> None:
    first, second = two
    assert [one["active"] for one in as_json(project)] == [False, False]
    seed(project, task("p-a"))
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    before = project.git("status", "--porcelain"), project.git("symbolic-ref", "HEAD")
    for name in (second, first):
        result = project.run(f"--cobbler-switch={name}")
        assert (result.ret, result.outlines) == (0, [f"Commands now work on {name}, from main."])
        assert {one["name"]: one["active"] for one in as_json(project)} == {n: n == name for n in two}
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert came_to(result) == {"stitch::p-a": "landed"}
    result.stdout.fnmatch_lines([f"cobbler: {first} on main"])
    assert (project.git("status", "--porcelain"), project.git("symbolic-ref", "HEAD")) == before


def test_switching_without_a_name_lists_the_generations(project: Project, two: tuple[str, str]) -> None:
    result = project.run("--cobbler-switch")
    assert [line.split()[0] for line in result.outlines] == list(two)


def test_switching_to_an_unknown_generation_is_an_error_that_lists_the_others(
    project: Project, two: tuple[str, str]
) -> None:
    for name in ("generation-1999-01-01-00-00-00", "main"):
        result = project.run("--cobbler-switch", name)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(
            [f"ERROR: no generation {name} is active", f"Choose one of {two[0]}, {two[1]}."]
        )
    assert project.git("for-each-ref", "refs/cobbler") == ""


def test_the_configuration_takes_precedence_over_a_switch(project: Project, two: tuple[str, str]) -> None:
    project.configure(generation_branch=two[1])
    assert [one["active"] for one in as_json(project)] == [False, True]
    result = project.run("--cobbler-switch", two[0])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: generation_branch: {two[1]} in configuration.yaml takes precedence"]
    )


def test_the_choice_of_a_deleted_generation_is_ignored(project: Project, two: tuple[str, str]) -> None:
    project.run("--cobbler-switch", two[0])
    project.git("branch", "--quiet", "-D", two[0])
    assert [(one["name"], one["active"]) for one in as_json(project)] == [(two[0], False), (two[1], True)]
    assert project.run("--cobbler-resume", "--collect-only").ret in (0, 5)


def test_work_that_is_only_in_a_directory_is_listed_until_a_person_removes_it(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    seed(project, task("p-a"), task("p-b"))
    project.configure(max_attempts=1, cycles=0)
    cobbler_agent.task("p-a").runs("truncate -s 60M huge.bin")
    cobbler_agent.task("p-b").runs("echo 1 >b.txt")
    result = project.run("--cobbler-generate")
    result.stdout.fnmatch_lines(["To list work that is only in a directory: pytest --cobbler-list"])
    name = str(project.generation)
    [path] = (project.directory / "work").glob(f"*/kept/{name}/p-a-1.1")
    cobbler_agent.task("p-a", attempt=2).runs("echo 1 >a.txt")
    assert project.run("--cobbler-resume").ret == 0
    assert project.run("--cobbler-stop").ret == 0

    why = "harvest: larger than 50 MiB: huge.bin"
    listed = project.run("--cobbler-list").outlines
    assert listed[-2:] == [
        f"Work that is only in a directory: {path} (attempt 1 at p-a): {why}",
        "Remove such a directory when you have what you need of it.",
    ]
    found = json.loads("\n".join(project.run("--cobbler-list", "--cobbler-format=json").outlines))
    facts = {"generation": name, "task": "p-a", "attempt": 1, "path": str(path), "why": why, "again": True}
    assert found["kept_aside"] == [facts]
    assert (path / "tree" / "huge.bin").exists()
    shutil.rmtree(path)
    assert "directory" not in project.run("--cobbler-list").stdout.str()
