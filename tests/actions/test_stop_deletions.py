"""A generation that began without its sources, which is the default for Go: no source is lost unasked."""

from __future__ import annotations

import pytest

from pytest_cobbler.repository.generations import Changes
from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.generations import commit_on, everything, generation, refs, stop
from tests.support.sessions import came_to, seed, task

SOURCES = {"add.go": "package words\n" * 3, "cmd/words/main.go": "package main\n" * 514}
RESET = Changes(reset=True, remove=tuple(SOURCES))
DELETED = "not written again, and deleted by the merge"
BEGINS = "begins without its sources: 2 files, 517 lines"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A Go project with sources, whose configuration has no ``reset_sources``."""
    cobbler_project.write({**SOURCES, "go.mod": "module example.com/words\n", "README.md": "Words\n"})
    cobbler_project.configure(language="go", module_path="example.com/words", source_dirs=["."])
    seed(cobbler_project)
    return cobbler_project


def refused(project: Project, *lines: str) -> pytest.RunResult:
    before = refs(project), everything(project)
    result = stop(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    result.stderr.fnmatch_lines(list(lines))
    assert (refs(project), everything(project)) == before
    return result


def lines_about_sources(result: RunResult) -> list[str]:
    return [line for line in result.outlines if "without its sources" in line]


def test_the_sources_of_an_existing_go_project_are_not_lost(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    """The plan, the header and the stop name what would be lost, and the stop does not delete it."""
    seed(project, task("p-a"))
    cobbler_agent.task("p-a").writes("notes.txt", "one\n")
    planned = project.run("--cobbler-generate", "--collect-only")
    assert lines_about_sources(planned) == [
        f"cobbler: the generation {BEGINS} (reset_sources: false keeps them)"
    ]
    ran = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert came_to(ran) == {"stitch::p-a": "landed"}
    assert lines_about_sources(ran) == [f"cobbler: the generation {BEGINS}"]
    name = project.generation

    refused(
        project,
        f"ERROR: 2 files of main not written again by {name}, which began without its sources: *",
        "  add.go",
        "  cmd/words/main.go",
        "*--cobbler-generate",
        "*--cobbler-reset*reset_sources: false*",
        "*--cobbler-stop --cobbler-accept-deletions",
    )
    assert project.files("main")["add.go"] == SOURCES["add.go"]

    result = project.run("--cobbler-stop", "--cobbler-accept-deletions")
    assert result.ret == 0, result.errlines
    result.stdout.fnmatch_lines([f"2 files of main {DELETED}: add.go, cmd/words/main.go"])
    assert not SOURCES.keys() & project.files("main").keys()
    assert not (project.path / "add.go").exists()


def test_a_start_names_the_number_of_sources_that_it_leaves_out(project: Project) -> None:
    result = project.run("--cobbler-start")
    assert lines_about_sources(result) == [f"It {BEGINS}."]
    planned = project.run("--cobbler-generate", "--collect-only")
    assert lines_about_sources(planned) == [f"cobbler: the generation {BEGINS}"]


def test_a_plan_with_kept_sources_does_not_mention_them(project: Project) -> None:
    project.configure(reset_sources=False)
    assert lines_about_sources(project.run("--cobbler-generate", "--collect-only")) == []
    assert lines_about_sources(project.run("--cobbler-start")) == []


def test_a_stop_merges_when_all_sources_were_written_again(project: Project) -> None:
    generation(project, {name: f"{text}\n" for name, text in SOURCES.items()}, changes=RESET)
    assert stop(project).ret == 0
    assert SOURCES.keys() <= project.files("main").keys()


def test_a_file_that_a_task_deleted_is_not_asked_about(project: Project) -> None:
    generation(project, {**SOURCES, "README.md": None}, changes=RESET)
    assert stop(project).ret == 0
    assert "README.md" not in project.files("main")


def test_a_project_that_wrote_reset_sources_true_is_not_asked(project: Project) -> None:
    project.configure(reset_sources=True)
    generation(project, {"other.go": "package words\n"}, changes=RESET)
    result = stop(project)
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"2 files of main {DELETED}: add.go, cmd/words/main.go", "Merged *"])
    assert not SOURCES.keys() & project.files("main").keys()


def test_sources_are_asked_about_although_reset_sources_was_set_to_false_since(project: Project) -> None:
    generation(project, {"other.go": "package words\n"}, changes=RESET)
    project.configure(reset_sources=False)
    refused(project, "ERROR: 2 files of main not written again by *")


def test_a_source_that_the_base_moved_meanwhile_is_not_lost(project: Project) -> None:
    """Also where a person resolved the conflict by the side of the generation."""
    name = generation(project, {"add.go": "package words\n"}, changes=RESET)
    project.git("mv", "cmd/words/main.go", "main.go")
    project.commit("Move")
    start = project.git("rev-parse", "main").strip()
    merged = commit_on(project, name, {}, "Task p-2\n\nCobbler-Task: p-2\nCobbler-Generation: x")
    tree = project.git("rev-parse", f"{merged}^{{tree}}").strip()
    both = project.git("commit-tree", tree, "-p", merged, "-p", start, "-m", "By hand").strip()
    project.git("update-ref", f"refs/heads/{name}", both)
    refused(project, "ERROR: 1 file of main not written again by *", "  main.go")


def test_accepted_deletions_apply_to_a_stop_only(project: Project) -> None:
    result = project.run("--cobbler-generate", "--cobbler-accept-deletions")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --cobbler-accept-deletions does not apply to --cobbler-generate"])
