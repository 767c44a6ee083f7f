"""A command of the user that says ``python``, in an image that has only ``python3``."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import pytest

from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.languages import get
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Network, Sandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from pytest_cobbler.wiring.preflight import preflight_gate
from tests.support.images import minimal_image, python_image
from tests.support.jobs import own_host

__all__ = ["minimal_image", "python_image"]

PROGRAM = "/cobbler/programs/python"


def gate(sandbox: Sandbox, *scripts: str, **environment: str) -> Gate:
    steps = [Step(name=f"step{n}", argv=("sh", "-c", text), shown=text) for n, text in enumerate(scripts)]
    return Gate(
        steps=steps, sandbox=sandbox, network=Network.NONE, image=None, timeout=60.0, environment=environment
    )


def run(directory: Path, sandbox: Sandbox, *scripts: str, **environment: str) -> GateResult:
    checkout = directory / "checkout"
    checkout.mkdir()
    if sandbox.owner:
        os.chown(checkout, *sandbox.owner)
    made = gate(sandbox, *scripts, **environment)
    return made.run(checkout, directory / "gate.log", Cancellation())


def podman(image: str, directory: Path) -> Sandbox:
    return PodmanSandbox(image, repository=uuid.uuid4().hex, run_id="test", owner=job_owner(directory))


def test_a_command_that_says_python_runs_where_only_python3_is(python_image: str, tmp_path: Path) -> None:
    """Also in a script that the command calls; and tested code cannot replace the program."""
    sandbox = podman(python_image, tmp_path)
    attack = f"echo 'exit 0' >{PROGRAM} || mv {PROGRAM} /tmp || umount {Path(PROGRAM).parent}; true"
    preflight_gate(gate(sandbox, "python -m pytest"), get("none"))
    result = run(
        tmp_path,
        sandbox,
        f"{attack}; python -c 'print(6 * 7)'; sh -c 'python -c \"print(2 * 21)\"'",
        "python -c 'import sys; sys.exit(3)'",
    )
    assert (result.failed, result.status) == ("step1", 3), result.output
    assert result.output.splitlines().count("42") == 2, result.output


def test_where_no_python_is_installed_that_is_the_error(minimal_image: str, tmp_path: Path) -> None:
    result = run(tmp_path, podman(minimal_image, tmp_path), "echo $PATH; command -v python || exit 9")
    assert result.status == 9
    assert "/cobbler/programs" not in result.output


def path_with(directory: Path, *programs: str) -> str:
    """A directory for PATH with these programs, and those that every gate needs."""
    place = directory / "programs"
    place.mkdir()
    for name in ("sh", *programs):
        real = shutil.which("python3" if name.startswith("python") else name)
        (place / name).symlink_to(real or "")
    return str(place)


@pytest.mark.parametrize("installed", [("python3",), ("python",), ("python", "python3")])
def test_a_python_that_is_installed_is_used_as_it_is(tmp_path: Path, installed: tuple[str, ...]) -> None:
    """Without a sandbox, too; an image that has only ``python`` is left alone."""
    place = path_with(tmp_path, *installed)
    sandbox = own_host()
    result = run(tmp_path, sandbox, "echo path=$PATH; python -c 'print(6 * 7)'", PATH=place)
    assert result.passed, result.output
    assert result.output.endswith("42")
    assert (f"path={place}\n" in result.output) == ("python" in installed)
