"""``--cobbler-verify``: the statements about landed commits, held against the commits and the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pytest_cobbler.testing.project import Project
from tests.support.images import python_image

__all__ = ["python_image"]

TEST = "def test_it():\n    assert True\n"


def generate(project: Project) -> str:
    """Land one task, which adds a test; the landed commit."""
    project.agent.measure().writes_tasks([{"title": "Add it"}])
    project.agent.task("Add it").writes("tests/test_it.py", TEST)
    result = project.run("--cobbler-generate")
    assert result.ret == 0, result.outlines
    return project.landed()[-1].commit


def note(project: Project, commit: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(project.git("notes", "--ref=cobbler", "show", commit))
    return document


def write_note(project: Project, commit: str, content: str) -> None:
    (project.directory / "note").write_text(content)
    project.git("notes", "--ref=cobbler", "add", "--force", f"--file={project.directory / 'note'}", commit)


def change(project: Project, commit: str, edit: Callable[[dict[str, Any]], object]) -> None:
    document = note(project, commit)
    edit(document)
    write_note(project, commit, json.dumps(document))


def test_a_landing_in_podman_is_stated_and_verified(cobbler_project: Project, python_image: str) -> None:
    project = cobbler_project
    project.python_sample()
    project.configure(
        sandbox="podman",
        podman_image=python_image,
        podman_args=project.agent.podman_arguments,
        test_command=None,
    )
    commit = generate(project)
    stated = note(project, commit)
    assert stated["subject"][0]["digest"] == {"gitCommit": commit}

    verified = project.run("--cobbler-verify", "-v")

    assert verified.ret == 0, verified.outlines
    verified.stdout.fnmatch_lines(
        [
            f"configuration.yaml::verify::{commit[:12]} VERIFIED*",
            f"{commit[:12]} Add it: verified: 2 passed, not signed",
        ]
    )
    change(project, commit, lambda document: document["subject"][1]["digest"].update(gitTree="0" * 40))
    differs = project.run("--cobbler-verify")
    assert differs.ret == 1
    differs.stdout.fnmatch_lines([f"{commit[:12]} Add it: DIFFERS: tree: 000000000000 in the statement, *"])
