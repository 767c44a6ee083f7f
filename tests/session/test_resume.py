"""``--cobbler-resume``: ``--cobbler-generate`` on an existing generation."""

from __future__ import annotations

import json
import os
import signal

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, came_to, seed, task


@pytest.mark.parametrize("options", [(), ("--collect-only",)])
def test_without_a_generation_nothing_is_started(cobbler_project: Project, options: tuple[str, ...]) -> None:
    result = cobbler_project.run("--cobbler-resume", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        "ERROR: no generation is active",
        "Start one: pytest --cobbler-start",
    ]
    assert cobbler_project.generation is None


def test_with_several_generations_one_must_be_named(cobbler_project: Project) -> None:
    cobbler_project.run("--cobbler-start")
    cobbler_project.run("--cobbler-start")
    result = cobbler_project.run("--cobbler-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: several generations are active: generation-*, generation-*"])


@pytest.mark.quick
def test_resume_continues_after_a_dead_run_and_lists_the_recovered_work(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    begun = cobbler_project.directory / "begun"
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_agent.task("p-a").writes("first.txt", "1\n").runs(f"touch {begun}").sleeps(300)
    cobbler_agent.task("p-a", attempt=2).runs("cat first.txt").writes("second.txt", "2\n")
    cobbler_agent.measure().writes_tasks([{"title": "New"}])
    seed(cobbler_project, task("p-a"), task("p-b", "p-a"))
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()

    result = cobbler_project.run("--cobbler-resume", "-q")

    assert result.ret == 0
    assert list(came_to(result).items())[:2] == [("stitch::p-a", "landed"), ("stitch::p-b", "landed")]
    summary = result.outlines[next(n for n, line in enumerate(result.outlines) if "- cobbler -" in line) :]
    kept = f"refs/cobbler/attempts/{cobbler_project.generation}/p-a/1"
    assert f"recovered: kept the work on p-a as {kept}" in summary
    assert "recovered: released p-a" in summary, "-q prints no header, where it is otherwise"
    stats = json.loads(cobbler_project.run("--cobbler-stats", "--cobbler-format=json").stdout.str())
    [counted] = stats["generations"]
    assert (counted["landed"]["attempts"], counted["wasted"]["attempts"]) == (3, 1)
    assert counted["wasted"]["cost_is_partial"], "what the killed attempt cost is unknown"
    assert check(cobbler_project, result) == []


def test_a_second_run_is_told_which_process_holds_the_repository(
    cobbler_project: Project, cobbler_agent: StandInAgent
) -> None:
    at_work = cobbler_agent.directory / "at-work"
    cobbler_agent.task("p-a").runs(f"touch {at_work}; sleep 60")
    seed(cobbler_project, task("p-a"))
    cobbler_project.run("--cobbler-start")
    running = cobbler_project.start("--cobbler-resume")
    running.wait_until(at_work.exists)
    result = cobbler_project.run("--cobbler-generate")
    result.stderr.fnmatch_lines([f"ERROR: *pytest --cobbler-resume, process {running.pid} on *"])
