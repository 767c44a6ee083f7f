"""The ancestor of this program was mage-claude-orchestrator, a Go library.

Its use cases are tested here (init, lifecycle, measure, stitch, resume), and what it got wrong, which must
not come back: a test for each mistake, named after what must not happen; its docstring says what happened.
"""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.images import minimal_image
from tests.support.sessions import WRITES_A_FILE
from tests.support.stores import bd_program, bd_template

__all__ = ["bd_program", "bd_template", "minimal_image"]


@pytest.fixture
def agent(cobbler_agent: StandInAgent) -> StandInAgent:
    return cobbler_agent


@pytest.fixture
def project(cobbler_project: Project, agent: StandInAgent) -> Project:
    """One attempt at each task; what has no steps of its own lands."""
    cobbler_project.configure(max_attempts=1)
    agent.otherwise().runs(WRITES_A_FILE)
    return cobbler_project


@pytest.fixture
def in_podman(project: Project, minimal_image: str) -> Project:
    project.configure(
        sandbox="podman", podman_image=minimal_image, podman_args=project.agent.podman_arguments, jobs=4
    )
    return project
