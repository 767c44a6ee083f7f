from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.images import minimal_image
from tests.support.repositories import Bench, UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["minimal_image", "no_git_of_ours", "template", "tmp_path", "user"]


@pytest.fixture
def empty_user(tmp_path: Path) -> UserRepository:
    """A repository without a commit."""
    return UserRepository.create(tmp_path)


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
