from __future__ import annotations

import pytest

from pytest_cobbler.testing.project import Project


@pytest.fixture
def cobbler_project(cobbler_project: Project) -> Project:
    """Without Hypothesis, which takes a good part of a short run to load."""
    cobbler_project.options += ["-p", "no:hypothesispytest"]
    return cobbler_project
