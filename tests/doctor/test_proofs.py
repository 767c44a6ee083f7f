"""What doctor proves by doing: with a podman that does it, and with one that does not."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.doctor import proofs
from pytest_cobbler.doctor.proofs import (
    prove_closed,
    prove_landing,
    prove_lifeline,
    prove_limits,
    prove_open,
    prove_tracker,
    scratch_below,
    scratch_repository,
)
from pytest_cobbler.errors import RepositoryError, SandboxError, TrackerError, UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.repository.harvest import HarvestError
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Capability, Loopback, Network, Sandbox
from pytest_cobbler.tracker.embedded import EmbeddedTracker
from pytest_cobbler.wiring.parts import SandboxSettings
from pytest_cobbler.wiring.preflight import preflight_work_dir
from tests.support.images import busybox_image, minimal_image
from tests.support.jobs import own_host
from tests.support.podmans import Podman, open_to_others, own_podman, rootless_podman

__all__ = ["busybox_image", "minimal_image", "own_podman", "rootless_podman"]

API = Access(
    credential=Credential(kind="api_key", value="key", source="test"),
    base_url="http://127.0.0.1:9",
    proxied=True,
)


@pytest.fixture(params=["own_podman", "rootless_podman"])
def podman(request: pytest.FixtureRequest) -> Podman:
    found: Podman = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def sandbox(podman: Podman, minimal_image: str) -> Sandbox:
    return podman.sandbox(minimal_image, repository=uuid.uuid4().hex[:8])


class Broken:
    """A podman that does not follow all of its options."""

    def __init__(self, podman: Podman, image: str, directory: Path) -> None:
        self._podman = podman
        self._image = image
        self._program = directory / "podman"
        self.repository = uuid.uuid4().hex[:8]

    def dropping(self, *patterns: str) -> Sandbox:
        """One that passes over such arguments."""
        kept = f'case $word in {"|".join(patterns)}) ;; *) set -- "$@" "$word" ;; esac'
        return self.running(f'n=$#; for word; do {kept}; done; shift $n; exec {shutil.which("podman")} "$@"')

    def running(self, script: str) -> Sandbox:
        return self.settings(script, "here").make()

    def settings(self, script: str, run_id: str) -> SandboxSettings:
        self._program.write_text(f"#!/bin/sh\n{script}\n")
        self._program.chmod(0o755)
        broken = replace(self._podman, program=str(self._program))
        return settings_of(broken, self._image, self.repository, run_id)


@pytest.fixture
def broken(own_podman: Podman, minimal_image: str, tmp_path: Path) -> Broken:
    return Broken(own_podman, minimal_image, tmp_path)


def settings_of(podman: Podman, image: str, repository: str, run_id: str) -> SandboxSettings:
    return SandboxSettings(
        image=image,
        repository=repository,
        run_id=run_id,
        owner=podman.owner,
        program=podman.program,
        environment=podman.environment,
    )


class TestLimits:
    def test_the_kernel_enforces_the_limits_of_a_job(self, sandbox: Sandbox) -> None:
        if Capability.LIMITS not in sandbox.capabilities:
            pytest.skip("not claimed: without root this takes cgroup v2")
        prove_limits(sandbox)

    @pytest.mark.parametrize("limit", ["--memory=*", "--pids-limit=*"])
    def test_a_podman_that_sets_no_limits_fails(self, broken: Broken, limit: str) -> None:
        with pytest.raises(SandboxError, match=r"67108864 bytes of memory and 64 processes") as caught:
            prove_limits(broken.dropping(limit))
        assert "CONTAINERS_CONF" in caught.value.remedy


class TestNetwork:
    def test_a_closed_network_reaches_nothing(self, sandbox: Sandbox) -> None:
        prove_closed(sandbox, Network.NONE)

    def test_a_loopback_reaches_only_the_api(self, sandbox: Sandbox) -> None:
        prove_closed(sandbox, API.proxy().network)

    def test_a_podman_that_leaves_the_network_open_fails(self, broken: Broken) -> None:
        sandbox = broken.dropping("--network=none")
        prove_open(sandbox)
        with pytest.raises(SandboxError, match="a container that should have no network has "):
            prove_closed(sandbox, Network.NONE)

    def test_an_api_that_does_not_answer_fails(self, own_podman: Podman, minimal_image: str) -> None:
        @contextlib.contextmanager
        def hangs_up(listener: socket.socket) -> Iterator[None]:
            listener.close()
            yield

        sandbox = own_podman.sandbox(minimal_image, repository=uuid.uuid4().hex[:8])
        with pytest.raises(SandboxError, match="does not answer on the loopback of a container") as caught:
            prove_closed(sandbox, Loopback(port=8377, serve=hangs_up))
        assert "agent_network: open" in caught.value.remedy

    def test_a_closed_network_that_should_be_open_fails(self, broken: Broken) -> None:
        none = f'verb=$1; shift; exec {shutil.which("podman")} "$verb" '
        none += '$([ "$verb" = run ] && echo --network=none) "$@"'
        with pytest.raises(SandboxError, match="a container has no network here"):
            prove_open(broken.running(none))


class TestLifeline:
    def test_a_job_ends_with_the_process_that_started_it(self, podman: Podman, minimal_image: str) -> None:
        repository = uuid.uuid4().hex[:8]
        one, other = (settings_of(podman, minimal_image, repository, run_id) for run_id in "ab")
        witness = other.make()
        prove_lifeline(one, witness)
        assert witness.left() == []

    def test_a_podman_that_keeps_the_stdin_of_jobs_open_fails(
        self, broken: Broken, own_podman: Podman, minimal_image: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(proofs, "_END_WITHIN", 0.5)
        real = shutil.which("podman")
        mortal = broken.settings(
            f'[ "$1" = run ] && {{ cat; sleep 5; }} | {real} "$@" || exec {real} "$@"', "a"
        )
        witness = own_podman.sandbox(minimal_image, repository=broken.repository, run_id="b")
        with pytest.raises(SandboxError, match="outlived the process that started it") as caught:
            prove_lifeline(mortal, witness)
        assert caught.value.evidence.startswith("cobbler-")
        assert witness.left() == [], "it was removed"


class TestFiles:
    def test_files_of_jobs_must_belong_to_the_owner_of_the_sandbox(
        self, broken: Broken, own_podman: Podman, minimal_image: str, repository: Repository, tmp_path: Path
    ) -> None:
        if own_podman.owner is None:
            pytest.skip("podman of an ordinary user has nothing to drop: files are theirs")
        open_to_others(tmp_path)
        preflight_work_dir(repository, own_podman.sandbox(minimal_image, repository="r"))
        with pytest.raises(UsageProblem, match=rf"belong to uid 0 .*, not to {own_podman.owner[0]}"):
            preflight_work_dir(repository, broken.dropping("--user=*", "--cap-drop=all"))

    def test_a_scratch_directory_is_removed_with_its_parents(self, tmp_path: Path) -> None:
        with scratch_below(tmp_path / "a" / "b") as scratch:
            (scratch / "file").touch()
            assert scratch.parent == tmp_path / "a" / "b"
        assert list(tmp_path.iterdir()) == []

    def test_a_work_dir_that_is_not_writable_fails(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(
            RepositoryError, match=r"cannot write to .*, the directory of the worktrees"
        ) as caught:
            scratch_below(tmp_path / "file" / "work").__enter__()
        assert "work_dir" in caught.value.remedy


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return scratch_repository(tmp_path, "0644" if os.geteuid() == 0 else "")


class TestLanding:
    @staticmethod
    def gate(sandbox: Sandbox) -> Gate:
        return Gate(steps=(), sandbox=sandbox, network=Network.NONE, image=None, timeout=None, environment={})

    def test_a_change_lands(self, repository: Repository) -> None:
        sandbox = own_host()
        prove_landing(repository, sandbox, self.gate(sandbox))
        log = repository.refs.text("log", "--format=%s", "refs/heads/doctor")
        assert log.splitlines() == ["Land", "First commit"]

    def test_a_change_that_cannot_be_harvested_fails(self, repository: Repository, broken: Broken) -> None:
        sandbox = broken.dropping("*:/cobbler/worktree:*")
        with pytest.raises(HarvestError):
            prove_landing(repository, sandbox, self.gate(sandbox))


class TestTracker:
    def test_a_store_that_keeps_tasks_passes(self, tmp_path: Path) -> None:
        store = EmbeddedTracker(tmp_path, tmp_path / ".beads")
        prove_tracker(store)
        assert [task.status for task in store.tasks()] == ["closed"]

    def test_a_store_that_loses_tasks_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(EmbeddedTracker, "close", lambda *_: None)
        store = EmbeddedTracker(tmp_path, tmp_path / ".beads")
        with pytest.raises(TrackerError, match="the store does not show it"):
            prove_tracker(store)
