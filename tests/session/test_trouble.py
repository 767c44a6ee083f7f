"""Agents and gates that misbehave: each ends in time with the right outcome, and no work is lost."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.agent import Script, StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Case, Project, RunResult
from tests.support.images import minimal_image
from tests.support.sessions import came_to, seed, statuses, task

__all__ = ["minimal_image"]

STAYS = "setsid sh -c \"trap '' TERM HUP; while :; do echo >>late.txt; sleep 0.05; done\" >/dev/null 2>&1 &"
"""A process that leaves the group, ignores TERM and goes on writing into the worktree."""

FLOOD = f"yes '{'nothing to say; ' * 6}' | head -c"
"""Lines without an end; completed by a number of bytes."""


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str) -> Project:
    """One open task and one attempt for it, in podman."""
    cobbler_project.configure(
        max_attempts=1,
        cycles=0,
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=cobbler_agent.podman_arguments,
        agent_network="none",
    )
    seed(cobbler_project, task("p-a"))
    return cobbler_project


@pytest.fixture
def script(cobbler_agent: StandInAgent) -> Script:
    """The script of the agent."""
    return cobbler_agent.task("p-a")


def generate(project: Project) -> tuple[RunResult, Case]:
    result = project.run("--cobbler-generate")
    assert check(project, result) == []
    (case,) = result.junit.values()
    return result, case


def assert_failed(project: Project, cause: str, summary: str, *kept: str) -> None:
    """The task failed with this cause and is open again, and the agent's work is kept."""
    result, case = generate(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert came_to(result) == {"stitch::p-a": "failed"}
    assert case.properties["cobbler_cause"] == cause
    assert case.message.splitlines()[0] == summary
    files = project.files(f"refs/cobbler/attempts/{project.generation}/p-a/1")
    assert set(kept) <= files.keys()
    assert statuses(project) == {"p-a": "open"}


def test_an_agent_that_hangs_without_output_ends_as_idle(project: Project, script: Script) -> None:
    project.configure(idle_timeout="3s")
    script.writes("half.txt", "half\n").sleeps(600)
    assert_failed(project, "idle", "agent: no output for 3s", "half.txt")


@pytest.mark.matrix("costly")
def test_an_agent_that_never_ends_but_prints_ends_as_timeout(project: Project, script: Script) -> None:
    project.configure(task_timeout="4s")
    script.writes("half.txt", "half\n").runs("while :; do echo working; sleep 0.1; done")
    assert_failed(project, "timeout", "agent: timeout after 4s", "half.txt")


@pytest.mark.matrix("costly")
def test_an_agent_that_ignores_term_is_killed(project: Project, script: Script) -> None:
    project.configure(task_timeout="3s")
    script.writes("half.txt", "half\n").runs("trap '' TERM INT HUP; while :; do sleep 0.2; done")
    assert_failed(project, "timeout", "agent: timeout after 3s", "half.txt")


@pytest.mark.matrix("costly")
def test_processes_that_an_agent_leaves_behind_are_ended(project: Project, script: Script) -> None:
    script.writes("work.txt", "work\n").runs(STAYS).runs("until [ -s late.txt ]; do sleep 0.05; done")
    result, _ = generate(project)
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert project.files()["work.txt"] == "work\n"


@pytest.mark.matrix("costly")
def test_an_agent_that_floods_its_output_ends_in_time(project: Project, script: Script) -> None:
    script.writes("work.txt", "work\n").runs(f"{FLOOD} 12000000; {FLOOD} 12000000 >&2")
    result, case = generate(project)
    assert came_to(result) == {"stitch::p-a": "landed"}
    attempt = next(project.path.glob(".cobbler/*/attempts/p-a/1"))
    sizes = {path.name: path.stat().st_size for path in attempt.iterdir()}
    assert sizes["stderr.txt"] <= 9 << 20
    assert len(result.stdout.str()) < 100_000
    assert len(case.message) < 100_000


def test_an_agent_that_writes_one_endless_line_ends_in_time(project: Project, script: Script) -> None:
    script.writes("work.txt", "work\n").runs("head -c 50000000 /dev/zero | tr '\\0' x")
    result, _ = generate(project)
    assert came_to(result) == {"stitch::p-a": "landed"}


def test_an_agent_that_exits_with_0_and_reports_a_failure_fails(project: Project, script: Script) -> None:
    script.writes("half.txt", "half\n").reports(error="I was interrupted")
    assert_failed(project, "agent", "agent: API error: I was interrupted", "half.txt")


def test_an_agent_that_exits_with_1_after_good_work_fails(project: Project, script: Script) -> None:
    script.writes("good.txt", "good\n").runs("echo 'cannot say goodbye' >&2").fails(1)
    assert_failed(project, "agent", "agent: exited with 1: cannot say goodbye", "good.txt")


@pytest.mark.matrix("costly")
def test_an_agent_that_kills_itself_fails(project: Project, script: Script) -> None:
    script.writes("half.txt", "half\n").runs("kill -KILL $$")
    assert_failed(
        project, "killed", "agent: killed from outside, perhaps because it ran out of memory", "half.txt"
    )


@pytest.mark.matrix("costly")
@pytest.mark.parametrize(
    ("gate", "limit", "summary"),
    [
        ("sleep 600", "2s", "gate: test timed out after 2s"),
        ("trap '' TERM; while :; do echo; sleep 0.1; done", "2s", "gate: test timed out after 2s"),
        (f"cd /tmp; {STAYS} exit 3", "60s", "gate: test failed (exit 3)"),
    ],
    ids=["hangs", "does not heed", "leaves processes"],
)
def test_a_gate_that_misbehaves_fails_the_task(
    project: Project, script: Script, gate: str, limit: str, summary: str
) -> None:
    script.writes("good.txt", "good\n")
    project.configure(
        test_command=f"[ -e p-a.txt ] || [ ! -e good.txt ] || {{ {gate}; }}",
        gate_timeout=limit,
        red_base="allow",  # on a busy machine the tip may need longer than that
    )
    assert_failed(project, "gate", summary, "good.txt")


@pytest.mark.matrix("costly")
def test_a_gate_that_floods_its_output_fails_the_task(project: Project, script: Script) -> None:
    script.writes("good.txt", "good\n")
    project.configure(test_command=f"[ ! -e good.txt ] || {{ {FLOOD} 20000000; exit 1; }}")
    result, case = generate(project)
    assert came_to(result) == {"stitch::p-a": "failed"}
    assert len(case.message) < 100_000
    log = next(project.path.glob(".cobbler/*/attempts/p-a/1/gate.log"))
    assert log.stat().st_size <= 17 << 20
