from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cobbler.testing.project import Project
from tests.images import claude_volume, minimal_image
from tests.scripted_api import ScriptedApi

__all__ = ["claude_volume", "minimal_image"]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    """The model that claude talks to."""
    with ScriptedApi() as server:
        yield server
    assert not server.failures


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str, claude_volume: tuple[str, str]) -> Project:
    """Open tasks are for the real claude in podman, which gets one attempt at each and does not ask twice."""
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
