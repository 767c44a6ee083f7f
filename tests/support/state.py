"""Everything that an action could change in a repository, for a comparison before and after it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, RunResult

_OURS = (".beads",)
_OUR_REFS = (
    "refs/cobbler/",
    "refs/notes/cobbler",
    "refs/heads/task/",
    "refs/heads/generation-",
    "refs/tags/generation-",
)
_OF_GIT = ("HEAD", "index", "config", "hooks", "info", "MERGE_HEAD", "ORIG_HEAD")
_NO_CHANGE = (".pytest_cache", ".cobbler", ".git", "cobbler.lock", ".jsonl.lock")
"""Files for people or for pytest, which are tested elsewhere, and lock files that a run leaves."""


@dataclass(frozen=True, kw_only=True)
class State:
    """Refs by name; files of git and of the checkout, the tracker's among them, by path: mode, size, time."""

    refs: Mapping[str, str]
    git: Mapping[str, tuple[int, int, int]]
    files: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, project: Project) -> State:
        form = "--format=%(refname) %(objectname)%(symref)"
        refs = dict(line.split(" ", 1) for line in project.git("for-each-ref", form).splitlines())
        words = project.git("rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir").split(
            "\n"
        )
        directories = {Path(word) for word in words if word}
        git = {
            str(path): _look(path)
            for directory in directories
            for name in _OF_GIT
            for path in _below(directory / name)
        }
        files = {str(path.relative_to(project.path)): _look(path) for path in _below(project.path)}
        return cls(refs=refs, git=git, files=files)

    @property
    def users(self) -> State:
        """The state without the parts that we may change."""
        return State(
            refs={ref: value for ref, value in self.refs.items() if not ref.startswith(_OUR_REFS)},
            git=self.git,
            files={path: value for path, value in self.files.items() if not path.startswith(_OURS)},
        )


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir() and not path.is_symlink():
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name not in _NO_CHANGE:
                    yield from (
                        _below(Path(entry.path))
                        if entry.is_dir(follow_symlinks=False)
                        else [Path(entry.path)]
                    )
    elif path.exists() or path.is_symlink():
        yield path


def _look(path: Path) -> tuple[int, int, int]:
    status = path.lstat()
    return status.st_mode, status.st_size, status.st_mtime_ns


def changed(before: State, after: State) -> list[str]:
    """The differences: names of refs and paths."""
    return sorted(
        name
        for old, new in ((before.refs, after.refs), (before.git, after.git), (before.files, after.files))
        for name in old.keys() | new.keys()
        if old.get(name) != new.get(name)
    )


def assert_refused(
    result: RunResult | pytest.RunResult, before: State, after: State, cause: str, remedy: str
) -> None:
    """Check for a clear error, and that nothing has changed."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.outlines
    result.stderr.fnmatch_lines([f"ERROR: *{cause}*", f"*{remedy}*"])
    assert changed(before, after) == []
