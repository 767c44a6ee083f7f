"""Where a project is looked for: ``--rootdir`` and ``-c``; and arguments that ``addopts`` adds."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, task


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A project with a hook; pytest is started elsewhere, where another project is."""
    cobbler_project.write(
        {
            "conftest.py": "def pytest_cobbler_prompt(prompt): return prompt + 'hook of the project'\n",
            "pytest.ini": "[pytest]\n",
        }
    )
    cobbler_project.commit("A hook")
    seed(cobbler_project, task("p-a"))
    cobbler_project.agent.task("p-a").writes("a.txt", "a\n")
    return cobbler_project


@pytest.fixture
def other(project: Project) -> Path:
    """Another project, with a conftest that must not be imported."""
    place = project.directory / "other"
    place.mkdir()
    project.git("init", "--quiet", str(place))
    (place / "configuration.yaml").write_text("no: configuration\n")
    (place / "conftest.py").write_text("raise SystemExit('the conftest of another project')\n")
    return place


def elsewhere(project: Project, place: Path) -> Path:
    top, project.path = project.path, place
    return top


@pytest.mark.parametrize("option", ["--rootdir={}", "-c{}/pytest.ini"])
def test_the_project_of_rootdir_and_of_c_is_the_one_that_is_worked_on(
    project: Project, other: Path, option: str
) -> None:
    """Its hooks are used, and nothing of the current directory is imported."""
    if option.startswith("-c"):
        (other / "conftest.py").unlink()  # with -c, also the current directory may be meant
        (other / "configuration.yaml").unlink()
    top = elsewhere(project, other)
    given = option.format(top)
    result = project.run("--cobbler-generate", "--cobbler-cycles=0", given)
    assert result.ret == 0, result.errlines
    assert list(came_to(result).values()) == ["landed"]
    listed = project.run("--cobbler-list", given)
    assert listed.ret == 0
    project.path = top
    [prompt] = top.glob(".cobbler/generation-*/attempts/p-a/1/prompt.md")
    assert prompt.read_text().endswith("hook of the project")
    assert listed.outlines[0].startswith(f"* {project.generation}")


def test_a_rootdir_without_a_project_is_an_error_although_there_is_one_here(project: Project) -> None:
    empty = project.directory / "empty"
    empty.mkdir()
    result = project.run("--cobbler-list", f"--rootdir={empty}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --cobbler-list: no configuration.yaml was found", f"*looked in {empty} *"]
    )


def test_a_file_of_c_outside_of_projects_leaves_the_project_here(project: Project) -> None:
    assert project.run("--cobbler-list", "-c", "/dev/null").ret == 0


def test_init_writes_the_configuration_of_rootdir(project: Project, other: Path) -> None:
    (project.path / "configuration.yaml").unlink()
    top = elsewhere(project, other)
    result = project.run("--cobbler-init", f"--rootdir={top}", env={"PATH": "/usr/bin:/bin"})
    assert result.ret == 0, result.errlines
    assert yaml.safe_load((top / "configuration.yaml").read_text())["base_branch"] == "main"
    assert (other / "configuration.yaml").read_text() == "no: configuration\n"


@pytest.mark.parametrize("action", ["--cobbler-generate", "--cobbler-list"])
def test_a_path_that_addopts_adds_is_named_as_such(project: Project, action: str) -> None:
    (project.path / "tests").mkdir()
    project.write({"pytest.ini": "[pytest]\naddopts = -q tests\n"})
    result = project.run(action)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*tests (from addopts in pytest's configuration; *-o addopts=)*"])
    assert project.run(action, "-o", "addopts=").ret == 0

    project.write({"pytest.ini": "[pytest]\n"})
    result = project.run(action, env={"PYTEST_ADDOPTS": "tests"})
    result.stderr.fnmatch_lines(["*tests (from PYTEST_ADDOPTS in the environment)*"])
    result = project.run(action, "tests")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "addopts" not in result.stderr.str().lower()


def test_markers_that_addopts_selects_do_not_keep_other_actions_from_running(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\naddopts = -m 'not slow'\nmarkers = slow\n"})
    assert project.run("--cobbler-list").ret == 0
    assert project.run("--cobbler-list", "-m", "slow").ret == pytest.ExitCode.USAGE_ERROR
