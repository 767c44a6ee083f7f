"""Problems that may end a run early are warnings or errors before it starts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.testing.project import Project
from pytest_cobbler.wiring import preflight
from pytest_cobbler.wiring.preflight import preflight_room
from tests.support.images import minimal_image
from tests.support.parts import need
from tests.support.scripted_api import ScriptedApi

__all__ = ["minimal_image"]

RUNS = [f"--cobbler-{action}" for action in ("generate", "resume", "regate", "verify", "stop")]
"""The actions that run agents or the gate."""


@pytest.mark.claude
@pytest.mark.parametrize(("minutes", "named"), [(50, True), (90, False)])
def test_a_login_that_may_expire_during_the_run_is_a_warning_in_the_header(
    cobbler_project: Project, minutes: float, named: bool
) -> None:
    cobbler_project.configure(agent="claude", agent_command=None, cycles=0)
    end = int((time.time() + 60 * minutes) * 1000)
    login = {"claudeAiOauth": {"accessToken": "sk-ant-oat01-none", "expiresAt": end}}
    cobbler_project.write({".secrets/claude.json": json.dumps(login)})
    path = f"{need('claude').parent}:{os.environ['PATH']}"
    with ScriptedApi() as api:
        env = {"PATH": path, "ANTHROPIC_BASE_URL": api.url}
        result = cobbler_project.run("--cobbler-generate", env=env)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    warnings = [line for line in result.outlines if line.startswith("warning: ")]
    assert bool(warnings) == named
    assert all(line.endswith("a run may take longer") for line in warnings)
    assert "sk-ant-oat01-none" not in result.stdout.str()


LETS_IN = """\
import sys

import pytest

sys.path.insert(0, {root!r})
from tests.support.memory import let_users_into_all_memory

let_users_into_all_memory(pytest.MonkeyPatch())
"""


@pytest.mark.podman
@pytest.mark.slow
@pytest.mark.parametrize("held", [True, False])
def test_a_machine_that_lets_jobs_into_the_memory_of_their_judges_is_named_in_the_header(
    cobbler_project: Project, minimal_image: str, held: bool
) -> None:
    cobbler_project.configure(sandbox="podman", podman_image=minimal_image, agent_network="none", cycles=0)
    if not held:
        cobbler_project.write({"conftest.py": LETS_IN.format(root=str(Path(__file__).parents[2]))})
        cobbler_project.commit("Take the protection out")
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    line = "warning: a job can change its own verdict and outlive a killed run: fs.suid_dumpable is 1"
    assert (line in result.outlines) == (not held), result.outlines


class TestRoom:
    @staticmethod
    def room(project: Project) -> str:
        repository = Repository(project.path, project.directory / "work")
        return preflight_room(repository, load(project.path / "configuration.yaml"))

    def test_enough_room_is_not_mentioned(
        self, cobbler_project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(preflight, "SCARCE_ROOM", 1)
        assert self.room(cobbler_project) == ""

    def test_little_room_is_a_warning(
        self, cobbler_project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(preflight, "SCARCE_ROOM", 1 << 60)
        assert f" MiB left for {cobbler_project.path}/.cobbler" in self.room(cobbler_project)

    def test_almost_no_room_is_an_error(
        self, cobbler_project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(preflight, "NEEDED_ROOM", 1 << 60)
        with pytest.raises(UsageProblem, match="almost no space is left for ") as caught:
            self.room(cobbler_project)
        assert "set work_dir" in caught.value.remedy
        assert not Path(cobbler_project.directory / "work").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--cobbler-generate",),
        ("--cobbler-generate", "-q"),
        *((action, "-qq", "--no-header") for action in RUNS),
    ],
    ids=" ".join,
)
def test_a_run_without_a_sandbox_names_that_in_its_first_line(
    cobbler_project: Project, options: tuple[str, ...]
) -> None:
    line = "configuration.yaml has sandbox: none: agents and the gate can do what you can"
    assert cobbler_project.run(*options).outlines[0] == line
