"""The podmans for tests: the current user's, and an ordinary user's if the current user is root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.sandbox.podman_environment import podman_environment

__all__ = ["Podman", "hand_over", "open_to_others", "own_podman", "rootless_podman", "rootless_user"]


@dataclass(frozen=True)
class Podman:
    """A podman: its command, its environment, and the user of its jobs."""

    program: str
    environment: dict[str, str]
    owner: tuple[int, int] | None

    def __call__(self, *arguments: str) -> str:
        completed = subprocess.run(
            [self.program, *arguments], env=self.environment, cwd="/", capture_output=True
        )
        assert completed.returncode == 0, completed.stderr.decode()
        return completed.stdout.decode().strip()

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
def own_podman(request: pytest.FixtureRequest) -> Podman:
    request.getfixturevalue("busybox_image")  # skips where podman does not run
    return Podman("podman", podman_environment(), job_owner(Path(__file__)))


def rootless_user() -> pwd.struct_passwd:
    """The account that ``COBBLER_TEST_ROOTLESS`` names; without it the test is skipped."""
    name = os.environ.get("COBBLER_TEST_ROOTLESS", "")
    if not name:
        pytest.skip(
            "needs COBBLER_TEST_ROOTLESS, the name of a user with lines in /etc/subuid and /etc/subgid"
        )
    return pwd.getpwnam(name)


@pytest.fixture(scope="session")
def rootless_podman(
    own_podman: Podman, minimal_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Podman:
    """The podman of an ordinary user, called by root."""
    user = rootless_user()
    name = user.pw_name
    # One place for all sessions, also for concurrent ones: it holds the state of all that is in the user's
    # store, and podman refuses a store whose state is elsewhere.
    runtime = Path(tempfile.gettempdir(), f"cobbler-rootless-{user.pw_uid}")
    runtime.mkdir(mode=0o700, exist_ok=True)
    program = tmp_path_factory.mktemp("rootless") / "podman"
    program.write_text(f'#!/bin/sh\nexec setpriv --reuid={name} --regid={name} --init-groups podman "$@"\n')
    program.chmod(0o755)
    environment = own_podman.environment | {
        "HOME": user.pw_dir,
        "XDG_RUNTIME_DIR": str(runtime),
        "STORAGE_DRIVER": "overlay",
    }
    if "CONTAINERS_CONF" in environment:
        readable = runtime / "containers.conf"
        draft = runtime / f".containers.conf.{os.getpid()}"  # another session may read the old one just now
        shutil.copyfile(environment["CONTAINERS_CONF"], draft)
        draft.replace(readable)
        environment["CONTAINERS_CONF"] = str(readable)
    os.chown(runtime, user.pw_uid, user.pw_gid)
    rootless = Podman(str(program), environment, None)
    hand_over(minimal_image, own_podman, rootless)
    return rootless


def open_to_others(directory: Path) -> None:
    """Let other users into pytest's temporary directories, which only their owner can enter."""
    for path in (directory, *directory.parents):
        if path.stat().st_uid == os.getuid():
            path.chmod(path.stat().st_mode | 0o011)


def hand_over(image: str, giver: Podman, taker: Podman) -> None:
    """Copy an image of ``giver`` to ``taker``, a rootless podman."""
    looked = subprocess.run([taker.program, "image", "exists", image], env=taker.environment, cwd="/")
    if looked.returncode != 0:
        with tempfile.TemporaryDirectory(dir=taker.environment["XDG_RUNTIME_DIR"]) as directory:
            Path(directory).chmod(0o755)
            archive = Path(directory, "image.tar")
            giver("save", "--quiet", f"--output={archive}", image)
            archive.chmod(0o644)
            taker("load", "--quiet", f"--input={archive}")
