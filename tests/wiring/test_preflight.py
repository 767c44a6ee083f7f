"""Everything that a run tries out in the sandbox, in one container where possible."""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.command import CommandAgent
from pytest_cobbler.config import load
from pytest_cobbler.errors import CobblerError, SandboxError, UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages.base import Step
from pytest_cobbler.languages.python import Python
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Completed, Job, Network, Sandbox
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.parts import make_gate
from pytest_cobbler.wiring.preflight import (
    Findings,
    preflight,
    preflight_sandbox,
    preflight_without_agent,
)
from tests.support.images import busybox_image, minimal_image
from tests.support.jobs import own_host
from tests.support.memory import let_users_into_all_memory
from tests.support.podmans import Podman, open_to_others, own_podman
from tests.support.workplaces import KEY, ClaudeAgent

__all__ = ["busybox_image", "minimal_image", "own_podman"]

WORKER = CommandAgent(["sh"], environment={"WORKER": "1"})
MISSING = CommandAgent(["no-such-agent"])


@dataclass
class Counting:
    """A sandbox that remembers the names of its jobs."""

    sandbox: Sandbox
    names: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sandbox, name)

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        self.names.append(job.name)
        return self.sandbox.run(job, cancellation)


class Listing(Python):
    """A language whose default gate and list of modules need only a shell."""

    lists_modules = ("sh", "-c", "echo pytest_one; echo pytest_two")

    def default_build(self) -> Step:
        return Step(name="build", argv=("sh", "-c", 'test -z "$(ls)" && echo >new'), shown="build")


class Place:
    """A repository, and gates and preflights on it."""

    def __init__(self, directory: Path, sandbox: Sandbox) -> None:
        self.repository = Repository(directory / "project", directory / "work")
        self.sandbox: Any = Counting(sandbox)
        self.language = Listing()

    def gate(self, test_command: str = "[cat, -n]", **changes: Any) -> Gate:
        path = self.repository.root / "configuration.yaml"
        path.write_text(f"sandbox: none\nlanguage: python\ntest_command: {test_command}\n")
        return replace(make_gate(load(path), self.language, self.sandbox, "run"), **changes)

    def preflight(self, agent: Agent = WORKER, gate: Gate | None = None) -> Findings:
        return preflight(self.repository, self.sandbox, gate or self.gate(), self.language, Agents.one(agent))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", str(tmp_path / "project")], check=True)
    open_to_others(tmp_path)
    return tmp_path


@pytest.fixture
def place(directory: Path, own_podman: Podman, minimal_image: str) -> Place:
    return Place(directory, own_podman.sandbox(minimal_image, repository=uuid.uuid4().hex[:8]))


@pytest.fixture
def host(directory: Path) -> Place:
    return Place(directory, own_host())


def test_all_checks_of_a_run_share_one_container(place: Place) -> None:
    assert place.preflight().reserved == {"pytest_one", "pytest_two"}
    assert place.sandbox.names == ["preflight"]


def test_a_proxied_agent_shares_the_container(place: Place) -> None:
    place.preflight(CommandAgent(["sh"], credential=KEY, base_url="http://127.0.0.1:9", proxied=True))
    assert place.sandbox.names == ["preflight"]


def test_without_containers_the_checks_share_a_job(host: Place) -> None:
    assert host.preflight().reserved == {"pytest_one", "pytest_two"}
    assert host.sandbox.names == ["preflight"]


def test_a_gate_with_an_image_of_its_own_has_a_second_container(place: Place, busybox_image: str) -> None:
    place.preflight(gate=place.gate(image=busybox_image))
    assert place.sandbox.names == ["preflight", "preflight"]


def test_a_gate_with_a_network_has_a_container_of_its_own(place: Place) -> None:
    place.preflight(gate=place.gate(network=Network.OPEN))
    assert place.sandbox.names == ["preflight", "gate"]


def test_a_stop_and_a_test_try_the_sandbox_in_one_container(place: Place) -> None:
    preflight_without_agent(place.repository, place.sandbox, place.gate(), place.language)
    preflight_sandbox(place.repository, place.sandbox)
    assert place.sandbox.names == ["preflight", "preflight"]


def test_an_agent_of_a_hook_is_asked_between_sandbox_and_gate(host: Place) -> None:
    class Mine:
        description, secrets, proxied = "agent: mine", (), False
        preflight_after: tuple[str, ...] = ()

        def preflight(self, sandbox: Any) -> None:
            self.preflight_after = tuple(sandbox.names)

        def run(self, *_arguments: object) -> Any: ...

    mine = Mine()
    assert host.preflight(mine).reserved == {"pytest_one", "pytest_two"}
    assert mine.preflight_after == ("preflight-worktree",)
    with pytest.raises(UsageProblem, match="its sandbox does not have no-such-tool"):
        host.preflight(mine, host.gate("[no-such-tool]"))


def test_the_first_failing_check_gives_the_error(place: Place) -> None:
    bad_gate = place.gate("[no-such-tool]")
    with pytest.raises(CobblerError, match="agent: cannot use no-such-agent: it is not in the sandbox"):
        place.preflight(MISSING, bad_gate)
    with pytest.raises(CobblerError, match="credential"):
        place.preflight(ClaudeAgent(), bad_gate)
    with pytest.raises(UsageProblem, match="its sandbox does not have no-such-tool"):
        place.preflight(WORKER, bad_gate)


def test_a_default_command_that_fails_is_shown_with_its_output(place: Place) -> None:
    class Broken(Listing):
        def default_build(self) -> Step:
            return Step(name="build", argv=("sh", "-c", "echo why >&2; exit 4"), shown="build")

    place.language = Broken()
    with pytest.raises(UsageProblem) as caught:
        place.preflight()
    assert caught.value.cause == "the gate cannot run: build failed (exit 4) in an empty directory"
    assert caught.value.evidence == "== build ==\nwhy"
    assert place.sandbox.names == ["preflight"]


def test_an_image_without_git_is_reported_first(
    directory: Path, own_podman: Podman, busybox_image: str
) -> None:
    place = Place(directory, own_podman.sandbox(busybox_image, repository=uuid.uuid4().hex[:8]))
    for agent in (MISSING, ClaudeAgent()):
        with pytest.raises(SandboxError) as caught:
            place.preflight(agent, place.gate("[no-such-tool]"))
        assert caught.value.cause == f"the image {busybox_image} has no program git"
        assert caught.value.remedy == "Add it to the image, or mount it by podman_args."


def test_a_work_dir_that_jobs_cannot_write_is_reported(place: Place) -> None:
    class Unwritable(Counting):
        def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
            mounts = tuple(replace(m, mode="ro") if m.mode == "rw" else m for m in job.mounts)
            return super().run(replace(job, mounts=mounts), cancellation)

    place.sandbox = Unwritable(place.sandbox)
    with pytest.raises(UsageProblem) as caught:
        place.preflight(MISSING)
    assert (
        caught.value.cause == f"jobs cannot work in {place.repository.work_dir}, the directory of worktrees"
    )
    assert "Read-only file system" in caught.value.evidence


def test_an_old_program_of_an_agent_is_named_before_anything_is_spent(
    host: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "programs" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho '1.0.3 (Claude Code)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    [warning] = host.preflight(ClaudeAgent(credential=KEY)).warnings
    assert warning.startswith("claude 1.0.3 is older than ")


def test_nothing_is_left_in_the_work_dir(host: Place) -> None:
    host.preflight()
    assert list(host.repository.work_dir.glob("probe-*")) == []


def test_fs_suid_dumpable_is_named_before_anything_is_spent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.preflight().warnings == ()
    let_users_into_all_memory(monkeypatch)
    why = "a job can change its own verdict and outlive a killed run: fs.suid_dumpable is 1"
    assert place.preflight().warnings == (why,)
