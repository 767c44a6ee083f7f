"""A clone of a repository whose remote has a generation that this clone does not have."""

from __future__ import annotations

import re

import pytest

from pytest_cobbler.repository.generations import Changes
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.generations import generation, stop
from tests.support.sessions import seed

SESSIONS = ("--cobbler-generate", "--cobbler-resume", "--cobbler-generate --collect-only")


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project)
    return cobbler_project


def clone(project: Project) -> None:
    """Go on in a clone of the project."""
    project.git("clone", "--quiet", ".", str(project.directory / "clone"))
    project.path = project.directory / "clone"
    for key, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        project.git("config", key, value)
    seed(project)


def refused(project: Project, action: str) -> RunResult:
    result = project.run(*action.split())
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    return result


@pytest.mark.parametrize("action", SESSIONS)
def test_in_a_clone_the_generation_of_the_remote_is_named_and_no_other_started(
    project: Project, action: str
) -> None:
    name = generation(project, {"a.txt": "a\n"})
    kept = [f"refs/cobbler/attempts/{name}/t/1", f"refs/cobbler/left/{name}/t/1/1"]
    for ref in kept:
        project.git("update-ref", ref, name)
    clone(project)
    result = refused(project, action)
    result.stderr.fnmatch_lines(
        [
            f"ERROR: {name}: the branch exists on origin, not here",
            f"Go on with it: git fetch origin {name}:{name} *",
            "Or start another one on purpose: pytest --cobbler-start",
        ]
    )
    assert project.generation is None

    # The printed command is all that is needed.
    [command] = [line for line in result.errlines if line.startswith("Go on with it: git ")]
    project.git(*re.sub("'", "", command).split()[5:])
    assert project.generation == name
    assert project.git("tag").split() == [f"{name}-start"]
    assert project.git("for-each-ref", "--format=%(refname)", "refs/cobbler").split() == kept
    assert project.run("--cobbler-resume").ret == 0


def test_in_a_clone_a_configured_generation_that_only_the_remote_has_is_named_with_the_way_to_it(
    project: Project,
) -> None:
    name = generation(project, {"a.txt": "a\n"})
    clone(project)
    project.configure(generation_branch=name)
    result = refused(project, "--cobbler-generate")
    result.stderr.fnmatch_lines(
        [
            f"ERROR: generation_branch: no branch {name}",
            f"Go on with it: git fetch origin {name}:{name} *",
            "Generations in this repository: none.",
        ]
    )


def test_a_start_in_a_clone_starts_another_generation_on_purpose(project: Project) -> None:
    generation(project, {"a.txt": "a\n"})
    clone(project)
    assert project.run("--cobbler-start").ret == 0
    assert project.generation
    assert project.run("--cobbler-generate", "--collect-only").ret == 0


@pytest.mark.parametrize("end", ["merged", "by hand", "reset", "finished"])
def test_a_generation_of_the_remote_that_has_ended_is_in_no_ones_way(project: Project, end: str) -> None:
    """Also where its branch was pushed before and never deleted."""
    name = generation(project, {"a.txt": "a\n"})
    tip = project.git("rev-parse", name).strip()
    if end == "merged":
        assert stop(project).ret == 0
    elif end == "by hand":
        project.git("merge", "--quiet", "--no-edit", name)
        project.git("branch", "--quiet", "--delete", "--force", name)
    elif end == "reset":
        assert project.run("--cobbler-reset").ret == 0
    else:
        project.git("tag", f"{name}-finished", name)
        project.git("branch", "--quiet", "--delete", "--force", name)
    project.git("update-ref", f"refs/heads/{name}", tip)
    clone(project)
    assert project.run("--cobbler-generate", "--collect-only").ret == 0


def test_a_branch_of_the_remote_that_only_has_such_a_name_is_in_no_ones_way(project: Project) -> None:
    project.git("branch", "generation-next", "main")
    clone(project)
    assert project.run("--cobbler-generate", "--collect-only").ret == 0


def test_several_generations_of_the_remote_are_all_named(project: Project) -> None:
    first = generation(project, {"a.txt": "a\n"})
    second = generation(project, {"b.txt": "b\n"}, changes=Changes(reset=True))
    clone(project)
    errors = "\n".join(refused(project, "--cobbler-generate").errlines)
    assert f"{first}: the branch exists on origin" in errors
    assert f"git fetch origin {second}:{second}" in errors
