"""Generations on all kinds of repositories: they work, or fail with the reason before they start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.images import minimal_image
from tests.support.sessions import WRITES_A_FILE, came_to, seed, task

__all__ = ["minimal_image"]

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str) -> Project:
    """One open task, agents in podman, a gate that needs the files of the base."""
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=cobbler_agent.podman_arguments,
        test_command="grep -q . README.md && git --version",
        cycles=0,
    )
    seed(cobbler_project, task("p-a"))
    return cobbler_project


def assert_lands(project: Project) -> RunResult:
    """The task lands, all invariants hold, and nothing else in the repository changed."""
    before = CheckoutState.of(project)
    result = project.run("--cobbler-generate")
    assert came_to(result) == {"stitch::p-a": "landed"}, result.stdout.str()
    assert check(project, result, before=before) == []
    return result


def assert_refused(project: Project, cause: str, remedy: str) -> None:
    """A clear error, before anything changed."""
    before = CheckoutState.of(project)
    refs = project.git("for-each-ref")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{cause}*", f"*{remedy}*"])
    assert project.git("for-each-ref") == refs
    assert CheckoutState.of(project) == before


def move(project: Project, name: str) -> None:
    """Rename the checkout."""
    project.path = project.path.rename(project.directory / name)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.matrix("costly")
def test_paths_with_spaces_quotes_and_other_scripts_work(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    names = ["mit Leerzeichen.txt", "größe/日本語.txt", 'it\'s "quoted".txt', "-dash.txt", "new\nline.txt"]
    project.write(dict.fromkeys(names[:2], "as it was\n"))
    project.commit("Files")
    move(project, "ein Ördner's 漢字")
    project.configure(work_dir=str(project.directory / "Arbeits platz ü"))
    for name in names:
        cobbler_agent.task("p-a").writes(name, "written\n")
    assert_lands(project)
    assert {project.files()[name] for name in names} == {"written\n"}


@pytest.mark.matrix("costly")
def test_a_linked_worktree_of_another_clone_works(project: Project) -> None:
    project.git("clone", "--quiet", str(project.path), str(project.directory / "clone"))
    seeded = project.path / ".beads"
    move(project, "origin")
    move_to = project.directory / "linked"
    project.git(
        "-C", str(project.directory / "clone"), "worktree", "add", "--quiet", "-b", "mine", str(move_to)
    )
    project.path = move_to
    for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        project.git("config", name, value)
    assert not seeded.exists()
    seed(project, task("p-a"))
    assert_lands(project)


@pytest.mark.matrix("costly")
def test_a_shallow_clone_works(project: Project) -> None:
    project.commit("One more")
    project.git("clone", "--quiet", "--depth=1", f"file://{project.path}", str(project.directory / "shallow"))
    project.path = project.directory / "shallow"
    for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
        project.git("config", name, value)
    seed(project, task("p-a"))
    assert_lands(project)


@pytest.mark.matrix("costly")
def test_a_submodule_stays_unchanged(project: Project) -> None:
    other = project.directory / "other"
    project.git("clone", "--quiet", str(project.path), str(other))
    project.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "parts/other")
    project.commit("A submodule")
    result = assert_lands(project)
    result.stdout.fnmatch_lines(["warning: submodules are empty directories for agents *: parts/other"])
    entries = project.git("ls-tree", project.generation or "", "parts/other")
    assert entries == project.git("ls-tree", "main", "parts/other")


@pytest.mark.matrix("costly")
def test_files_of_git_lfs_stay_pointers_and_no_filter_runs(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    project.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "model.bin": POINTER})
    project.commit("A model")
    marker = project.directory / "marker"
    for kind in ("clean", "smudge"):
        project.git("config", f"filter.lfs.{kind}", f"tee -a {marker}")
    # As a checkout is after a while. git status reads what may have changed through the filters.
    os.utime(project.path / "model.bin", (1, 1))
    project.git("update-index", "--refresh")
    marker.unlink(missing_ok=True)
    cobbler_agent.task("p-a").runs("grep -q git-lfs model.bin").writes("notes.txt", "x\n")
    result = project.run("--cobbler-generate")
    assert not marker.exists()
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert project.files()["model.bin"] == POINTER


@pytest.mark.matrix("costly")
def test_content_in_the_place_of_a_pointer_does_not_land(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    project.write({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    project.commit("Attributes")
    cobbler_agent.task("p-a").writes("model.bin", "content\n")
    result = project.run("--cobbler-generate")
    (case,) = result.junit.values()
    assert case.message.startswith("refused: model.bin: content where git-lfs keeps a pointer")


@pytest.mark.matrix("costly")
def test_line_ends_follow_the_attributes(project: Project, cobbler_agent: StandInAgent) -> None:
    project.write({".gitattributes": "*.txt text eol=crlf\n", "list.txt": "one\ntwo\n"})
    project.commit("Line ends")
    cobbler_agent.task("p-a").runs("grep -q \"$(printf '\\r')\" list.txt").appends("list.txt", "three\r\n")
    assert_lands(project)
    assert project.files()["list.txt"] == "one\ntwo\nthree\n"


@pytest.mark.matrix("costly")
def test_a_umask_that_closes_objects_to_jobs_is_refused_unless_git_is_told_to_share(
    project: Project,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("jobs run as the user")
    with umask(0o077):
        assert_refused(project, "could not read what is committed under umask 0077", "core.sharedRepository")
        project.git("config", "core.sharedRepository", "0644")
        assert_lands(project)


def test_a_worktree_that_has_the_generation_checked_out_is_named(project: Project) -> None:
    assert project.run("--cobbler-start").ret == 0
    where = project.directory / "elsewhere"
    project.git("worktree", "add", "--quiet", str(where), project.generation or "")
    assert_refused(project, f"is checked out in {where}", f"git -C {where} switch --detach")


def test_a_detached_head_has_no_branch_to_start_from(project: Project) -> None:
    project.git("checkout", "--quiet", "--detach")
    assert_refused(project, "HEAD is detached", "base_branch")


@pytest.mark.matrix("costly")
def test_a_detached_head_with_a_configured_base_works(project: Project) -> None:
    project.configure(base_branch="main")
    project.git("checkout", "--quiet", "--detach")
    assert_lands(project)


@pytest.mark.matrix("costly")
def test_a_repository_with_twenty_thousand_files_works(project: Project) -> None:
    project.write({f"many/{number % 100}/{number}.txt": f"{number}\n" for number in range(20_000)})
    project.commit("Many files")
    assert_lands(project)


def test_a_repository_without_a_commit_is_rejected(project: Project, tmp_path: Path) -> None:
    configuration = (project.path / "configuration.yaml").read_bytes()
    project.path = tmp_path / "empty"
    project.path.mkdir()
    project.git("init", "--quiet", "--initial-branch=main")
    project.write({"configuration.yaml": configuration})
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: * has no commit yet", "*git add -A && git commit*"])
    assert project.git("for-each-ref") == ""
