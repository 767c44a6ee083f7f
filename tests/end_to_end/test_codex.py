"""The real codex in podman, without a network; only the model is scripted. See also ``test_every_agent``."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project
from tests.support.real_agents import CODEX, DONE
from tests.support.scripted_api import ScriptedApi
from tests.support.sessions import came_to, seed, task

GATE = "! test -f work.txt || grep -x right work.txt || { echo work.txt has the wrong word; false; }"


@pytest.fixture
def project(cobbler_project: Project, minimal_image: str, tmp_path: Path) -> Project:
    cobbler_project.configure(
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=CODEX.mounted(tmp_path),
        **CODEX.usual,
        test_command=GATE,
        max_attempts=2,
        cycles=0,
    )
    return cobbler_project


def test_a_conversation_that_goes_on_is_in_the_cache(project: Project, api: ScriptedApi) -> None:
    seed(project, task("p-1", title="Write it"))
    wrong, right = (CODEX.runs(f"echo {word} >work.txt") for word in ("wrong", "right"))
    api.script("Write it", [wrong, DONE], [right, DONE])

    result = project.run("--cobbler-generate", env=CODEX.environment(api))

    assert came_to(result) == {"stitch::p-1": "landed"}
    assert len({request.session_id for request in api.requests}) == 1
    before, after = api.requests[1:3]
    assert after.body["input"][: len(before.body["input"])] == before.body["input"]
    assert [request.body["store"] for request in api.requests] == [False] * 4
