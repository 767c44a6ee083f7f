"""The sandboxes that the tests here are asked of.

``podman``: of the tests' own user; ``rootless``: of the user that ``COBBLER_TEST_ROOTLESS`` names, when
root runs the tests; ``host``: no container.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox
from tests.support.images import bare_image, busybox_image, minimal_image, python_image
from tests.support.podmans import Podman, open_to_others, own_podman, rootless_podman

__all__ = ["bare_image", "busybox_image", "minimal_image", "own_podman", "python_image", "rootless_podman"]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A directory that every job can write in."""
    directory = tmp_path / "workspace"
    directory.mkdir()
    directory.chmod(0o777)
    open_to_others(tmp_path)
    return directory


@pytest.fixture
def repository() -> str:
    """A name for a repository that no other test has."""
    return uuid.uuid4().hex[:8]


ROOTLESS = pytest.param("rootless", marks=pytest.mark.matrix("rootless"))
"""An ordinary user's podman runs the same flags: a run tries it with some of a file's tests."""


@pytest.fixture(params=["podman", ROOTLESS])
def podman(request: pytest.FixtureRequest) -> Podman:
    """Each podman there is."""
    wanted = "own_podman" if request.param == "podman" else "rootless_podman"
    found: Podman = request.getfixturevalue(wanted)
    return found


@pytest.fixture
def contained(podman: Podman, minimal_image: str, repository: str) -> PodmanSandbox:
    """Each sandbox that holds its jobs."""
    return podman.sandbox(minimal_image, repository=repository)


@pytest.fixture(params=["podman", ROOTLESS, "host"])
def sandbox(request: pytest.FixtureRequest, repository: str) -> Sandbox:
    """Each sandbox."""
    if request.param == "host":
        return HostSandbox(repository=repository, run_id="here")
    wanted = "own_podman" if request.param == "podman" else "rootless_podman"
    found: Podman = request.getfixturevalue(wanted)
    return found.sandbox(request.getfixturevalue("minimal_image"), repository=repository)
