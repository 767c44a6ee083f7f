"""A stop that is killed at any point: the same command again completes it, and no file is left in between."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.faults import filter_that_kills
from tests.support.generations import generation, refs, stop
from tests.support.sessions import seed

pytestmark = pytest.mark.matrix
KILLED = -signal.SIGKILL


class Attempts:
    """A generation that is ready to be stopped, again and again."""

    def __init__(self, project: Project) -> None:
        self.project = project
        seed(project)
        project.write({f"d{number}/old.up": f"{number}\n" for number in range(3)})
        project.write({".gitattributes": "*.up filter=up\n", "gone.up": "gone\n"})
        project.git("config", "filter.up.smudge", "cat")
        project.git("config", "filter.up.clean", "cat")
        project.commit("Files")
        changed: dict[str, str | None] = {f"d{number}/old.up": f"new {number}\n" for number in range(3)}
        self.name = generation(project, {**changed, "gone.up": None, "new/a.up": "a\n", "new/b.up": "b\n"})
        self.tip = refs(project)[f"refs/heads/{self.name}"]
        self._saved = project.directory / "saved"
        shutil.copytree(project.path, self._saved)

    def each(self, numbers: Iterable[int]) -> Iterator[int]:
        """The numbers, with the project as it was at first for each."""
        for number in numbers:
            yield number
            shutil.rmtree(self.project.path)
            shutil.copytree(self._saved, self.project.path)
            self.project.git("update-index", "-q", "--refresh")

    def stop(self, env: Mapping[str, str] | None = None) -> int:
        """In a process of its own, which is killed."""
        return int(self.project.run("--cobbler-stop", env=env).ret)

    def completes(self) -> None:
        """The same command again stops all of it, and the checkout is exactly the base."""
        assert stop(self.project).ret == 0
        found = refs(self.project)
        assert [ref for ref in found if ref.startswith("refs/heads/")] == ["refs/heads/main"]
        assert not [ref for ref in found if ref.startswith("refs/cobbler/")]
        assert found[f"refs/tags/{self.name}-finished"] == self.tip
        assert found[f"refs/tags/{self.name}-merged"] == found["refs/heads/main"]
        assert len([ref for ref in found if ref.startswith("refs/tags/v")]) == 2
        assert self.project.git("rev-list", "--count", "--first-parent", "main").strip() == "3"
        self.is_whole()

    def is_whole(self) -> None:
        assert self.project.git("status", "--porcelain") == ""
        files = self.project.files("HEAD")
        assert {path: (self.project.path / path).read_text() for path in files} == files


@pytest.fixture
def attempts(cobbler_project: Project) -> Attempts:
    return Attempts(cobbler_project)


def test_a_stop_recovers_from_a_kill_while_git_writes_files(
    attempts: Attempts, subtests: pytest.Subtests, points: Callable[[int], Iterable[int]]
) -> None:
    """git and pytest are killed with some files written, others not."""
    project = attempts.project
    for call in attempts.each(points(4)):
        script = filter_that_kills(project.directory / f"filter-{call}", call)
        project.git("config", "filter.up.smudge", script)
        ret = attempts.stop()
        project.git("config", "filter.up.smudge", "cat")
        if ret != KILLED:
            assert call > 4, "five files are written"
            break
        with subtests.test(call=call):
            assert project.git("status", "--porcelain") != ""
            attempts.completes()


def test_a_reset_removes_the_files_that_a_killed_stop_wrote(attempts: Attempts) -> None:
    project = attempts.project
    project.git("config", "filter.up.smudge", filter_that_kills(project.directory / "filter", 3))
    assert attempts.stop() == KILLED
    project.git("config", "filter.up.smudge", "cat")
    assert project.run("--cobbler-reset").ret == 0
    attempts.is_whole()
    assert refs(project)[f"refs/tags/{attempts.name}-abandoned"] == attempts.tip


def test_the_files_are_removed_again_if_git_alone_is_killed(
    attempts: Attempts, subtests: pytest.Subtests, points: Callable[[int], Iterable[int]]
) -> None:
    project = attempts.project
    before = refs(project)
    for call in attempts.each(points(4)):
        script = filter_that_kills(project.directory / f"filter-{call}", call, pytest=False)
        project.git("config", "filter.up.smudge", script)
        result = stop(project)
        project.git("config", "filter.up.smudge", "cat")
        if result.ret == 0:
            assert call > 4
            break
        with subtests.test(call=call):
            assert result.ret == pytest.ExitCode.USAGE_ERROR
            result.stderr.fnmatch_lines(["ERROR: git read-tree failed in *"])
            attempts.is_whole()
            assert refs(project) == before


def test_the_stop_is_completed_if_pytest_alone_is_killed(attempts: Attempts) -> None:
    project = attempts.project
    project.git("config", "filter.up.smudge", filter_that_kills(project.directory / "filter", 2, git=False))
    assert attempts.stop() == KILLED
    while (project.path / ".git" / "index.lock").exists():
        time.sleep(0.02)
    project.git("config", "filter.up.smudge", "cat")
    assert project.git("diff", "--cached", "--name-only") != ""
    attempts.completes()


def test_a_change_that_the_user_made_since_is_not_lost(attempts: Attempts) -> None:
    project = attempts.project
    project.git("config", "filter.up.smudge", filter_that_kills(project.directory / "filter", 3))
    assert attempts.stop() == KILLED
    project.git("config", "filter.up.smudge", "cat")
    path = Path("d0/old.up")
    project.write({str(path): "mine\n"})
    result = stop(project)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: a stop was ended half-way in *, and since then *changed d0/old.up"])
    assert (project.path / path).read_text() == "mine\n"
    (project.path / path).rename(project.directory / "saved-by-hand")
    attempts.completes()
