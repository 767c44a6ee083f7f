"""``--cobbler-clean``: what ``work_dir`` still has of repositories that are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, task


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    return cobbler_project


def other(project: Project, name: str, *work: str) -> Path:
    """Delete another repository that has a directory of work here, with the files ``work`` in it."""
    place = project.directory / name
    project.git("init", "--quiet", str(place))
    repository = Repository(place, project.directory / "work")
    _ = repository.objects
    for path in work:
        file = repository.work_dir / path
        file.parent.mkdir(parents=True)
        file.write_text("")
    shutil.rmtree(place)
    return repository.work_dir


def test_directories_of_deleted_repositories_are_listed_and_removed(project: Project) -> None:
    _ = Repository(project.path, project.directory / "work").objects
    gone = other(project, "gone", "log/events.jsonl", "records/1.json")
    kept = other(project, "kept", "kept/generation-1/p-a.1/tree/file")
    work = other(project, "lost", "generation-1/p-a/worktree.json")
    place = project.directory / "work"
    everything = sorted(place.iterdir())
    assert len(everything) == 4

    result = project.run("--cobbler-clean")
    assert (result.ret, result.outlines) == (
        0,
        [
            f"Directories in {place} whose repository is gone (or on a disk that is not mounted):",
            f"  {gone.name} of {project.directory}/gone/.git",
            f"  {kept.name} of {project.directory}/kept/.git, with kept work: kept/generation-1",
            f"  {work.name} of {project.directory}/lost/.git, with kept work: generation-1/p-a",
            "Remove those without kept work: pytest --cobbler-clean --cobbler-force",
            "Remove another one: pytest --cobbler-clean NAME --cobbler-force",
        ],
    )
    assert sorted(place.iterdir()) == everything

    result = project.run("--cobbler-clean", "--cobbler-force")
    assert result.ret == 0
    assert not gone.exists()
    assert (kept.is_dir(), work.is_dir()) == (True, True)
    result.stdout.fnmatch_lines([f"removed {gone}", f"left {kept.name} of *", f"left {work.name} of *"])

    assert project.run("--cobbler-clean", kept.name).ret == 0
    assert kept.is_dir()
    assert project.run("--cobbler-clean", kept.name, "--cobbler-force").outlines == [f"removed {kept}"]
    assert sorted(place.iterdir()) == sorted({*everything} - {gone, kept})


def test_a_directory_of_an_older_version_is_removed_only_by_its_name(project: Project) -> None:
    unknown = other(project, "older")
    (unknown / "repository").unlink()
    result = project.run("--cobbler-clean", "--cobbler-force")
    assert result.outlines == [f"left {unknown.name} of an unknown repository"]
    assert unknown.is_dir()
    assert project.run("--cobbler-clean", unknown.name, "--cobbler-force").ret == 0
    assert not unknown.exists()


def test_only_a_listed_directory_can_be_named(project: Project) -> None:
    repository = Repository(project.path, project.directory / "work")
    _ = repository.objects
    (project.directory / "work" / "mine").mkdir()
    (project.directory / "work" / "link-0123456789").symlink_to(project.path)
    for name in (repository.work_dir.name, "mine", "link-0123456789", "../project"):
        result = project.run("--cobbler-clean", name, "--cobbler-force")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["ERROR: --cobbler-clean: * has no directory *", "List them: *"])
    assert repository.work_dir.is_dir()
    assert (project.directory / "work" / "mine").is_dir()
    assert (project.path / "README.md").exists()


def test_kept_work_is_listed_and_removed_by_its_ref(project: Project) -> None:
    project.agent.task("t-1").runs("echo 1 >a; git add a; git stash -q; echo 2 >b; exit 1")
    project.agent.task("t-2").runs("echo 3 >c; exit 1")
    project.configure(cycles=0, max_attempts=1)
    seed(project, task("t-1"), task("t-2"))
    project.run("--cobbler-generate")
    attempts = f"refs/cobbler/attempts/{project.generation}"
    left = f"refs/cobbler/left/{project.generation}"
    kept = ("for-each-ref", "--format=%(refname)", "refs/cobbler/attempts", "refs/cobbler/left")
    every = [f"{attempts}/t-1/1", f"{attempts}/t-2/1", f"{left}/t-1/1/1"]
    assert project.git(*kept).split() == every
    [work] = (project.directory / "work").glob("project-*")
    sessions = work / "sessions" / str(project.generation)
    for name in ("t-1/1-id", "t-2/1-id"):  # as of agents that can go on with their conversations
        (sessions / name).parent.mkdir(parents=True)
        (sessions / name).write_text("{}\n")
    assert project.run("--cobbler-clean").outlines[-6:] == [
        "Work of agents that did not land, in this repository:",
        f"  {attempts}: 2",
        f"  {left}: 1",
        "List or remove some of it: pytest --cobbler-clean REF, and with --cobbler-force",
        "Conversations of agents, kept until their tasks land or the generation ends:",
        f"  {sessions}: 2",
    ]
    project.run("--cobbler-clean", "--cobbler-force")
    listed = project.run("--cobbler-clean", left)
    listed.stdout.fnmatch_lines([f"{left}/t-1/1/1: Left: stash *", "Remove it: *"])
    assert project.git(*kept).split() == every, "nothing is removed that is not named"
    for name in (f"{left}/t-", "refs/heads/main", "refs/cobbler/left/*"):
        result = project.run("--cobbler-clean", name, "--cobbler-force")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --cobbler-clean: there is no kept work {name}"])
    removed = project.run("--cobbler-clean", f"{left}/", "--cobbler-force")
    removed.stdout.fnmatch_lines([f"removed {left}/t-1/1/1, which was *"])
    assert project.git(*kept).split() == every[:2]
    assert project.run("--cobbler-clean", f"{attempts}/t-2", "--cobbler-force").ret == 0
    assert project.git(*kept).split() == every[:1]
    assert [path.name for path in sessions.iterdir()] == ["t-1"], "the conversation goes with the work"
    assert project.run("--cobbler-reset").ret == 0
    assert not sessions.exists(), "no task of an ended generation goes on"


def test_what_a_moved_repository_has_spent_is_not_removed(project: Project) -> None:
    """Its log was, and the budget of its generation began anew."""
    project.agent.task("t-1").writes("a.txt", "a\n")
    project.configure(cycles=0)
    seed(project, task("t-1"))
    assert project.run("--cobbler-generate").ret == 0
    [old] = (project.directory / "work").iterdir()
    log = (old / "log" / "events.jsonl").read_bytes()
    project.path = project.path.rename(project.directory / "moved")
    result = project.run("--cobbler-clean", "--cobbler-force")
    assert result.ret == 0
    assert result.outlines[0] == f"moved the work of this repository from {old}"
    [new] = (project.directory / "work").iterdir()
    assert new != old
    assert (new / "log" / "events.jsonl").read_bytes() == log


def test_directories_are_listed_in_a_repository_without_a_commit(project: Project) -> None:
    gone = other(project, "gone")
    project.git("update-ref", "-d", "refs/heads/main")
    result = project.run("--cobbler-clean")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"  {gone.name} of *"])


def test_where_nothing_is_left_that_is_printed(project: Project) -> None:
    for options in ((), ("--cobbler-force",)):
        result = project.run("--cobbler-clean", *options)
        assert (result.ret, result.outlines) == (
            0,
            [f"Every directory in {project.directory}/work belongs to a repository that is there."],
        )
