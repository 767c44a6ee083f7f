from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import remove_tree
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.images import minimal_image
from tests.repository.builders import Bench, UserRepository

__all__ = ["minimal_image"]

_MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    """In memory where there is some, open to the jobs' user, and removed whatever a test leaves in it."""
    directory = Path(tempfile.mkdtemp(prefix="cobbler-test-", dir=_MEMORY if _MEMORY.is_dir() else None))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        remove_tree(directory)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """As pytest's, in memory."""
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
    """The user of these tests has no configuration but the repository's own."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("EMAIL", raising=False)


@pytest.fixture
def empty_user(tmp_path: Path) -> UserRepository:
    """A repository without a commit."""
    return UserRepository.create(tmp_path)


@pytest.fixture
def user(template: UserRepository, tmp_path: Path) -> UserRepository:
    """A repository with a commit of a few files."""
    return template.copy(tmp_path)


@pytest.fixture
def repository(user: UserRepository) -> Repository:
    return user.open()


@pytest.fixture
def host() -> Sandbox:
    return HostSandbox(repository=uuid.uuid4().hex[:8], run_id="test")


@pytest.fixture
def podman(minimal_image: str, user: UserRepository) -> Sandbox:
    return PodmanSandbox(
        minimal_image, repository=uuid.uuid4().hex[:8], run_id="test", owner=job_owner(user.path)
    )


@pytest.fixture(params=["host", "podman"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each sandbox."""
    found: Sandbox = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bench(user: UserRepository, sandbox: Sandbox) -> Bench:
    """A generation that has just begun, in each sandbox."""
    return Bench(user, user.open(), user.start(), sandbox)


@pytest.fixture
def host_bench(user: UserRepository, host: Sandbox) -> Bench:
    """A generation that has just begun, without containers."""
    return Bench(user, user.open(), user.start(), host)
