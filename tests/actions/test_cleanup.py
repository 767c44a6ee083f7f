"""``cleanup_dirs``: what stop and reset remove from directories of the checkout, and what they leave."""

from __future__ import annotations

import os

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.generations import generation, stop
from tests.support.sessions import seed

ACTIONS = pytest.mark.parametrize("action", ["--cobbler-stop", "--cobbler-reset"])


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project)
    cobbler_project.write({".gitignore": "*.o\n", "build/kept.txt": "kept\n", "build/d/kept.txt": "kept\n"})
    cobbler_project.configure(cleanup_dirs=["build", "out/tmp/"])
    return cobbler_project


def clean(project: Project, action: str = "--cobbler-stop") -> list[str]:
    """What is told of it."""
    generation(project, {"a.txt": "a\n"})
    result = stop(project) if action == "--cobbler-stop" else project.run(action)
    assert result.ret == 0, result.errlines
    return [line for line in result.outlines if line.startswith(("removed ", "left "))]


@ACTIONS
def test_untracked_files_are_removed_and_listed(project: Project, action: str) -> None:
    project.write(
        {
            "build/a.o": "ignored\n",
            "build/new.txt": "new\n",
            "build/d/e/f.o": "",
            "out/tmp/x/y.txt": "",
            "out/kept.txt": "not in it\n",
        }
    )
    assert clean(project, action) == [
        "removed build/a.o",
        "removed build/d/e/",
        "removed build/new.txt",
        "removed out/tmp/",
    ]
    left = [path for name in ("build", "out") for path in (project.path / name).rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(project.path)) for path in left) == [
        "build/d/kept.txt",
        "build/kept.txt",
        "out/kept.txt",
    ]


def test_reset_leaves_tracked_files_as_they_are(project: Project) -> None:
    project.write({"build/kept.txt": "edited\n", "build/staged.txt": "staged\n"})
    project.git("add", "build/staged.txt")
    assert clean(project, "--cobbler-reset") == []
    assert project.git("status", "--porcelain").split() == ["M", "build/kept.txt", "A", "build/staged.txt"]


def test_files_that_the_merge_adds_are_not_removed(project: Project) -> None:
    generation(project, {"build/landed.txt": "landed\n"})
    assert stop(project).ret == 0
    assert (project.path / "build" / "landed.txt").exists()


def test_the_cleanup_never_follows_links(project: Project) -> None:
    outside = project.directory / "outside"
    outside.mkdir()
    (outside / "mine.txt").touch()
    (project.path / "build" / "link").symlink_to(outside)
    (project.path / "build" / "up").symlink_to("..")
    (project.path / "out").symlink_to(outside)
    assert clean(project) == [
        "removed build/link",
        "removed build/up",
        "left out: a link, or no directory",
    ]
    assert (outside / "mine.txt").exists()


def test_a_link_in_place_of_the_cleanup_directory_is_not_removed(project: Project) -> None:
    outside = project.directory / "outside"
    outside.mkdir()
    (outside / "mine.txt").touch()
    (project.path / "out").mkdir()
    (project.path / "out" / "tmp").symlink_to(outside)
    assert clean(project) == ["left out/tmp: a link, or no directory"]
    assert (outside / "mine.txt").exists()


def test_repositories_in_a_cleanup_directory_are_not_removed(project: Project) -> None:
    project.git("init", "--quiet", "build/other")
    project.write({"build/other/file.txt": "", "out/tmp/.git/HEAD": "ref: refs/heads/x\n"})
    assert clean(project) == [
        "left build/other: a repository of its own",
        "left out/tmp: a repository of its own",
    ]
    assert (project.path / "build" / "other" / "file.txt").exists()


def test_pipes_and_files_with_odd_names_are_removed(project: Project) -> None:
    project.write({"build/new\nline": "", "build/ünï": ""})
    os.mkfifo(project.path / "build" / "pipe")
    (project.path / "build" / os.fsdecode(b"\xff")).touch()
    assert clean(project) == [
        r"removed build/new\nline",
        "removed build/pipe",
        "removed build/ünï",
        r"removed build/\xff",
    ]


def test_missing_cleanup_directories_are_not_reported(project: Project) -> None:
    assert clean(project) == []


def test_a_bare_repository_is_not_removed(project: Project) -> None:
    project.write({"build/x.o": ""})
    project.git("init", "--quiet", "--bare", "build/bare")
    assert clean(project) == ["removed build/x.o", "left build/bare: a repository of its own"]
    assert (project.path / "build" / "bare" / "HEAD").exists()
