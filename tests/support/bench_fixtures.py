"""Fixtures of tests that harvest worktrees, in each sandbox."""

from __future__ import annotations

import os
import uuid

import pytest

from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.sites.overlaying import can_overlay
from tests.support.images import minimal_image
from tests.support.jobs import own_host
from tests.support.repositories import Bench, UserRepository

__all__ = ["bench", "can_have_overlays", "host", "host_bench", "minimal_image", "podman", "sandbox"]


@pytest.fixture
def host() -> Sandbox:
    return own_host()


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


@pytest.fixture
def can_have_overlays(bench: Bench) -> None:
    """Skips where worktrees cannot be overlays."""
    if os.geteuid() != 0 and not can_overlay(bench.repository, bench.sandbox):
        pytest.skip("this user's jobs have no overlays")
