"""Fixtures that the tests of the repository and the attacks share."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.repository.directories import remove_tree
from tests.support.repositories import UserRepository

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]

_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """A directory in memory if possible, open to the jobs' user, and always removed."""
    directory = Path(tempfile.mkdtemp(prefix="cobbler-test-", dir=_MEMORY if _MEMORY.is_dir() else None))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        remove_tree(directory)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Like pytest's ``tmp_path``, in memory."""
    with _directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def template() -> Iterator[UserRepository]:
    """A repository with a commit of a few files, to be copied."""
    with _directory() as directory:
        template = UserRepository.create(directory)
        template.commit(
            {"README.md": "# Project\n", "src/app.py": "print('app')\n", "src/util.py": "x = 1\n"}
        )
        yield template


@pytest.fixture(autouse=True)
def no_git_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the tests' user no configuration except the repository's."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    # Not HOME: an ordinary user's podman has its images there.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("EMAIL", raising=False)


@pytest.fixture
def user(template: UserRepository, tmp_path: Path) -> UserRepository:
    """A repository with a commit of a few files."""
    return template.copy(tmp_path)
