"""Mistakes of the ancestor in what a run goes on with, and where it ends."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.faults import git_that_sends
from tests.support.generations import refs
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, seed, statuses, stitch, task

GIVES_UP = '{"type": "result", "subtype": "success", "is_error": true, "result": "I cannot do it."}'


def test_no_failing_task_ends_the_run_or_is_picked_again_in_it(project: Project, agent: StandInAgent) -> None:
    """One failure ended stitch, cycle and run, and the next run began with the same task."""
    project.configure(jobs=1)
    agent.task("p-bad").runs(f"echo x >>{agent.directory}/tries").fails()
    seed(project, task("p-bad", priority=0), task("p-good"), task("p-better"))
    result = project.run("--cobbler-generate", "--cobbler-cycles=2")
    assert came_to(result) == {
        "stitch::p-bad": "failed",
        "stitch::p-better": "landed",
        "stitch::p-good": "landed",
        "measure::cycle-1": "proposed",
        "measure::cycle-2": "blocked",
    }
    assert (agent.directory / "tries").read_text() == "x\n"


@pytest.mark.matrix("costly")
def test_no_command_runs_for_ever(project: Project, agent: StandInAgent) -> None:
    """Nothing had a limit of time: agent, build, git or bd."""
    project.configure(
        task_timeout="3s", gate_timeout="4s", test_command="! grep -l slow *.txt || sleep 60", jobs=3
    )
    agent.task("hangs").writes("half.txt", "half\n").sleeps(60)
    agent.task("hangs in the gate").writes("gate.txt", "slow\n")
    seed(project, task("p-1", title="hangs"), task("p-2", title="hangs in the gate"), task("p-3"))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-1": "failed", "stitch::p-2": "failed", "stitch::p-3": "landed"}
    result.stdout.fnmatch_lines_random(
        [
            f"FAILED {stitch('p-1')} hangs - agent: timeout after 3s",
            f"FAILED {stitch('p-2')} hangs in the gate - gate: test timed out after 4s",
        ]
    )
    assert result.duration < 45


def test_no_work_lands_that_fails_the_gate_or_that_its_agent_calls_a_failure(
    project: Project, agent: StandInAgent
) -> None:
    """Nothing was built or tested before it was merged, and the agent's own result was not read."""
    project.configure(build_command="! grep -l broken *.txt", test_command="! grep -l wrong *.txt")
    agent.task("p-builds-not").writes("new.txt", "broken\n")
    agent.task("p-passes-not").writes("new.txt", "wrong\n")
    agent.task("p-gives-up").writes("new.txt", "half\n").prints(GIVES_UP)
    names = ("p-builds-not", "p-passes-not", "p-gives-up")
    seed(project, *map(task, names))
    result = project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert came_to(result) == {f"stitch::{name}": "failed" for name in names}
    assert [result.junit[stitch(name)].message.splitlines()[0] for name in names] == [
        "gate: build failed (exit 1)",
        "gate: test failed (exit 1)",
        "agent: error: I cannot do it.",
    ]
    assert set(statuses(project).values()) == {"open"}
    assert project.files() == project.files("main")


def test_no_failing_tracker_is_read_as_an_empty_one(project: Project, tmp_path: Path) -> None:
    """Any error of bd was read as "no tasks": a green run that had done nothing."""
    bd = tmp_path / "bd"
    version = '{"schema_version": 1, "version": "1.3.0"}'
    bd.write_text(
        f"#!/bin/sh\n[ $1 = version ] && echo '{version}' && exit\necho 'no database' >&2; exit 1\n"
    )
    bd.chmod(0o755)
    project.write(
        {".beads/metadata.json": '{"backend": "dolt"}', ".beads/embeddeddolt/beads/.dolt/noms/x": ""}
    )
    project.configure(tracker="bd")
    for options in ([], ["--collect-only"]):
        result = project.run("--cobbler-generate", *options, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
        assert result.ret not in (0, pytest.ExitCode.NO_TESTS_COLLECTED)
        result.stderr.fnmatch_lines(["ERROR: *bd*"])
        result.stderr.fnmatch_lines(["*no database*"])
    assert project.generation is None


def test_no_run_passes_if_its_tracker_failed(project: Project, agent: StandInAgent) -> None:
    """Its errors were warnings there."""
    store = project.path / ".beads" / "issues.jsonl"
    agent.task("p-a").runs(f"echo broken >>{store}; {WRITES_A_FILE}")
    seed(project, task("p-a"))
    content = store.read_text()
    result = project.run("--cobbler-generate", "-k", "p-a")
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["TRACKER: *issues.jsonl*"])
    assert ids_landed(project) == ["p-a"]
    claimed = store.read_text().replace("broken\n", "")
    assert claimed != content
    store.write_text(claimed)
    again = project.run("--cobbler-generate")
    assert again.ret == 0
    again.stdout.fnmatch_lines(["recovered: closed p-a, which had landed in *"])
    assert (statuses(project), ids_landed(project)) == ({"p-a": "closed"}, ["p-a"])


def test_no_run_works_on_the_branch_that_happens_to_be_checked_out(project: Project) -> None:
    """Whatever was checked out was the generation, main as well as anything else."""
    project.git("switch", "--quiet", "--create", "feature")
    seed(project, task("p-a"))
    before = CheckoutState.of(project)
    assert project.run("--cobbler-resume").ret == pytest.ExitCode.USAGE_ERROR
    result = project.run("--cobbler-generate")
    assert came_to(result)["stitch::p-a"] == "landed"
    assert "Cobbler-Base: feature" in project.git("log", "-1", "--format=%B", f"{project.generation}~1")
    assert check(project, result, before=before) == []


def test_no_start_is_left_half_done(project: Project) -> None:
    """What failed after the branch was made left a tag, a branch, and a checkout without its sources."""
    project.go_sample()
    project.configure(reset_sources=True)
    before, checkout = refs(project), CheckoutState.of(project)
    for call in range(1, 20):
        env = git_that_sends(signal.SIGKILL, project.directory / f"bin-{call}", call)
        ended = project.run("--cobbler-start", env=env).ret
        assert CheckoutState.of(project) == checkout
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        assert refs(project) == before
    assert call > 2, "there is more to do than to make the branch"
    assert project.generation
    assert project.run("--cobbler-resume").ret == 0
    assert check(project, before=checkout) == []


def test_no_stop_ignores_open_tasks(project: Project) -> None:
    """Tasks that were still open were not looked at."""
    assert project.run("--cobbler-start").ret == 0
    seed(project, *(task(name, labels=[str(project.generation)]) for name in ("p-a", "p-b")))
    assert project.run("--cobbler-generate", "configuration.yaml::stitch::p-a").ret == 0
    before = refs(project)
    result = project.run("--cobbler-stop")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *p-b*", "*--cobbler-force*"])
    assert refs(project) == before
    assert project.run("--cobbler-stop", "--cobbler-force").ret == 0
    assert (statuses(project), project.files("main")["p-a.txt"]) == ({"p-a": "closed", "p-b": "open"}, "1\n")


def test_no_cycle_runs_after_one_without_tasks(project: Project, agent: StandInAgent) -> None:
    """The number of cycles was fixed: nothing ended them when all was done."""
    agent.measure().writes_tasks([{"title": "The only one"}])
    agent.measure().runs(f"echo x >>{agent.directory}/measures").writes_output("[]")
    agent.measure().runs(f"echo x >>{agent.directory}/measures").writes_output("[]")
    result = project.run("--cobbler-generate", "--cobbler-cycles=3")
    assert list(came_to(result).values()) == ["proposed", "landed", "proposed", "blocked"]
    assert (agent.directory / "measures").read_text() == "x\n"
