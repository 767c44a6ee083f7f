from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.ground import Ground
from tests.support.images import minimal_image, python_image
from tests.support.repositories import UserRepository
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = ["minimal_image", "no_git_of_ours", "python_image", "template", "tmp_path", "user"]


@pytest.fixture
def sandbox(minimal_image: str, tmp_path: Path) -> PodmanSandbox:
    return PodmanSandbox(
        minimal_image, repository=uuid.uuid4().hex[:8], run_id="attack", owner=job_owner(tmp_path)
    )


@pytest.fixture
def ground(user: UserRepository, sandbox: PodmanSandbox) -> Ground:
    """A repository under attack."""
    return Ground(user, sandbox)
