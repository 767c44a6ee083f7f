"""``--cobbler-watch``: a run that is at work in another terminal."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.actions import watch
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, seed, task
from tests.support.terminals import Terminal, started


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """The agent of one task fails; another one works until ``go`` exists."""
    cobbler_project.configure(cycles=0, max_attempts=1)
    agent = cobbler_project.agent
    agent.task("Fails").prints("::error::It went badly").fails()
    agent.task("Reads").prints("Reading").runs(
        f"until [ -e {agent.directory}/go ]; do sleep 0.05; done; {WRITES_A_FILE}"
    )
    seed(cobbler_project, task("p-a", title="Fails"), task("p-b", title="Reads"))
    return cobbler_project


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    with started() as start:
        yield start


def state(project: Project) -> list[str]:
    """What an action could have changed."""
    return [
        project.git(*words) for words in (("for-each-ref",), ("status", "--porcelain"), ("reflog", "--all"))
    ]


def test_a_pipe_gets_the_lines_of_a_run_until_it_ends(project: Project) -> None:
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: "FAILED p-a" in running.output)
    watching = project.start("--cobbler-watch")
    watching.wait_until(lambda: "FAILED p-a Fails" in watching.output)
    (project.agent.directory / "go").touch()
    assert (running.wait().ret, watching.wait().ret) == (1, 0)
    lines = [
        re.sub(r"\d+m?\d*s", "?s", line.removeprefix(line[:9])) for line in watching.output.splitlines()[2:]
    ]
    assert lines[:4] == [
        "p-b Reads: the agent has ended after ?s",
        "p-b Reads: waits to land",
        "p-b Reads: in the gate",
        "p-b Reads: the gate has passed after ?s: what ran is unknown",
    ]
    assert lines[4:] == [
        "LANDED p-b Reads (?s)",
        "the run has ended: ?s, 0 running, 1 landed, 1 failed, 0 waiting, at least 0.00 USD spent",
    ]


def test_a_terminal_shows_the_block_and_ctrl_c_ends_it_quietly(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: "FAILED p-a" in running.output)
    before = state(project)
    terminal = terminals(project, 80, action="--cobbler-watch")
    rows = terminal.wait_for(
        lambda rows: any(row.startswith("p-b Reads") and "Reading" in row for row in rows)
    )
    assert re.fullmatch(r"generation-[-\d]+: run \w+", rows[0])
    assert re.fullmatch(r"FAILED p-a Fails \(\d+s\): agent: exited with 1: .*", rows[1])
    assert re.fullmatch(r"p-b Reads  agent  #1  Reading +\d+s", rows[2])
    assert re.fullmatch(r"\d+s, 1 running, 0 landed, 1 failed, 0 waiting, at least 0.00 USD spent", rows[3])
    terminal.process.send_signal(signal.SIGINT)
    rows = terminal.wait()
    assert terminal.process.returncode == pytest.ExitCode.INTERRUPTED
    assert [row.partition(" ")[0] for row in rows if row] == [rows[0].partition(" ")[0], "FAILED"]
    assert state(project) == before
    (project.agent.directory / "go").touch()
    assert running.wait().ret == 1


def test_a_run_that_was_killed_is_named_and_none_is_waited_for(project: Project) -> None:
    running = project.start("--cobbler-generate")
    running.wait_until(lambda: "FAILED p-a" in running.output)
    running.kill()
    result = project.run("--cobbler-watch")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.errlines[0] == "ERROR: --cobbler-watch: no run is at work"
    [generation] = project.path.glob(".cobbler/generation-*")
    named = project.run(f"--cobbler-watch={generation.name}")
    assert named.errlines[0] == f"ERROR: --cobbler-watch: no run is at work on {generation.name}"


class Clock:
    """``time`` of the action: a pause takes no time of the test."""

    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_run_that_is_killed_while_it_is_watched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run gives back the repository before it writes its end, so the end has some time to come."""
    (tmp_path / "g").mkdir()
    event = {"time": "2027-01-15T08:00:00+00:00", "event": "run", "run": "r1"}
    (tmp_path / "g" / "journal.jsonl").write_text(f"{json.dumps(event)}\n", "utf-8")
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    monkeypatch.setattr(watch, "is_locked", lambda _place: clock.now < 1_800_000_010)
    watch._Watching(tmp_path, "", tmp_path).follow(watch._Shown(0, colours=False))
    first, last = capsys.readouterr().out.splitlines()
    assert first == "g: run r1"
    assert last[9:] == "the run was killed; the next one takes up its work"
    assert 1_800_000_025 <= clock.now < 1_800_000_027
