"""The sandboxes that the tests here are asked of.

``podman``: of whoever runs the tests; ``rootless``: of the user that ``COBBLER_TEST_ROOTLESS`` names, when
root runs the tests; ``host``: no container.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner, podman_environment
from tests.images import (
    bare_image,
    busybox_image,
    minimal_image,
    python_image,
)

__all__ = ["bare_image", "busybox_image", "minimal_image", "python_image"]


@dataclass(frozen=True)
class Podman:
    """A podman to be had: how it is called, in what environment, and as whom its jobs run."""

    program: str
    environment: dict[str, str]
    owner: tuple[int, int] | None

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments], env=self.environment, cwd="/", capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def sandbox(self, image: str, *, repository: str, run_id: str = "here") -> PodmanSandbox:
        return PodmanSandbox(
            image,
            repository=repository,
            run_id=run_id,
            owner=self.owner,
            program=self.program,
            environment=self.environment,
        )


@pytest.fixture(scope="session")
def own_podman(busybox_image: str) -> Podman:
    return Podman("podman", podman_environment(), job_owner(Path(__file__)))


@pytest.fixture(scope="session")
def rootless_podman(
    own_podman: Podman, minimal_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Podman:
    """The podman of an ordinary user, called by root."""
    name = os.environ.get("COBBLER_TEST_ROOTLESS", "")
    if not name:
        pytest.skip(
            "needs COBBLER_TEST_ROOTLESS, the name of a user with lines in /etc/subuid and /etc/subgid"
        )
    user = pwd.getpwnam(name)
    directory = tmp_path_factory.mktemp("rootless")
    runtime = directory / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, user.pw_uid, user.pw_gid)
    _open_to_others(directory)
    program = directory / "podman"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid={name} --regid={name} --init-groups podman "$@"\n')
    program.chmod(0o755)
    environment = own_podman.environment | {
        "HOME": user.pw_dir,
        "XDG_RUNTIME_DIR": str(runtime),
        "STORAGE_DRIVER": "overlay",
    }
    rootless = Podman(str(program), environment, None)
    _hand_over(minimal_image, own_podman, rootless, directory)
    return rootless


def _open_to_others(directory: Path) -> None:
    """pytest keeps its temporary directories to their owner."""
    for path in (directory, *directory.parents):
        if path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o011)


def _hand_over(image: str, giver: Podman, taker: Podman, directory: Path) -> None:
    looked = subprocess.run([taker.program, "image", "exists", image], env=taker.environment, cwd="/")
    if looked.returncode != 0:
        archive = directory / "image.tar"
        giver("save", "--quiet", f"--output={archive}", image)
        archive.chmod(0o644)
        taker("load", "--quiet", f"--input={archive}")
        archive.unlink()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A directory that every job can write in."""
    directory = tmp_path / "workspace"
    directory.mkdir()
    directory.chmod(0o777)
    _open_to_others(tmp_path)
    return directory


@pytest.fixture
def repository() -> str:
    """A name for a repository that no other test has."""
    return uuid.uuid4().hex[:8]


@pytest.fixture(params=["podman", "rootless"])
def podman(request: pytest.FixtureRequest) -> Podman:
    """Each podman there is."""
    wanted = "own_podman" if request.param == "podman" else "rootless_podman"
    found: Podman = request.getfixturevalue(wanted)
    return found


@pytest.fixture
def contained(podman: Podman, minimal_image: str, repository: str) -> PodmanSandbox:
    """Each sandbox that holds its jobs."""
    return podman.sandbox(minimal_image, repository=repository)


@pytest.fixture(params=["podman", "rootless", "host"])
def sandbox(request: pytest.FixtureRequest, repository: str) -> Sandbox:
    """Each sandbox."""
    if request.param == "host":
        return HostSandbox(repository=repository, run_id="here")
    wanted = "own_podman" if request.param == "podman" else "rootless_podman"
    found: Podman = request.getfixturevalue(wanted)
    return found.sandbox(request.getfixturevalue("minimal_image"), repository=repository)
