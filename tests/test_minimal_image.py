"""The script of the documents that makes an image from the distribution's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from pytest_cobbler.testing.samples import python_sample
from tests.support.documents import ROOT
from tests.support.images import minimal_image, podman

__all__ = ["minimal_image"]

pytestmark = pytest.mark.slow  # some 40 packages are downloaded and unpacked

SCRIPT = ROOT / "docs" / "minimal-image.sh"


@pytest.fixture
def image(minimal_image: str, tmp_path: Path) -> Iterator[str]:  # noqa: ARG001 - it needs a podman that works
    """An image that the script made, with Python, pytest and something called claude."""
    name = f"localhost/cobbler-test-script-{uuid.uuid4().hex[:8]}"
    environment = {**os.environ, "CLAUDE": shutil.which("true") or "", "TMPDIR": str(tmp_path)}
    command = ["sh", str(SCRIPT), name, "python3-pytest"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stderr
    assert list(tmp_path.iterdir()) == []
    # Each step may take minutes, so its line comes before it.
    steps = [line.split()[0] for line in made.stdout.splitlines() if line.endswith(" ...")]
    assert steps == ["downloading", "unpacking", "importing"]
    yield name
    podman("rmi", name)


def test_a_user_without_a_registry_gets_an_image_that_init_chooses(
    cobbler_project: Project, image: str, tmp_path: Path
) -> None:
    """So agents and the default gate run in it; and it comes through a file to another machine."""
    assert podman("run", "--rm", "--network=none", image, "awk", "BEGIN { print 1 }") == "1"
    archive = tmp_path / "agent.tar"
    podman("save", "--quiet", "--output", str(archive), image)
    podman("rmi", image)
    podman("load", "--quiet", "--input", str(archive))

    (cobbler_project.path / "configuration.yaml").unlink()
    cobbler_project.write(python_sample())
    cobbler_project.commit("Sample")
    result = cobbler_project.run("--cobbler-init")
    text = (cobbler_project.path / "configuration.yaml").read_text()
    assert f"podman_image: {image}:latest\n" in text, "\n".join(result.outlines)
