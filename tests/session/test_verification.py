"""``--cobbler-verify``: the statements about landed commits, held against the commits and the gate."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.images import busybox_image, minimal_image, podman, python_image

__all__ = ["busybox_image", "minimal_image", "python_image"]

TEST = "def test_it():\n    assert True\n"


def generate(project: Project) -> str:
    """Land one task, which adds a test; the landed commit."""
    project.agent.measure().writes_tasks([{"title": "Add it"}])
    project.agent.task("Add it").writes("tests/test_it.py", TEST)
    result = project.run("--cobbler-generate", timeout=300)
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


@pytest.fixture
def image_name() -> Iterator[str]:
    """A name that images may have one after the other."""
    name = f"localhost/cobbler-test-verified-{os.getpid()}"
    yield name
    podman("untag", name, name)


@pytest.mark.matrix("costly")
def test_a_landing_in_podman_is_stated_and_verified(
    cobbler_project: Project, python_image: str, minimal_image: str, busybox_image: str, image_name: str
) -> None:
    project = cobbler_project
    podman("tag", python_image, image_name)
    project.python_sample()
    project.configure(
        sandbox="podman",
        podman_image=image_name,
        podman_args=project.agent.podman_arguments,
        test_command=None,
    )
    commit = generate(project)
    podman("tag", busybox_image, image_name)  # has no Python: the gate runs in the image of the statement
    stated = note(project, commit)
    assert stated["subject"][0]["digest"] == {"gitCommit": commit}

    verified = project.run("--cobbler-verify", "-v")

    assert verified.ret == 0, verified.outlines
    verified.stdout.fnmatch_lines(
        [
            f"configuration.yaml::verify::{commit[:12]} Add it VERIFIED*",
            f"{commit[:12]} Add it: verified: 2 passed, not signed",
        ]
    )
    tree = stated["subject"][1]["digest"]["gitTree"]
    change(project, commit, lambda document: document["subject"][1]["digest"].update(gitTree="0" * 40))
    differs = project.run("--cobbler-verify")
    assert differs.ret == 1
    differs.stdout.fnmatch_lines([f"{commit[:12]} Add it: DIFFERS: tree: 000000000000 in the statement, *"])
    change(project, commit, lambda document: document["subject"][1]["digest"].update(gitTree=tree))

    def state_image(document: dict[str, Any], image: str) -> None:
        document["predicate"]["buildDefinition"]["internalParameters"]["gate"]["image"] = image

    podman("tag", python_image, image_name)
    other = f"sha256:{podman('image', 'inspect', '--format={{.Id}}', minimal_image)}"
    change(project, commit, lambda document: state_image(document, other))
    project.run("--cobbler-verify", commit).stdout.fnmatch_lines(
        [f"{commit[:12]} Add it: DIFFERS: image: {other} in the statement never had the name of *"]
    )
    gone = f"sha256:{'0' * 64}"
    change(project, commit, lambda document: state_image(document, gone))
    cannot = project.run("--cobbler-verify", commit, "-v")
    assert cannot.ret == 1
    cannot.stdout.fnmatch_lines(
        [
            f"configuration.yaml::verify::{commit[:12]} Add it CANNOT VERIFY*",
            f"{commit[:12]} Add it: cannot verify: image gone: {gone}",
        ]
    )


@pytest.mark.matrix("costly")
def test_a_landing_that_could_not_be_signed_lands_and_is_named(cobbler_project: Project) -> None:
    project = cobbler_project
    project.configure(sign_command=["sh", "-c", "cat >/dev/null; echo locked >&2; exit 3"])
    project.agent.measure().writes_tasks([{"title": "Add it"}])
    project.agent.task("Add it").writes("it.txt", "1\n")
    run = project.run("--cobbler-generate")
    task, commit = project.task("Add it"), project.landed()[-1].commit
    cause = "sign_command failed (exit 3): locked"
    assert run.ret == 1
    run.stdout.fnmatch_lines([f"SIGNATURE: {task.id} landed without a signature: {cause}"])
    case = run.junit[f"configuration.yaml::stitch::{task.id}"]
    assert case.outcome == "passed"
    assert case.properties["cobbler_notes"] == f"the statement is not signed: {cause}"
    assert project.run("--cobbler-stop").ret == 0, "the statement stays"

    verified = project.run("--cobbler-verify")  # in the history of HEAD

    assert verified.ret == 1, verified.errlines
    reason = "DIFFERS: signature: none, and the base's configuration has sign_command"
    verified.stdout.fnmatch_lines([f"{commit[:12]} Add it: {reason}"])
    case = verified.junit[f"configuration.yaml::verify::{commit[:12]}"]
    assert (case.outcome, case.message) == ("failed", reason)
    assert case.properties["cobbler_outcome"] == "differs"
    assert case.properties["cobbler_commit"] == commit

    assert project.run("--cobbler-verify", "HEAD..HEAD").ret == 5
    unknown = project.run("--cobbler-verify", "nothing")
    assert unknown.ret == 4
    unknown.stderr.fnmatch_lines(["ERROR: --cobbler-verify: there is no commit nothing"])
    without = project.run("--cobbler-verify", f"{commit}^")
    assert without.ret == 1
    without.stdout.fnmatch_lines([f"{project.git('rev-parse', f'{commit}^')[:12]} *: no statement"])

    project.configure(sign_command=["no-such-program"])
    refused = project.run("--cobbler-generate")
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["ERROR: sign_command: there is no program no-such-program"])
    assert project.generation is None
