"""The use case "resume": a run that died is taken up, and what was open comes before anything new."""

from __future__ import annotations

import signal

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, ids_landed, seed, statuses, task


def test_a_resume_without_a_generation_fails(project: Project) -> None:
    result = project.run("--cobbler-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: no generation is active", "Start one: *"])


def test_a_resume_of_several_generations_fails_until_one_is_chosen(project: Project) -> None:
    seed(project, task("p-a"))
    project.run("--cobbler-start")
    first = project.generation
    project.run("--cobbler-start")
    result = project.run("--cobbler-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: several generations are active: {first}, *", "*generation_branch*"])
    project.configure(generation_branch=first)
    result = project.run("--cobbler-resume", "--cobbler-cycles=0")
    assert came_to(result) == {"stitch::p-a": "landed"}


def test_open_tasks_come_before_new_ones(project: Project, agent: StandInAgent) -> None:
    agent.measure().writes_tasks([{"title": "New"}])
    project.run("--cobbler-start")
    seed(project, task("p-a"))
    result = project.run("--cobbler-resume")
    assert result.ret == 0
    assert list(came_to(result))[:2] == ["stitch::p-a", "measure::cycle-1"]
    assert ids_landed(project) == ["p-a", project.task("New").id]


def test_a_resume_cleans_up_after_a_dead_run(project: Project, agent: StandInAgent) -> None:
    """Its worktree, its claim, and a task branch of an earlier one; another generation's is left alone."""
    begun = agent.directory / "begun"
    agent.task("p-a").writes("half.txt", "half\n").runs(f"touch {begun}").sleeps(300)
    agent.task("p-a", attempt=2).writes("whole.txt", "whole\n")
    seed(project, task("p-a"), task("p-b"))
    running = project.start("--cobbler-generate", "configuration.yaml::stitch::p-a")
    running.wait_until(begun.exists)
    running.send_signal(signal.SIGKILL)
    running.wait()
    name = str(project.generation)
    message = f"Work on p-b: p-b\n\nCobbler-Attempt: p-b 1\nCobbler-Generation: {name}\n"
    stale = project.git("commit-tree", "main^{tree}", "-p", name, "-m", message).strip()
    project.git("update-ref", f"refs/heads/task/{name}-p-b", stale)
    assert statuses(project) == {"p-a": "in_progress", "p-b": "open"}

    result = project.run("--cobbler-resume", "configuration.yaml::stitch")

    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "landed"}
    assert statuses(project) == {"p-a": "closed", "p-b": "closed"}
    assert {"half.txt", "whole.txt", "p-b.txt"} <= project.files().keys()
    assert check(project, result) == []
