"""Branches and directories that the configuration names and the repository does not have."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, task

SESSIONS = ("--cobbler-generate", "--cobbler-start", "--cobbler-generate --collect-only")


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A Go project with a program."""
    cobbler_project.go_sample()
    return cobbler_project


def refused(project: Project, action: str, cause: str, remedy: str = "*") -> None:
    result = project.run(*action.split())
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    result.stderr.fnmatch_lines([f"ERROR: {cause}", remedy])


@pytest.mark.parametrize("action", SESSIONS)
def test_a_misspelt_directory_of_sources_is_an_error_before_anything_starts(
    project: Project, action: str
) -> None:
    project.configure(source_dirs=["cmd", "internl"])
    cause = "source_dirs: there is no directory internl in the commits of this project"
    refused(project, action, cause, "Did you mean internal? *")
    assert project.generation is None


def test_a_misspelt_directory_of_a_language_that_is_not_known_is_an_error(cobbler_project: Project) -> None:
    """What its sources are is not known, so one that is missing may also be about to be made."""
    cobbler_project.write({"src/a.c": "int a;\n", "lib/b.c": "int b;\n"})
    cobbler_project.commit("Sources")
    planned = ("--cobbler-generate", "--collect-only")
    for names in (["srcc"], ["src", "parser"]):
        cobbler_project.configure(language="none", source_dirs=names)
        result = cobbler_project.run(*planned)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: source_dirs: there is no directory {names[-1]} in the *"])
    cobbler_project.configure(source_dirs=["parser"])
    assert cobbler_project.run(*planned).ret == 0


@pytest.mark.parametrize("action", SESSIONS)
def test_a_misspelt_program_is_an_error_before_anything_starts(project: Project, action: str) -> None:
    project.configure(main_package="cmd/calculater")
    cause = "main_package: there is no Go file in cmd/calculater in the commits of this project"
    refused(project, action, cause, "Did you mean cmd/calculator? *")
    assert project.generation is None


def test_an_unknown_base_is_an_error_although_a_generation_goes_on(project: Project) -> None:
    project.configure(language=None, base_branch="mian")
    for action in SESSIONS:
        refused(project, action, "there is no branch mian to start from", "Set base_branch to *")
    project.configure(base_branch=None)
    assert project.run("--cobbler-start").ret == 0
    project.configure(base_branch="mian")
    for action in ("--cobbler-generate", "--cobbler-resume", "--cobbler-generate --collect-only"):
        refused(project, action, "base_branch: there is no branch mian", "Set it to one of main.")


def test_sources_to_reset_in_a_language_that_is_not_known_are_an_error(cobbler_project: Project) -> None:
    cobbler_project.configure(reset_sources=True)
    cause = "reset_sources: true, but no file is a source with language: none"
    refused(cobbler_project, "--cobbler-start", cause, "Set language, or reset_sources: false.")


def test_documents_that_no_commit_has_are_a_warning_before_an_agent_works_without_them(
    cobbler_project: Project,
) -> None:
    line = "warning: spec_globs: no committed file matches doc/*.md, specs/*.md"
    cobbler_project.write({"text/vision.md": "Words.\n"})
    cobbler_project.commit("Write it down")
    cobbler_project.configure(spec_globs={"a": "text/*.md", "b": "doc/*.md", "c": "specs/*.md"})
    cobbler_project.agent.measure().writes_tasks([])
    for options in (["--collect-only"], []):
        result = cobbler_project.run("--cobbler-generate", *options)
        assert (result.ret, result.outlines.count(line)) == (0, 1)


def test_a_project_without_sources_may_name_what_it_is_about_to_have(cobbler_project: Project) -> None:
    cobbler_project.configure(
        language="go", module_path="example.com/x", source_dirs=["cmd", "internal"], main_package="cmd/x"
    )
    cobbler_project.agent.task("p-a").writes("internal/x.go", "package x\n")
    seed(cobbler_project, task("p-a"), task("p-b"))
    assert cobbler_project.run("--cobbler-generate", "--cobbler-cycles=0", "--cobbler-max-issues=1").ret == 0
    # What has landed since does not make the plan wrong.
    assert cobbler_project.run("--cobbler-generate", "--collect-only").ret == 0


def test_what_tasks_have_made_since_is_known(project: Project) -> None:
    project.agent.task("p-a").writes("cmd/new/main.go", "package main\n\nfunc main() {}\n")
    project.configure(build_command="true", test_command="true")
    seed(project, task("p-a"), task("p-b"))
    assert project.run("--cobbler-generate", "--cobbler-cycles=0", "--cobbler-max-issues=1").ret == 0
    project.configure(main_package="cmd/new", source_dirs=["cmd/new"])
    assert project.run("--cobbler-generate", "--collect-only").ret == 0


def test_directories_of_mage_claude_orchestrator_that_are_not_there_yet_are_accepted(
    project: Project,
) -> None:
    project.configure(source_dirs=None, go_source_dirs=["cmd/", "pkg/", "internal/"])
    assert project.run("--cobbler-generate", "--collect-only").ret == 0
    project.configure(go_source_dirs=["pkg/"])
    refused(project, SESSIONS[0], "go_source_dirs: there is no directory pkg *")


def test_a_program_that_a_seed_file_writes_is_known(project: Project) -> None:
    project.write({"seeds/main": "package main\n"})
    project.configure(main_package="cmd/seed", seed_files={"cmd/seed/main.go": "seeds/main"})
    assert project.run("--cobbler-start").ret == 0
