"""A real program that speaks ACP, opencode, in podman and without a network, as its page configures it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support import parts
from tests.support.scripted_api import ScriptedApi, always, error, text, tool, turn
from tests.support.sessions import by_title, came_to, seed, statuses, task

MODEL = "claude-opus-4-5"
PAGE = Path(__file__).parents[2] / "docs" / "acp.md"


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str) -> Project:
    program = parts.need("opencode")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    chosen, settings, _gemini = map(yaml.safe_load, blocks)
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=["-v", f"{program}:/usr/local/bin/opencode:ro", *settings["podman_args"]],
        **chosen,
        max_attempts=1,
        cycles=0,
    )
    return cobbler_project


def test_a_program_of_the_protocol_lands_a_task(project: Project, api: ScriptedApi) -> None:
    project.write({"AGENTS.md": "Rule: simsalabim.\n"})
    project.commit("Rules")
    seed(project, task("p-1", title="Write hello.txt"))
    write = tool("bash", command="env >found; echo hello >hello.txt", description="Write")
    api.script("Write hello.txt", [turn(write), turn(text("Done, all of it."))])

    result = project.run("--cobbler-generate", env=api.environment)

    assert check(project, result) == []
    assert came_to(result) == {"stitch::p-1": "landed"}
    files = project.files()
    assert files["hello.txt"] == "hello\n"
    key = api.environment["ANTHROPIC_API_KEY"]
    assert key not in files["found"]
    assert {request.headers["x-api-key"] for request in api.requests} == {key}
    case = by_title(result)["Write hello.txt"]
    assert case.properties["cobbler_model"] == MODEL
    assert float(case.properties["cobbler_cost_usd"]) > 0
    shown = "\n".join(project.run("--cobbler-show=p-1").outlines)
    assert "echo hello >hello.txt" in shown
    assert "Done, all of it." in shown


@pytest.mark.slow
def test_a_limit_of_the_api_is_that_of_a_program_of_the_protocol_too(
    project: Project, api: ScriptedApi
) -> None:
    seed(project, task("p-1", title="Write it"))
    api.script("", [always(error(401, "invalid x-api-key"))])

    result = project.run("--cobbler-generate", env=api.environment)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (came_to(result), statuses(project)) == ({"stitch::p-1": "limited"}, {"p-1": "open"})
