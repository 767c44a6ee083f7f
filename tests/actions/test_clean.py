"""``--cobbler-clean``: what is left in ``work_dir`` of repositories that are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.project import Project


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


def test_where_nothing_is_left_that_is_printed(project: Project) -> None:
    for options in ((), ("--cobbler-force",)):
        result = project.run("--cobbler-clean", *options)
        assert (result.ret, result.outlines) == (
            0,
            [f"Every directory in {project.directory}/work belongs to a repository that is there."],
        )
