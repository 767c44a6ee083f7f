"""A run that is interrupted stops its agents, reports everything, loses nothing, and can be resumed."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import Script
from pytest_cobbler.testing.project import Project, Running, RunResult
from tests.support.sessions import WRITES_A_FILE, ids_landed, seed, statuses, stitch, task, words


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """One task lands; its dependant works for a minute; one task needs that, one waits for a slot."""
    agent = cobbler_project.agent
    agent.otherwise().runs(WRITES_A_FILE)
    works_on(agent.task("p-long"), cobbler_project)
    agent.task("p-long", attempt=2).runs(WRITES_A_FILE)
    cobbler_project.configure(jobs=1)
    seed(
        cobbler_project,
        task("p-first"),
        task("p-long", "p-first"),
        task("p-behind", "p-long"),
        task("p-last", "p-first"),
    )
    return cobbler_project


def works_on(script: Script, project: Project, *, ignores: str = "") -> None:
    """Write half a file, signal it, and go on for a minute with a child process."""
    note = project.agent.directory / "at-work"
    trap = f"trap '' {ignores}; " if ignores else ""
    script.writes("half.txt", "half\n").runs(
        f"{trap}echo $$ >{note}.new; sleep 61 & mv {note}.new {note}; wait"
    )


def start(project: Project, *options: str) -> Running:
    """A run whose long agent is at work."""
    running = project.start("--cobbler-generate", "-v", *options)
    running.wait_until((project.agent.directory / "at-work").exists)
    running.wait_until(lambda: "sleep 61" in processes_of(project))
    return running


def processes_of(project: Project) -> list[str]:
    """Command lines of the processes that run in the project's directory or below."""
    commands = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (directory / "cwd").readlink().is_relative_to(project.directory):
                commands.append((directory / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
    return commands


def assert_everything_is_reported(result: RunResult, cause: str) -> None:
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert words(result) == {
        "stitch::p-first": "LANDED",
        "stitch::p-long": "CANCELLED",
        "stitch::p-behind": "CANCELLED",
        "stitch::p-last": "CANCELLED",
        "measure::cycle-1": "CANCELLED",
    }
    assert {name: case.outcome for name, case in result.junit.items()} == {
        f"configuration.yaml::{name}": "passed" if word == "LANDED" else "skipped"
        for name, word in words(result).items()
    }
    result.stdout.fnmatch_lines([f"*!! Interrupted: {cause} !!*", "*= 1 passed, 4 skipped in *"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_agents_and_reports_every_item(project: Project, number: signal.Signals) -> None:
    running = start(project)
    running.send_signal(number)
    result = running.wait(60)
    assert result.duration < 45
    assert_everything_is_reported(result, number.name)
    assert processes_of(project) == []
    stopped = result.junit[stitch("p-long")]
    assert 0 < float(stopped.properties["cobbler_agent_seconds"]) <= stopped.time  # what it used
    assert statuses(project) == {"p-first": "closed", "p-long": "open", "p-behind": "open", "p-last": "open"}
    if number is signal.SIGTERM:
        again = project.run("--cobbler-generate")
        assert again.ret == 0
        assert sorted(ids_landed(project)) == ["p-behind", "p-first", "p-last", "p-long"]
        assert project.files()["half.txt"] == "half\n"  # what the stopped agent had made was gone on from


@pytest.mark.quick
def test_the_same_signal_twice_is_one_signal_to_terminate(project: Project) -> None:
    running = start(project)
    for _ in range(3):
        running.send_signal(signal.SIGTERM)
    assert_everything_is_reported(running.wait(60), "SIGTERM")


def test_a_second_interrupt_reports_every_item_without_waiting_for_its_end(project: Project) -> None:
    """The agent ignores the first interrupt. It must not outlive the run."""
    works_on(project.agent.task("p-stubborn"), project, ignores="TERM INT")
    seed(project, task("p-stubborn"), task("p-last", priority=3))
    running = start(project)
    running.send_signal(signal.SIGINT)
    running.wait_until(lambda: not is_pending(signal.SIGINT, running))
    running.send_signal(signal.SIGINT)
    result = running.wait(60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "INTERNALERROR" not in running.output
    result.stdout.fnmatch_lines(["*p-stubborn * CANCELLED (cancelled; the next run takes up its work)*"])
    assert [case.properties["cobbler_outcome"] for case in result.junit.values()] == ["cancelled"] * 3
    assert processes_of(project) == []
    assert set(statuses(project).values()) == {"open"}
    assert "half.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/p-stubborn/1")


def test_an_interrupt_before_the_first_agent_says_that_nothing_was_spent(project: Project) -> None:
    tested = project.directory / "tested"
    project.configure(test_command=f"touch {tested}; sleep 61")
    running = project.start("--cobbler-generate")
    running.wait_until(tested.exists)
    running.send_signal(signal.SIGINT)
    result = running.wait(60)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "interrupted before the first agent was asked: nothing was spent" in running.output
    assert processes_of(project) == []
    assert set(statuses(project).values()) == {"open"}


def is_pending(number: signal.Signals, running: Running) -> bool:
    """Whether a signal is pending: a second one would be lost."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    pending = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) & (1 << (number - 1)))


@pytest.mark.matrix("costly")
def test_a_hangup_that_was_ignored_stays_ignored(project: Project) -> None:
    """This is what nohup does: the terminal may be closed."""
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running = start(project)
    finally:
        signal.signal(signal.SIGHUP, old)
    running.send_signal(signal.SIGHUP)
    running.send_signal(signal.SIGTERM)
    assert_everything_is_reported(running.wait(60), "SIGTERM")


def test_a_hook_that_exits_the_session_leaves_no_agent_behind(project: Project) -> None:
    project.configure(jobs=2)
    seed(project, task("p-first"), task("p-long"))
    at_work = project.agent.directory / "at-work"
    project.agent.task("p-first").runs(f"until [ -e {at_work} ]; do sleep 0.05; done; {WRITES_A_FILE}")
    conftest = (
        "import pytest\n\n"
        "def pytest_cobbler_outcome(item):\n"
        "    pytest.exit('enough for today', returncode=7)\n"
    )
    project.write({"conftest.py": conftest})
    result = project.run("--cobbler-generate")
    assert result.ret == 7
    result.stdout.fnmatch_lines(["*enough for today*"])
    assert processes_of(project) == []
    assert statuses(project)["p-long"] == "open"
    assert statuses(project)["p-first"] == "closed"
