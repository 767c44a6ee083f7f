"""A run that is killed while several agents work, or while it recovers: nothing is lost or done twice."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.faults import git_that_sends, rm_that_stops_half_way
from tests.support.forest import Planned, gate_of_every_commit, plant, titles_that_can_land
from tests.support.images import minimal_image
from tests.support.stores import bd_program, bd_project, bd_template

__all__ = ["bd_program", "bd_project", "bd_template", "minimal_image"]

pytestmark = pytest.mark.matrix
KILLED = -signal.SIGKILL
STEPS = ("attempt", "harvest", "gate", "land", "keep", "close")
MOST_RUNS = 6


def planned(*tasks: tuple[str, tuple[int, ...]], seconds: float = 0.0) -> list[Planned]:
    return [
        Planned(number=number, kind=kind, needs=needs, seconds=seconds)
        for number, (kind, needs) in enumerate(tasks)
    ]


def several(seconds: float = 0.1) -> list[Planned]:
    """Eight tasks that are on their way side by side, conflict, fail, and land."""
    return planned(
        ("appends", ()),
        ("appends", ()),
        ("commits half", ()),
        ("plain", (0,)),
        ("breaks the gate", (2,)),
        ("fails always", ()),
        ("fails once", ()),
        ("edits a line", (3, 4)),
        seconds=seconds,
    )


def killed_after(line: str) -> dict[str, str]:
    """The environment of a run that is killed right after a line of the journal."""
    return {"KILL_AFTER": line, "PYTHONPATH": str(Path(__file__).parents[1] / "support" / "plugins")}


def run_killed_after(project: Project, line: str, env: Mapping[str, str] | None = None) -> int:
    result = project.run("--cobbler-generate", "-p", "killer", env={**killed_after(line), **(env or {})})
    return int(result.ret)


def finish(project: Project, tasks: Sequence[Planned], before: CheckoutState) -> list[RunResult]:
    """Run the same command until everything has landed that can, and hold every run to the invariants."""
    results: list[RunResult] = []
    while not results or titles(project) < titles_that_can_land(tasks):
        results.append(project.run("--cobbler-generate", timeout=300))
        assert int(results[-1].ret) in (0, 1), results[-1].outlines
        assert check(project, results[-1], before=before) == []
        assert len(results) <= MOST_RUNS
    assert titles(project) == titles_that_can_land(tasks)
    assert {task.title for task in project.tasks()} == {task.title for task in tasks}
    return results


def titles(project: Project) -> set[str]:
    return {commit.title for commit in project.landed()}


# While several agents work


@pytest.mark.parametrize("step", STEPS)
def test_a_run_recovers_from_a_kill_while_several_agents_work(
    cobbler_project: Project, tmp_path: Path, step: str
) -> None:
    plant(cobbler_project, several(), jobs=4)
    before = CheckoutState.of(cobbler_project)
    assert run_killed_after(cobbler_project, f"{step}:2") == KILLED
    finish(cobbler_project, several(), before)
    assert gate_of_every_commit(cobbler_project, tmp_path) == {}


def test_a_run_recovers_from_many_kills(cobbler_project: Project) -> None:
    plant(cobbler_project, several(), jobs=4)
    before = CheckoutState.of(cobbler_project)
    for step in STEPS:
        run_killed_after(cobbler_project, f"{step}:1")
    # A git that is killed while it moves branch and notes leaves its lock.
    lock = cobbler_project.path / ".git" / "refs" / "notes" / "cobbler.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.touch()
    os.utime(lock, (0, 0))
    finish(cobbler_project, several(), before)


def wait_for_bd(project: Project) -> None:
    """Until no bd works on its store: one outlives its pytest, and does what its command says."""
    store = f"BEADS_DIR={project.path / '.beads'}".encode()
    while any(store in environment.split(b"\0") for environment in environments()):
        time.sleep(0.05)


def environments() -> Iterator[bytes]:
    """Those of all processes."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


def test_a_run_in_podman_with_bd_recovers_from_a_kill(
    bd_project: Project, minimal_image: str, some: Callable[[Sequence[str]], Sequence[str]]
) -> None:
    tasks = planned(("plain", ()), ("appends", ()), ("breaks the gate", (0,)), seconds=0.1)
    plant(
        bd_project,
        tasks,
        jobs=2,
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=bd_project.agent.podman_arguments,
    )
    before = CheckoutState.of(bd_project)
    for step in some(("attempt", "land", "keep")):
        assert run_killed_after(bd_project, f"{step}:1") == KILLED
    # Of a bd that lost its pytest; from then on it is the user's for all that anybody knows.
    wait_for_bd(bd_project)
    (bd_project.path / ".beads.gate.lock").unlink(missing_ok=True)
    finish(bd_project, tasks, before)


# What was on its way


def test_the_work_of_a_killed_agent_is_kept_and_continued(cobbler_project: Project) -> None:
    agent = cobbler_project.agent
    agent.measure().writes_tasks([{"title": "Add both"}])
    begun = cobbler_project.directory / "begun"
    agent.task("Add both").writes("first.txt", "1\n").runs(f"touch {begun}").sleeps(300)
    agent.task("Add both", attempt=2).runs("cat first.txt").writes("second.txt", "2\n")
    before = CheckoutState.of(cobbler_project)
    running = cobbler_project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    left = "\n".join(check(cobbler_project))
    assert "process" in left, "the agent outlives its pytest"
    assert tempfile.gettempdir() in left, "and so does its home"

    result = cobbler_project.run("--cobbler-generate")

    task = cobbler_project.task("Add both").id
    kept = f"refs/cobbler/attempts/{cobbler_project.generation}/{task}/1"
    result.stdout.fnmatch_lines(
        [f"recovered: kept the work on {task} as {kept}", f"recovered: released {task}"]
    )
    assert check(cobbler_project, result, before=before) == []
    files = cobbler_project.files()
    assert (files["first.txt"], files["second.txt"]) == ("1\n", "2\n")


def test_recovery_may_be_killed_too(cobbler_project: Project) -> None:
    agent = cobbler_project.agent
    agent.measure().writes_tasks([{"title": "Add both"}])
    agent.task("Add both").writes("first.txt", "1\n")
    agent.task("Add both", attempt=2).runs("cat first.txt").writes("second.txt", "2\n")
    before = CheckoutState.of(cobbler_project)
    assert run_killed_after(cobbler_project, "agent:1") == KILLED
    for number in itertools.count(1):
        directory = cobbler_project.directory / f"bin-{number}"
        result = cobbler_project.run(
            "--cobbler-generate", env=git_that_sends(signal.SIGKILL, directory, number)
        )
        if result.ret != KILLED:
            break
    assert number > 4, "to keep a dead run's work takes more changes than that"
    assert check(cobbler_project, result, before=before) == []
    assert {"first.txt", "second.txt"} <= set(cobbler_project.files())


def test_an_incomplete_worktree_is_not_kept_as_work(cobbler_project: Project) -> None:
    agent = cobbler_project.agent
    agent.measure().writes_tasks([{"title": "Add it"}])
    agent.task("Add it")  # changes nothing
    agent.task("Add it", attempt=2).writes("it.txt", "1\n")
    environment = rm_that_stops_half_way(cobbler_project.directory / "bin")
    before = CheckoutState.of(cobbler_project)
    assert cobbler_project.run("--cobbler-generate", env=environment).ret == KILLED

    result = cobbler_project.run("--cobbler-generate")

    result.assert_outcomes(passed=2)
    assert check(cobbler_project, result, before=before) == []
    assert set(cobbler_project.files()) == {"README.md", "configuration.yaml", "it.txt"}
