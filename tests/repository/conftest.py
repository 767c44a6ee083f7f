from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.repository.repository import Repository
from tests.support.bench_fixtures import bench, host, host_bench, minimal_image, podman, sandbox
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = [
    "bench",
    "host",
    "host_bench",
    "minimal_image",
    "no_git_of_ours",
    "podman",
    "sandbox",
    "template",
    "tmp_path",
    "user",
]


@pytest.fixture
def empty_user(tmp_path: Path) -> UserRepository:
    """A repository without a commit."""
    return UserRepository.create(tmp_path)


@pytest.fixture
def repository(user: UserRepository) -> Repository:
    return user.open()
