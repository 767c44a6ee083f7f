from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.calculators import GO, INSTRUCTION, PYTHON, Sample
from tests.support.images import busybox_image, claude_volume, image_with, minimal_image
from tests.support.kubernetes_cluster import KubernetesCluster, kubernetes
from tests.support.scripted_api import ScriptedApi
from tests.support.slurm import cluster

__all__ = ["busybox_image", "claude_volume", "cluster", "kubernetes", "minimal_image"]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """The model that claude talks to."""
    with ScriptedApi() as server:
        yield server
    assert not server.failures


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str, claude_volume: tuple[str, str]) -> Project:
    """A project for the real claude in podman, with one attempt at each task and no retries of requests."""
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=[*claude_volume, "-e", "CLAUDE_CODE_MAX_RETRIES=0"],
        agent="claude",
        agent_command=None,
        max_attempts=1,
        cycles=0,
    )
    return cobbler_project


@pytest.fixture
def in_pods(
    cobbler_project: Project,
    kubernetes: KubernetesCluster,
    python_image: str,
    claude_program: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Project]:
    """The sample in Python, for agents in pods; their image has claude."""
    image = image_with(python_image, claude_program)
    kubernetes.add(image)
    monkeypatch.setenv("KUBECONFIG", str(kubernetes.configuration))
    cobbler_project.python_sample()
    cobbler_project.write({"CLAUDE.md": f"{INSTRUCTION}\n"})
    cobbler_project.configure(
        sandbox="kubernetes",
        kubernetes_carrier=python_image,
        podman_image=image,
        podman_args=["-e", "CLAUDE_CODE_MAX_RETRIES=1"],
        agent="claude",
        agent_command=None,
        test_command=None,
    )
    yield cobbler_project
    assert kubernetes.pods() == []


@pytest.fixture
def sample() -> Sample:
    return PYTHON


@pytest.fixture
def sandbox() -> str:
    return "podman"


@pytest.fixture
def calculator(
    cobbler_project: Project,
    claude_volume: tuple[str, str],
    sample: Sample,
    sandbox: str,
    request: pytest.FixtureRequest,
) -> Project:
    if sandbox == "slurm":
        request.getfixturevalue("cluster")
    if sandbox == "kubernetes":
        in_pods: Project = request.getfixturevalue("in_pods")
        return in_pods
    if sample is GO:
        cobbler_project.go_sample()
        image, more = "minimal_image", request.getfixturevalue("go_arguments")
    else:
        cobbler_project.python_sample()
        image, more = "python_image", ()
    cobbler_project.write({"CLAUDE.md": f"{INSTRUCTION}\n"})
    cobbler_project.configure(
        sandbox=sandbox,
        podman_image=request.getfixturevalue(image),
        podman_args=[*claude_volume, *more, "-e", "CLAUDE_CODE_MAX_RETRIES=1"],
        agent="claude",
        agent_command=None,
        test_command=None,
    )
    return cobbler_project
