from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_cobbler.testing.project import Project, start_afresh
from tests.support.forking import fork_server


@pytest.fixture(scope="session", autouse=True)
def forks() -> Iterator[None]:
    """Let every project start pytest by a fork, which takes a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch, fork_server() as server:
        patch.setattr(Project, "starter", server.start)
        yield


@pytest.fixture
def fresh_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test's projects start pytest as a user does."""
    monkeypatch.setattr(Project, "starter", staticmethod(start_afresh))


@pytest.fixture
def cobbler_project(cobbler_project: Project) -> Project:
    """Without Hypothesis, which takes a good part of a short run to load."""
    cobbler_project.options += ["-p", "no:hypothesispytest"]
    return cobbler_project
