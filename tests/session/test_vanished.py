"""Directories that a person removes during a run, and a git that fails at its end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, RunResult, start_afresh
from tests.support.sessions import came_to, seed, stitch, task, words


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, max_attempts=2, jobs=1)
    cobbler_project.agent.otherwise().runs('echo 1 >"$COBBLER_TASK_ID.txt"')
    return cobbler_project


def without_traceback(result: RunResult) -> RunResult:
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*Error: *Errno*")
    return result


def test_a_history_that_is_deleted_during_a_run_fails_no_task_and_is_ignored_by_git_again(
    project: Project,
) -> None:
    history = project.path / ".cobbler"
    deletes = f"rm -rf {history}"
    project.configure(test_command=f"if [ -e t-2.txt ]; then {deletes}; ! [ -e bad.txt ]; fi")
    project.agent.task("t-1").runs(f"{deletes}; echo 1 >t-1.txt")
    project.agent.task("t-2").runs("echo 1 >t-2.txt; echo 1 >bad.txt")
    project.agent.task("t-2", attempt=2).runs(f"{deletes}; rm bad.txt")
    project.agent.measure().runs(deletes).writes_tasks([])
    project.configure(cycles=1)
    seed(project, task("t-1"), task("t-2", "t-1"))
    result = without_traceback(project.run("--cobbler-generate", "-v"))
    assert words(result) == {"stitch::t-1": "LANDED", "stitch::t-2": "LANDED", "measure::cycle-1": "PROPOSED"}
    assert result.ret == 0
    assert (history / ".gitignore").read_text() == "*\n"
    assert project.git("status", "--porcelain") == ""


@pytest.mark.parametrize("what", ["worktree", "tree", "work directory"])
def test_a_directory_of_work_that_vanished_is_named_and_the_next_task_and_run_go_on(
    project: Project, what: str
) -> None:
    place = {"worktree": "${PWD%/tree}", "tree": "$PWD", "work directory": f"{project.directory}/work"}[what]
    project.agent.task("t-1").runs(f'rm -rf "{place}"')
    seed(project, task("t-1"), task("t-2"))
    result = without_traceback(project.run("--cobbler-generate", "-v"))
    assert words(result) == {"stitch::t-1": "FAILED", "stitch::t-2": "LANDED"}
    assert "/tree is gone: something removed it" in result.junit[stitch("t-1")].message
    assert "is kept in" not in result.stdout.str()
    project.agent.task("t-1", attempt=3).runs("echo 1 >t-1.txt")
    assert words(project.run("--cobbler-resume", "-v")) == {"stitch::t-1": "LANDED"}
    assert check(project) == []


def test_too_few_open_files_for_the_agents_are_refused_before_anything_starts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(jobs=20)
    seed(project, task("t-1"))

    def start(argv: Sequence[str], *rest: Any) -> Any:
        return start_afresh(["sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *argv], *rest)

    monkeypatch.setattr(Project, "starter", staticmethod(start))
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [
            "ERROR: 200 open files are too few for 20 agents in parallel, which need ???",
            "Raise the limit: ulimit -n ???, or set jobs to ??",
        ]
    )
    assert project.generation is None


def test_a_git_that_fails_in_the_last_lines_leaves_the_report_whole(project: Project, tmp_path: Path) -> None:
    seed(project, task("p-a"))
    script = tmp_path / "git"
    left = 'case " $* " in *" refs/cobbler/left/generation-"*" "*) [ -e .cobbler/*/journal.jsonl ] && '
    script.write_text(
        f"#!/bin/sh\n{left}grep -q '\"end\"' .cobbler/*/journal.jsonl && kill -9 $$ ;; esac\n"
        f'exec {shutil.which("git")} "$@"\n'
    )
    script.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    (project.path / ".git" / "reftable").mkdir()  # then git itself reads the references
    result = project.run("--cobbler-generate", env={"PATH": path})
    assert result.ret == 0
    assert came_to(result) == {"stitch::p-a": "landed"}
    result.stdout.fnmatch_lines(["what to do next cannot be told: git for-each-ref failed in *(exit -9)"])
    result.assert_outcomes(passed=1)
