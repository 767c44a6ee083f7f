"""``--cobbler-show ID``: prompt, steps, diff and gate log of each attempt, for people."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_cobbler.testing.invariants import CheckoutState
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, seed, stitch, task

ESCAPE = "\x1b]0;title\x07\x1b[31m"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A task that fails the gate once and then lands, one that fails twice, and one without an attempt."""
    agent = cobbler_project.agent
    cobbler_project.configure(
        test_command="cat *.txt; ! grep -q wrong *.txt || { echo 'ValueError: it is wrong'; false; }",
        spec_globs={"documents": "twice.txt"},
    )
    agent.task("Twice").writes("twice.txt", "wrong\n").prints(f"First{ESCAPE} try").reports(cost_usd=0.25)
    agent.task("Twice", attempt=2).writes("twice.txt", f"right{ESCAPE}\n").prints("Second try")
    for attempt in (1, 2):
        agent.task("Never", attempt=attempt).writes("never.txt", "wrong\n").prints("I try")
    agent.measure().prints("Looking around").writes_tasks([])
    seed(
        cobbler_project,
        task("p-twice", title="Twice"),
        task("p-never", title="Never"),
        task("p-later", "p-never", title="Later"),
    )
    assert cobbler_project.run("--cobbler-generate").ret == 1
    return cobbler_project


def shown(project: Project, *arguments: str) -> list[str]:
    result = project.run("--cobbler-show", *arguments)
    assert result.ret == 0, "\n".join(result.errlines)
    assert "\x1b" not in "\n".join(result.outlines)
    return result.outlines


def test_each_attempt_is_shown_with_prompt_steps_diff_and_log(project: Project) -> None:
    before = CheckoutState.of(project)
    lines = shown(project, "p-twice")
    commit = project.landed()[0].commit
    assert lines[0] == "p-twice Twice (closed)"
    heads = [line for line in lines if line.startswith("=== ")]
    assert heads == [
        f"=== attempt 1 in {project.generation}: gate: ValueError: it is wrong; test failed (exit 1)",
        f"=== attempt 2 in {project.generation}: landed in {commit[:12]}",
    ]
    first, second = lines[: lines.index(heads[1])], lines[lines.index(heads[1]) :]
    assert "cost: 0.2500 USD" in first
    for part, of in ((first, 1), (second, 2)):
        place = f".cobbler/{project.generation}/attempts/p-twice/{of}"
        titles = [line for line in part if line.startswith(">> ")]
        names = [title.split(" (")[0].removeprefix(">> ") for title in titles]
        assert names == ["prompt", "steps", "diff", "gate log"]
        assert f">> prompt ({place}/prompt.md)" in titles
        assert f">> gate log ({place}/gate.log)" in titles
    assert any("Twice" in line for line in first)
    assert r"First\x1b]0;title\x07\x1b[31m try" in first
    assert "+wrong" in first
    assert "ValueError: it is wrong" in first
    assert "note: review these: twice.txt" in second, "as the commit does"
    report = json.loads((project.path / f".cobbler/{project.generation}/report.json").read_bytes())
    [twice] = [task for task in report["tasks"] if task["title"] == "Twice"]
    assert twice["attempts"][1]["notes"] == ["review these: twice.txt"]
    assert "Second try" in second
    assert "+right" in second
    assert CheckoutState.of(project) == before
    assert shown(project, stitch("p-twice")) == lines, "a node id will do"


def test_failed_attempts_name_their_cause_and_their_refs(project: Project) -> None:
    lines = shown(project, "p-never")
    assert lines[0] == "p-never Never (open)"
    for number in (1, 2):
        cause = "gate: ValueError: it is wrong; test failed (exit 1)"
        assert f"=== attempt {number} in {project.generation}: {cause}" in lines
        assert f">> diff (refs/cobbler/attempts/{project.generation}/p-never/{number})" in lines


def test_without_its_directory_what_git_has_is_shown_and_the_rest_is_named(project: Project) -> None:
    shutil.rmtree(project.path / ".cobbler")
    landed = shown(project, "p-twice")
    place = f".cobbler/{project.generation}/attempts/p-twice/2"
    assert f">> prompt: {place} is gone" in landed
    assert f">> gate log: {place} is gone" in landed
    assert "+right" in landed
    assert "+wrong" in shown(project, "p-never")


def test_a_measure_and_a_task_without_an_attempt_are_shown(project: Project) -> None:
    lines = shown(project, "cycle-1")
    assert f"=== attempt 1 in {project.generation}: gave an answer" in lines
    assert {"Looking around", "[]"} <= set(lines)
    assert shown(project, "p-later") == [
        "p-later Later (open)",
        "No attempt was made, or nothing of one is left.",
    ]
    assert shown(project) == [
        "p-later Later (open)",
        "p-never Never (open)",
        "p-twice Twice (closed)",
        "cycle-1",
    ]


@pytest.mark.parametrize("name", ["p-gone", "../../etc", "*"])
def test_an_unknown_id_is_an_error(cobbler_project: Project, name: str) -> None:
    result = cobbler_project.run("--cobbler-show", name)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --cobbler-show: there is no task or measure {name.rpartition('::')[2]}" in result.errlines


def test_an_attempt_under_way_is_shown_as_far_as_it_got(cobbler_project: Project) -> None:
    agent = cobbler_project.agent
    waits = f"until [ -e {agent.directory}/go ]; do sleep 0.05; done"
    agent.task("Slow").prints("Working on it").runs(f"touch {agent.directory}/here; {waits}; {WRITES_A_FILE}")
    seed(cobbler_project, task("p-slow", title="Slow"))
    running = cobbler_project.start("--cobbler-generate", "configuration.yaml::stitch")
    running.wait_until((agent.directory / "here").exists)
    lines = shown(cobbler_project, "p-slow")
    (agent.directory / "go").touch()
    assert running.wait().ret == 0
    assert f"=== attempt 1 in {cobbler_project.generation}: not ended yet: a run is under way" in lines
    assert "Working on it" in lines
    assert ">> diff: none" in lines


def test_long_parts_are_cut_unless_all_is_asked_for(cobbler_project: Project) -> None:
    cobbler_project.agent.task("Long").writes("long.txt", "\n".join(f"line {n}" for n in range(300)))
    seed(cobbler_project, task("p-long", title="Long"))
    cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    lines = shown(cobbler_project, "p-long")
    assert "+line 50" in lines
    assert "+line 299" not in lines
    assert any("lines left out; -v prints all" in line for line in lines)
    assert lines[lines.index("<title>") + 1] == "Long", "the task is at the end of its long prompt"
    assert "+line 299" in shown(cobbler_project, "p-long", "-v")
