"""What a run prints before its first agent: that it checks, and what agents will not see."""

from __future__ import annotations

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, task

CHECKING = "checking the sandbox, the agent and the gate ..."


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project, task("p-a"))
    return cobbler_project


def test_a_user_who_waits_for_checks_sees_what_runs(project: Project) -> None:
    result = project.run("--cobbler-generate", "--cobbler-cycles=0")
    assert result.outlines[1] == CHECKING  # the first line is that of `sandbox: none`
    assert CHECKING not in project.run("--cobbler-generate", "-q", "--cobbler-cycles=0").outlines
    assert CHECKING not in project.run("--cobbler-generate", "--collect-only").outlines


def test_the_line_on_checks_is_printed_before_a_check_fails(project: Project) -> None:
    project.configure(build_command="cobbler-no-such-program")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert CHECKING in result.outlines


def test_an_uncommitted_configuration_is_named_by_every_run(project: Project) -> None:
    """Agents of a generation have the files of the generation, so no other change concerns them."""
    line = "warning: not committed, so agents do not see it: "
    path = project.path / "configuration.yaml"
    path.write_text(path.read_text() + "max_attempts: 1\n")
    project.write({"README.md": "edited\n", ".secrets/notes": ""})  # which stays uncommitted
    both = f"{line}README.md, configuration.yaml"
    assert both in project.run("--cobbler-generate", "--collect-only").outlines
    assert both in project.run("--cobbler-generate", "--cobbler-cycles=0").outlines
    assert f"{line}configuration.yaml" in project.run("--cobbler-generate", "--collect-only").outlines
    outlines = project.run("--cobbler-resume").outlines
    assert f"{line}configuration.yaml" in outlines
    follows = "this run follows configuration.yaml as it is here, --cobbler-verify the committed one"
    assert f"warning: {follows}" in outlines
    project.git("commit", "--quiet", "--all", "--message=Settings")
    assert not [text for text in project.run("--cobbler-resume").outlines if text.startswith(line)]
