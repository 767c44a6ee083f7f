"""Projects in a directory of a larger repository."""

from __future__ import annotations

from pytest_cobbler.testing.project import Project


def move_to(project: Project, directory: str) -> None:
    """Move the configuration to ``directory``: from then on that is ``path``, where runs start."""
    project.git("rm", "--quiet", "configuration.yaml")
    project.path /= directory
    project.path.mkdir(parents=True)
    project.configure()
