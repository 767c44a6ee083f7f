"""Which checkouts are no place to run pytest from, because pytest imports their conftest.py."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project

CONFTEST = "raise RuntimeError('it was imported')"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with one landed task, which is not merged; to be copied."""
    directory = tmp_path_factory.mktemp("generated")
    agent = StandInAgent(directory / "agent")
    agent.measure().writes_tasks([{"title": "Add a file"}])
    agent.task("Add a file").writes("file.txt", "text\n")
    with Project.create(directory / "project", agent) as project:
        assert project.run("--cobbler-generate").ret == 0
        assert project.landed()
        yield project.path


@pytest.fixture
def project(cobbler_project: Project, generated: Path) -> Project:
    shutil.rmtree(cobbler_project.path)
    shutil.copytree(generated, cobbler_project.path)
    return cobbler_project


@pytest.mark.parametrize("action", ["--cobbler-generate", "--cobbler-start"])
def test_a_checkout_of_a_generation_is_refused(project: Project, action: str) -> None:
    project.git("switch", "--quiet", project.generation or "")
    project.write({"conftest.py": CONFTEST})
    result = project.run(action)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: generation-* is checked out*", "*git switch main*"])
    result.stderr.no_fnmatch_line("*it was imported*")


def test_a_branch_with_unmerged_work_is_refused(project: Project) -> None:
    project.git("switch", "--quiet", "--create", "copy", f"{project.generation}")
    project.write({"conftest.py": CONFTEST})
    result = project.run("--cobbler-generate")
    assert result.ret == 4
    result.stderr.no_fnmatch_line("*it was imported*")


def test_a_detached_head_that_holds_unmerged_work_is_refused(project: Project) -> None:
    project.git("switch", "--quiet", "--detach", project.generation or "")
    result = project.run("--cobbler-start")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: HEAD holds *, an agent's commit that was not merged*", "*switch main*"]
    )


def test_a_file_argument_in_another_work_tree_with_unmerged_work_is_refused(project: Project) -> None:
    project.git("worktree", "add", "--quiet", "../elsewhere", project.generation or "")
    (project.directory / "elsewhere" / "conftest.py").write_text(CONFTEST)
    for argument in ("../elsewhere/configuration.yaml::stitch", "../elsewhere"):
        result = project.run("--cobbler-generate", argument)
        assert result.ret == 4
        result.stderr.fnmatch_lines(["ERROR: generation-* is checked out*"])
        result.stderr.no_fnmatch_line("*it was imported*")


def test_an_ordinary_run_of_pytest_is_allowed(project: Project) -> None:
    project.git("switch", "--quiet", project.generation or "")
    project.write({"test_it.py": "def test_it(): ...\n"})
    project.run("test_it.py").assert_outcomes(passed=1)


def test_merged_work_is_trusted(project: Project) -> None:
    project.git("merge", "--quiet", project.generation or "")
    assert project.run("--cobbler-start").ret == 0


def test_work_that_a_forge_squashed_into_the_base_is_trusted(project: Project) -> None:
    messages = project.git("log", "--reverse", "--format=* %s%n%n%b", f"main..{project.generation}")
    project.git("merge", "--quiet", "--squash", project.generation or "")
    project.git("commit", "--quiet", "--message", f"Generated code (#1)\n\n{messages}")
    assert project.run("--cobbler-start").ret == 0


def test_merged_work_is_trusted_if_the_base_has_only_a_remote_branch(project: Project) -> None:
    project.git("merge", "--quiet", project.generation or "")
    project.git("update-ref", "refs/remotes/origin/main", "main")
    project.git("switch", "--quiet", "--detach", "main")
    project.git("branch", "--quiet", "--delete", "--force", "main")
    result = project.run("--cobbler-generate", "--collect-only")
    result.stderr.no_fnmatch_line("*HEAD holds*")


def test_the_guard_leaves_no_file_in_the_home_directory(project: Project, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    assert project.run("--cobbler-generate", env=home).ret == 0
    assert list(tmp_path.iterdir()) == []
