"""The report that a run leaves, the one that is made again, and what goes wrong with either."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_cobbler.cycle.run import Run
from pytest_cobbler.publishing.document import Document
from pytest_cobbler.session import reporting
from pytest_cobbler.testing.project import Project
from tests.support.reported import GENERATION, MadeUp
from tests.support.sessions import WRITES_A_FILE, seed, task

FILES = ("report.html", "report.json", "trace.json")


def home(project: Project) -> Path:
    assert project.generation is not None
    return project.path / ".cobbler" / project.generation


def read(project: Project) -> Document:
    return Document.model_validate_json((home(project) / "report.json").read_bytes())


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """One task that lands, and one that fails and is kept."""
    cobbler_project.configure(cycles=0, max_attempts=1, jobs=1, test_command="! grep -s bad *.txt")
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.agent.task("Fails").runs("echo bad >bad.txt")
    seed(cobbler_project, task("a", title="Lands"), task("b", "a", title="Fails"))
    return cobbler_project


def test_a_run_leaves_its_report(project: Project) -> None:
    result = project.run("--cobbler-generate", "--cobbler-jobs=2")
    [line] = [line for line in result.outlines if line.startswith("report: ")]
    assert Path(line.removeprefix("report: ")) == home(project) / "report.html"
    document = read(project)
    assert [(task.id, task.outcome, task.cause) for task in document.tasks] == [
        ("a", "landed", ""),
        ("b", "failed", "gate"),
    ]
    [run] = document.runs
    assert (run.state, run.exit) == ("ended", 1)
    assert "--cobbler-generate --cobbler-jobs=2" in run.facts["command"]
    assert (
        run.facts["settings"]["test_command"] == ["sh", "-c", "! grep -s bad *.txt"] or run.facts["settings"]
    )
    assert document.tasks[0].statement is not None
    assert document.tasks[0].statement.verdict == "passed"
    assert document.tasks[1].attempts[0].ref.startswith("refs/cobbler/attempts/")
    assert json.loads((home(project) / "trace.json").read_bytes())["traceEvents"]


def test_the_report_is_made_again_from_git_and_the_tracker(project: Project) -> None:
    project.run("--cobbler-generate")
    before = read(project)
    shutil.rmtree(project.path / ".cobbler")
    result = project.run("--cobbler-report")
    assert result.ret == 0
    assert result.outlines[-1] == str(home(project) / "report.html")
    after = read(project)
    assert [task.title for task in after.tasks] == ["Lands", "Fails"]
    assert [task.commit for task in after.tasks] == [task.commit for task in before.tasks]
    assert [task.attempts[0].ref for task in after.tasks] == [task.attempts[0].ref for task in before.tasks]
    assert after.tasks[1].attempts[0].cause == "gate"
    assert after.tasks[1].wasted.attempts == 1
    assert after.runs == ()


def test_a_generation_of_which_nothing_is_known_is_an_error(project: Project) -> None:
    result = project.run("--cobbler-report=generation-none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "nothing is known of a generation generation-none" in "\n".join(result.errlines)
    assert not (project.path / ".cobbler").exists()
    assert "there is no generation" in "\n".join(project.run("--cobbler-report").errlines)


def test_a_report_that_cannot_be_written_is_no_failure_of_the_run(project: Project) -> None:
    seed(project, task("a", title="Lands"))
    project.run("--cobbler-start")
    (home(project) / "report.html" / "in-the-way").mkdir(parents=True)
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    [line] = [line for line in result.outlines if line.startswith("report: ")]
    assert line.startswith("report: it cannot be written: Is a directory: ")


def test_a_run_at_work_writes_its_report_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, repository = MadeUp(tasks=2).make(tmp_path)
    monkeypatch.setattr(reporting, "PAUSE", 0.05)
    path = config.cobbler_dir / GENERATION / "report.html"
    facts = SimpleNamespace(config=config, repository=repository, generation=SimpleNamespace(name=GENERATION))
    run = cast(Run, SimpleNamespace(project=facts))
    with reporting.Reporting(run):
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")


LOADED = """\
ONLY_THERE = ("pytest_cobbler.publishing", "pytest_cobbler.view.screen", "rich", "opentelemetry")
import sys

def pytest_sessionstart():
    tell("begins")

def pytest_cobbler_outcome():
    tell("works")

def tell(when):
    loaded = [name for name in sys.modules if name.startswith(ONLY_THERE)]
    print(f"\\nLOADED when it {when}:", loaded)
"""


@pytest.mark.usefixtures("fresh_start")
def test_a_run_in_a_pipe_loads_nothing_of_reports_and_terminals_before_its_end(project: Project) -> None:
    project.write({"conftest.py": LOADED})
    project.commit("Add a conftest")
    assert "LOADED when it begins: []" in project.run("-s").outlines
    lines = project.run("--cobbler-generate", "-s").outlines
    assert lines.count("LOADED when it works: []") == 2
