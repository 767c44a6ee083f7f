"""Mistakes of the ancestor in recovering from a run that died, and in telling its own things from others'."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, ids_landed, seed, statuses, task
from tests.support.stores import BdStore


def killed(project: Project, agent: StandInAgent) -> None:
    """Generate, and be killed as soon as the agent or the gate has made the file ``begun``."""
    running = project.start("--cobbler-generate")
    running.wait_until((agent.directory / "begun").exists)
    running.send_signal(signal.SIGKILL)
    running.wait()


def test_no_recovered_task_disappears(
    project: Project, agent: StandInAgent, bd_program: Path, bd_template: Path
) -> None:
    """Recovery gave tasks the status ``ready``, which bd does not have: they were never ready again."""
    project.configure(tracker="bd")
    store = BdStore(project.path, bd_program, bd_template)
    store.seed(task("proj-a"))
    agent.task("proj-a").runs(f"touch {agent.directory}/begun").sleeps(300)
    killed(project, agent)
    assert json.loads(store.bd("ready", "--json")) == []
    result = project.run("--cobbler-resume", "configuration.yaml::measure")
    result.stdout.fnmatch_lines(["recovered: released proj-a"])
    assert result.outlines.count("recovered: released proj-a") == 1, "it is in the header; once is enough"
    [ready] = json.loads(store.bd("ready", "--json"))
    assert (ready["id"], ready["status"]) == ("proj-a", "open")


def test_no_second_resume_is_needed_to_clean_up(project: Project, agent: StandInAgent) -> None:
    """Directories were deleted before git forgot that they had branches checked out, and these stayed."""
    begun = agent.directory / "begun"
    once = f"[ ! -e p-a.txt ] || [ -e {begun} ] || {{ touch {begun}; sleep 300; }}"
    project.configure(test_command=once)
    seed(project, task("p-a"))
    killed(project, agent)
    assert project.git("for-each-ref", "refs/heads/task") != ""
    result = project.run("--cobbler-resume", "configuration.yaml::measure")
    assert result.ret == 0
    assert check(project, result) == []


def test_no_generation_takes_the_tasks_of_another_with_the_same_prefix(project: Project) -> None:
    """All of ``task/generation-a-*`` were tasks of ``generation-a``, also those of ``generation-a-b``."""
    assert project.run("--cobbler-start").ret == 0
    name = project.generation or ""
    other = f"{name}-b"
    message = f"Work on p-a: Title\n\nCobbler-Attempt: p-a 1\nCobbler-Generation: {other}\n"
    work = project.git("commit-tree", "main^{tree}", "-p", "main", "-m", message).strip()
    theirs = {f"refs/heads/task/{other}-p-a": work, f"refs/cobbler/attempts/{other}/p-a/1": work}
    for ref, commit in theirs.items():
        project.git("update-ref", ref, commit)
    seed(project, task("p-a"))
    assert project.run("--cobbler-generate", "--cobbler-cycles=0").ret == 0
    left = project.git(
        "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/task", "refs/cobbler/attempts"
    )
    assert dict(line.split() for line in left.splitlines()) == theirs
    assert ids_landed(project) == ["p-a"]


def test_no_second_run_recovers_the_work_of_a_living_one(project: Project, agent: StandInAgent) -> None:
    """There was no lock: the tasks of the first run were taken for a dead one's, and its work was removed."""
    begun, go = agent.directory / "begun", agent.directory / "go"
    agent.task("p-a").runs(f"touch {begun}; until [ -e {go} ]; do sleep 0.1; done").writes("a.txt", "1\n")
    seed(project, task("p-a"))
    running = project.start("--cobbler-generate", "configuration.yaml::stitch")
    running.wait_until(begun.exists)
    for action in ("resume", "reset"):
        result = project.run(f"--cobbler-{action}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: *process {running.pid} on *"])
        assert statuses(project) == {"p-a": "in_progress"}
    go.touch()
    assert came_to(running.wait()) == {"stitch::p-a": "landed"}


def test_no_two_clones_of_one_name_share_their_worktrees(
    project: Project, agent: StandInAgent, tmp_path: Path
) -> None:
    """Worktrees lay in a directory named after that of the checkout, whatever was above it."""
    for mine, other in (("one", "two"), ("two", "one")):
        waits = f"touch {agent.directory}/{mine}; until [ -e {agent.directory}/{other} ]; do sleep 0.1; done"
        agent.task(mine).runs(waits).writes(f"{mine}.txt", "1\n")
    with Project.create(tmp_path, agent) as clone:
        clone.configure(work_dir=project.configuration["work_dir"])
        assert (clone.path.name, clone.path) == (project.path.name, tmp_path / project.path.name)
        seed(project, task("p-a", title="one"))
        seed(clone, task("p-a", title="two"))
        runs = [each.start("--cobbler-generate", "configuration.yaml::stitch") for each in (project, clone)]
        assert [came_to(running.wait()) for running in runs] == [{"stitch::p-a": "landed"}] * 2
        added = [each.files().keys() - each.files("main").keys() for each in (project, clone)]
        assert added == [{"one.txt"}, {"two.txt"}]
