"""A run whose output no one takes any more goes on to its end: tasks land, and all are reported."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, ids_landed, seed, statuses, task

OUTPUTS = {
    "the disk is full": "$RUN >/dev/full 2>&1",
    "the pipe was closed": "{ $RUN 2>&1; echo $? >status; } | head -n 1; exit $(cat status)",
    "there is none": "$RUN >&- 2>&-",
}


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, jobs=1, gate_report=None)
    cobbler_project.write({".git/info/exclude": "status\n"})
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    seed(cobbler_project, task("a"), task("b"))
    return cobbler_project


def environment(project: Project, action: str) -> Mapping[str, str]:
    report = project.directory / "junit.xml"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    run = f"{sys.executable} -m pytest -p no:hypothesispytest --junit-xml={report} {action}"
    return {**inherited, "RUN": run, "GIT_CONFIG_GLOBAL": os.devnull}


def assert_all_was_done(project: Project) -> None:
    cases = ElementTree.parse(project.directory / "junit.xml").findall(".//testcase")
    assert [case.get("name") for case in cases] == ["a", "b"]
    assert [case.find("failure") for case in cases] == [None, None]
    assert ids_landed(project) == ["a", "b"]
    home = project.path / ".cobbler" / str(project.generation)
    [run] = json.loads((home / "report.json").read_text())["runs"]
    assert run["state"] == "ended"
    assert {item["outcome"] for item in run["items"]} == {"landed"}
    assert (home / "report.html").read_text().rstrip().endswith("</html>")


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_a_run_outlives_its_output(project: Project, output: str) -> None:
    env = environment(project, "--cobbler-generate")
    assert subprocess.run(["bash", "-c", output], cwd=project.path, env=env).returncode == 0
    assert_all_was_done(project)


def test_a_run_outlives_its_terminal(project: Project) -> None:
    terminal, slave = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", "$RUN -v"],
        cwd=project.path,
        env=environment(project, "--cobbler-generate"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    assert os.read(terminal, 100)
    os.close(terminal)
    assert process.wait() == 0
    assert_all_was_done(project)


def test_a_run_whose_controlling_terminal_closes_ends_as_by_an_interrupt(project: Project) -> None:
    begun = project.directory / "begun"
    project.agent.task("a").writes("half.txt", "half\n").runs(f"touch '{begun}'").sleeps(300)
    terminal, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "bash", "-c", "exec $RUN -v"],
        cwd=project.path,
        env=environment(project, "--cobbler-generate"),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    while not begun.exists():
        assert os.read(terminal, 4096)
    os.close(terminal)
    assert process.wait(120) == pytest.ExitCode.INTERRUPTED
    report = project.directory / "junit.xml"
    reported = {
        case.get("name"): [value.get("value") for value in case.iter("property")].count("cancelled")
        for case in ElementTree.parse(report).iter("testcase")
    }
    assert {name: bool(count) for name, count in reported.items()} == {"a": True, "b": True}
    home = project.path / ".cobbler" / str(project.generation)
    [run] = json.loads((home / "report.json").read_text())["runs"]
    assert run["state"] == "ended"
    assert {item["outcome"] for item in run["items"]} == {"cancelled"}
    assert set(statuses(project).values()) == {"open"}
    assert "half.txt" in project.files(f"refs/cobbler/attempts/{project.generation}/a/1")
    assert check(project) == []


def test_an_action_that_changes_something_outlives_its_output_and_one_that_shows_something_does_not(
    project: Project,
) -> None:
    assert project.run("--cobbler-generate").ret == 0
    succeeded = {}
    for action in ("--cobbler-list", "--cobbler-stop"):
        run = ["bash", "-c", OUTPUTS["the disk is full"]]
        done = subprocess.run(run, cwd=project.path, env=environment(project, action))
        succeeded[action] = done.returncode == 0
    assert succeeded == {"--cobbler-list": False, "--cobbler-stop": True}
    assert project.generation is None
