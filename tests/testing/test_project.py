"""The throwaway project: what it is made of, and how pytest is run on it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", StandInAgent(tmp_path / "agent")) as project:
        yield project


def test_a_project_is_a_clean_repository_with_a_valid_configuration(project: Project) -> None:
    assert project.git("status", "--porcelain") == ""
    assert project.git("branch", "--show-current") == "main\n"
    assert project.git("log", "--format=%s %an") == "First commit Test\n"
    config = load(project.path / "configuration.yaml")
    assert config.sandbox == "none"
    assert config.agent == "command"
    assert config.work_dir is not None
    assert not config.work_dir.is_relative_to(project.path)


def test_configure_sets_and_removes_keys(project: Project) -> None:
    project.configure(jobs=7, language=None, user_prompt="ü: #")
    config = load(project.path / "configuration.yaml")
    assert (config.jobs, config.user_prompt) == (7, "ü: #")
    assert "language" not in project.configuration
    assert project.git("status", "--porcelain") == ""


def test_files_are_written_and_committed(project: Project) -> None:
    project.write({"src/ü.txt": "text\n", "raw": b"\xff"})
    commit = project.commit("Add")
    assert project.git("rev-parse", "HEAD").strip() == commit
    files = project.files()
    assert files["src/ü.txt"] == "text\n"
    assert files["raw"] == "\udcff"
    assert "README.md" in project.files("HEAD~")


def test_a_failing_git_is_an_error_with_its_output(project: Project) -> None:
    with pytest.raises(CobblerError, match="unknown revision"):
        project.git("log", "nowhere")


def test_the_sample_passes_its_own_test(project: Project) -> None:
    project.python_sample()
    result = project.run("-p", "no:cobbler")
    result.assert_outcomes(passed=1)
    assert result.outcomes() == {"passed": 1}
    assert result.ret == 0
    assert project.git("status", "--porcelain", "--ignored=no") == ""


def test_a_run_is_read_from_terminal_and_junit(project: Project) -> None:
    project.write(
        {
            "test_it.py": """
import pytest

def test_passes(record_property):
    record_property("key", "value")

def test_fails():
    assert 1 == 2

@pytest.mark.skip("why")
def test_skipped(): ...

def test_errs(no_such_fixture): ...
"""
        }
    )
    result = project.run("-p", "no:cobbler", "-p", "no:cacheprovider")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1, skipped=1, errors=1)
    assert result.outcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*test_it.py*"])
    assert {name: case.outcome for name, case in result.junit.items()} == {
        "test_it::test_passes": "passed",
        "test_it::test_fails": "failed",
        "test_it::test_skipped": "skipped",
        "test_it::test_errs": "error",
    }
    assert result.junit["test_it::test_passes"].properties == {"key": "value"}
    assert "assert 1 == 2" in result.junit["test_it::test_fails"].message


def test_an_action_without_items_has_no_report(project: Project) -> None:
    result = project.run("-p", "no:cobbler", "--version")
    assert (result.ret, result.junit, result.outcomes()) == (0, {}, {})


def test_a_run_inherits_nothing_of_this_pytest(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--nonsense")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    project.write(
        {
            "test_it.py": """
import os

def test_it():
    assert "ANTHROPIC_API_KEY" not in os.environ
    assert os.environ["OWN"] == "1"
"""
        }
    )
    project.run("-p", "no:cobbler", env={"OWN": "1"}).assert_outcomes(passed=1)


SLEEPS = "import pathlib, time\n\ndef test_it():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"


def test_a_started_run_receives_signals(project: Project) -> None:
    project.write({"test_it.py": SLEEPS})
    running = project.start("-p", "no:cobbler")
    running.wait_until((project.path / "begun").exists)
    assert running.poll() is None
    running.send_signal(signal.SIGINT)
    result = running.wait(30)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])


def test_a_run_that_does_not_end_is_killed(project: Project) -> None:
    project.write({"test_it.py": SLEEPS})
    running = project.start("-p", "no:cobbler")
    running.wait_until((project.path / "begun").exists)
    with pytest.raises(TimeoutError, match=r"did not end within 0\.01 s"):
        running.wait(0.01)
    assert running.poll() == -signal.SIGKILL
    with pytest.raises(TimeoutError, match="pytest ended first"):
        running.wait_until(lambda: False)


def test_a_project_without_a_generation_has_no_landed_commits(project: Project) -> None:
    assert project.generation is None
    assert project.landed() == []
    assert project.tasks() == []
    with pytest.raises(LookupError, match="0 tasks 'Add'"):
        project.task("Add")


def test_landed_commits_are_found_by_their_trailers(project: Project) -> None:
    project.git("branch", "generation-2026-01-01-00-00-00")
    project.git("checkout", "-q", "-b", "generation-2026-01-02-00-00-00")
    for number in (1, 2):
        project.write({f"f{number}": "x"})
        project.commit(f"Do {number}\n\nText: no trailer\n\nCobbler-Task: p-{number}\nCobbler-Attempt: 1")
    project.commit("By hand")
    project.git("checkout", "-q", "main")
    assert project.generation == "generation-2026-01-02-00-00-00"
    assert [(one.task, one.title, one.trailers["Cobbler-Attempt"]) for one in project.landed()] == [
        ("p-1", "Do 1", "1"),
        ("p-2", "Do 2", "1"),
    ]
    assert {"f1", "f2"} < set(project.files())
    project.git("symbolic-ref", "refs/cobbler/active", "refs/heads/generation-2026-01-01-00-00-00")
    assert project.generation == "generation-2026-01-01-00-00-00"
    assert project.landed() == []
