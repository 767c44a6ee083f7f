"""Images for the tests, made of Debian packages without a registry, once for each content of ``image.sh``.

A machine on which podman cannot run containers is treated as one without podman: see
:func:`tests.support.parts.need`.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.podman_environment import podman_environment
from tests.support.parts import need

BUILDER = Path(__file__).with_name("image.sh")
DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")
"""The packages of the Python image besides Debian's; pure Python, copied from the tests' environment."""


def podman(*arguments: str, stdin: bytes | None = None) -> str:
    """The output of one podman command."""
    completed = subprocess.run(
        ["podman", *arguments], input=stdin, env=podman_environment(), capture_output=True, check=False
    )
    assert completed.returncode == 0, completed.stderr.decode()
    return completed.stdout.decode().strip()


@pytest.fixture(scope="session")
def minimal_image() -> str:
    """An image with git, coreutils, bash, and dash as sh."""
    return _image("minimal")


@pytest.fixture(scope="session")
def python_image() -> str:
    """An image with git, Python 3 and pytest, and bash as sh."""
    return _image("python")


@pytest.fixture(scope="session")
def busybox_image() -> str:
    """An image with busybox alone."""
    return _image("busybox")


@pytest.fixture(scope="session")
def small_image() -> str:
    """An image with busybox and git alone."""
    return _image("small")


@pytest.fixture(scope="session")
def bare_image() -> str:
    """An image with no program at all."""
    return _image("bare")


@pytest.fixture(scope="session")
def claude_volume(claude_program: Path) -> tuple[str, str]:
    """Arguments of podman that put the real claude program into any of the images."""
    return "--volume", f"{claude_program}:/usr/local/bin/claude:ro"


def image_with(image: str, program: Path) -> str:
    """An image with one program more, which needs nothing else of this machine."""
    status = program.stat()
    name = f"{image}-{program.name}-{status.st_size}-{status.st_mtime_ns}"
    with _alone(name):
        if not _exists(name):
            container = podman("create", "--pull=never", image, "true")
            try:
                podman("cp", str(program.resolve()), f"{container}:/usr/bin/{program.name}")
                podman("commit", "--quiet", container, name)
            finally:
                podman("rm", "--force", container)
    return name


def _image(kind: str) -> str:
    need("podman")
    _need_containers()
    return _built(kind)


@functools.cache
def _need_containers() -> None:
    try:
        podman("run", "--rm", "--network=none", "--pull=never", _built("busybox"), "true")
    except AssertionError as error:
        reason = f"podman cannot run a container here, see docs/containers.md on CONTAINERS_CONF: {error}"
        if "podman" in os.environ.get("COBBLER_TEST_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)


def _built(kind: str) -> str:
    name = f"localhost/cobbler-test-{kind}:{_content(kind)}"
    with _alone(name):
        if not _exists(name):
            _build(kind, name)
    return name


def _content(kind: str) -> str:
    digest = hashlib.sha256(BUILDER.read_bytes() + Path(__file__).read_bytes())
    if kind == "python":
        versions = [f"{name} {importlib.metadata.version(name)}" for name in DISTRIBUTIONS]
        digest.update("\n".join(versions).encode())
    return digest.hexdigest()[:12]


@contextlib.contextmanager
def _alone(name: str) -> Iterator[None]:
    """Two sessions that start concurrently build an image once."""
    lock = Path(tempfile.gettempdir()) / f"{name.replace('/', '-')}-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _exists(name: str) -> bool:
    looked = subprocess.run(
        ["podman", "image", "exists", name], env=podman_environment(), capture_output=True
    )
    return looked.returncode == 0


def _build(kind: str, name: str) -> None:
    with tempfile.TemporaryDirectory(prefix="cobbler-image-") as directory:
        root = Path(directory, "root")
        built = subprocess.run(["bash", BUILDER, kind, root], capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        if kind == "python":
            _copy_distributions(root / "usr/lib/python3/dist-packages")
            _compile(root)
        archive = Path(directory, "root.tar")
        subprocess.run(["tar", "-C", root, "--owner=0", "--group=0", "-cf", archive, "."], check=True)
        podman("import", "--quiet", str(archive), name)


def _copy_distributions(target: Path) -> None:
    for name in DISTRIBUTIONS:
        for file in importlib.metadata.files(name) or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target / file)


def _compile(root: Path) -> None:
    """Compile all modules by the Python of the image: else each gate would do it again."""
    packages = root / "usr/lib"
    compiled = subprocess.run(
        [
            *(root / "usr/bin/python3.11", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
            *("-s", root, "-p", "/", packages / "python3.11", packages / "python3"),
        ],
        env={"PYTHONHOME": str(root / "usr")},
        capture_output=True,
        text=True,
    )
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
