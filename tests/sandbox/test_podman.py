"""What podman's sandbox says when it cannot run a job, and what it tells podman."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox import flags as flags_module
from pytest_cobbler.sandbox.base import Job, Limits, Mount, Network
from pytest_cobbler.sandbox.flags import flags
from pytest_cobbler.sandbox.podman import NOBODY_ELSE, PodmanSandbox, job_owner
from tests.support.jobs import ended, output, shell
from tests.support.podmans import Podman


def _fake(directory: Path, script: str) -> PodmanSandbox:
    """A sandbox whose podman is ``script``."""
    program = directory / "podman"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return PodmanSandbox("image", repository="r", run_id="here", owner=(1, 1), program=str(program))


class TestDiagnosis:
    def test_an_image_that_is_not_there(self, podman: Podman, repository: str) -> None:
        sandbox = podman.sandbox("localhost/no/such/image:1", repository=repository)
        with pytest.raises(SandboxError) as caught:
            ended(sandbox, "true")
        assert caught.value.cause == "podman has no image localhost/no/such/image:1"
        assert f"{podman.program} pull localhost/no/such/image:1" in caught.value.remedy

    def test_an_image_without_sh(self, own_podman: Podman, bare_image: str, repository: str) -> None:
        with pytest.raises(SandboxError, match=f"the image {bare_image} has no sh"):
            ended(own_podman.sandbox(bare_image, repository=repository), "true")

    def test_an_image_without_git_fails_the_preflight(
        self, own_podman: Podman, busybox_image: str, repository: str
    ) -> None:
        with pytest.raises(SandboxError, match=f"there is no program git in the image {busybox_image}"):
            own_podman.sandbox(busybox_image, repository=repository).preflight()

    def test_a_program_that_is_not_there_is_not_a_job_that_exits_127(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="there is no program nowhere in the image"):
            sandbox.run(shell("", argv=("nowhere",)))
        assert ended(sandbox, "nowhere").status == 127

    def test_a_name_that_is_taken(self, own_podman: Podman, minimal_image: str, repository: str) -> None:
        name = f"cobbler-{repository}-here-test-1"
        own_podman("create", f"--name={name}", "--pull=never", minimal_image, "true")
        try:
            with pytest.raises(SandboxError, match="has a container of that name already"):
                ended(own_podman.sandbox(minimal_image, repository=repository), "true")
        finally:
            own_podman("rm", "--force", "--ignore", name)

    def test_arguments_that_podman_refuses(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="podman cannot start a job") as caught:
            ended(sandbox, "true", arguments=("--no-such-flag",))
        assert "unknown flag" in caught.value.evidence

    def test_a_prompt_that_does_not_fit(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="its stdin does not fit into /dev/shm"):
            ended(sandbox, "true", stdin=bytes(2_000_000), arguments=("--shm-size=1m",))

    def test_no_podman(self) -> None:
        sandbox = PodmanSandbox("image", repository="r", run_id="here", owner=None, program="no-such-podman")
        with pytest.raises(SandboxError, match="no-such-podman") as caught:
            sandbox.preflight()
        assert "sandbox: none" in caught.value.remedy

    def test_an_old_podman(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match=r"podman 3\.4\.4 is too old"):
            _fake(tmp_path, "echo 3.4.4").preflight()

    def test_a_podman_that_does_not_work(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="podman does not work here") as caught:
            _fake(tmp_path, "echo broken >&2; exit 125").preflight()
        assert caught.value.evidence == "broken\n"

    @pytest.mark.parametrize(
        "evidence",
        [
            "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            "Error: runc: applying cgroup configuration: mountpoint for cgroup not found",
        ],
    )
    def test_a_machine_that_needs_another_configuration(self, tmp_path: Path, evidence: str) -> None:
        script = f"[ $1 = rm ] || {{ echo '{evidence}' >&2; exit 126; }}"
        with pytest.raises(SandboxError) as caught:
            ended(_fake(tmp_path, script), "true")
        assert "CONTAINERS_CONF" in caught.value.remedy

    def test_a_container_that_will_not_go_is_never_passed_over(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="may still be running") as caught:
            ended(_fake(tmp_path, "exit 125"), "true")
        assert "rm --force --time=0 cobbler-r-here-test-1" in caught.value.remedy

    def test_lists_that_podman_cannot_give_are_not_empty_ones(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="cannot list"):
            _fake(tmp_path, "exit 125").sweep()


class TestKindsOfSh:
    @pytest.mark.parametrize("kind", ["minimal", "python", "busybox"])
    def test_the_lifeline_is_at_home_in_each(
        self, own_podman: Podman, repository: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        sandbox = own_podman.sandbox(request.getfixturevalue(f"{kind}_image"), repository=repository)
        much = os.urandom(300_000)
        with (tmp_path / "out").open("wb") as out:
            assert ended(sandbox, "cat", stdin=much, stdout=out).ok
        assert (tmp_path / "out").read_bytes() == much
        odd = "two\n'lines'\n"
        assert output(sandbox, 'printf %s. "$ODD"', environment={"ODD": odd}) == f"{odd}."
        cancellation = Cancellation()
        script = "trap 'exit 5' TERM; echo; while :; do sleep 0.05; done"
        completed = sandbox.run(shell(script, on_line=lambda _: cancellation.cancel()), cancellation)
        assert (completed.cause, completed.status) == ("cancelled", 5)
        assert ended(sandbox, "exit 9").status == 9
        assert ended(sandbox, "kill -KILL $$").cause == "killed"


class TestFlags:
    def test_every_job_is_held_by_all_of_them(self) -> None:
        found = flags(shell("true", limits=Limits()), owner=(5, 6))
        assert {
            "--pull=never",
            "--entrypoint=sh",
            "--user=5:6",
            "--cap-drop=all",
            "--security-opt=no-new-privileges",
            "--http-proxy=false",
            "--log-driver=none",
            "--network=none",
            "--read-only",
            "--pids-limit=2048",
        } <= set(found)

    def test_limits_are_told_in_podmans_units(self) -> None:
        found = flags(shell("true", limits=Limits(wall=1.5, memory=5, pids=7, disk=9)), owner=None)
        assert {"--memory=5b", "--pids-limit=7", "--timeout=62"} <= set(found)
        assert "--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size=9" in found

    def test_a_user_of_their_own_podman_stays_who_they_are(self) -> None:
        found = flags(shell("true"), owner=None)
        assert "--userns=keep-id" in found
        assert not any(flag.startswith("--user=") for flag in found)

    def test_extra_arguments_come_last_and_win(self) -> None:
        assert flags(shell("true", arguments=("--read-only=false",)), owner=None)[-1] == "--read-only=false"

    @pytest.mark.parametrize(
        ("arguments", "ours"),
        [
            (("--tmpfs", "/tmp:size=1g"), False),
            (("--tmpfs=/tmp",), False),
            (("-v", "./cache:/tmp:rw"), False),
            (("--volume=./cache:/tmp",), False),
            (("-v", "/tmp:/data:ro"), True),
            (("--tmpfs=/tmp/deeper", "--memory=1g"), True),
        ],
    )
    def test_tmp_is_left_to_who_asks_for_another(self, arguments: tuple[str, ...], ours: bool) -> None:
        for found in (flags(shell("true", arguments=arguments), None), flags(shell("true"), None, arguments)):
            assert any(flag.startswith("--tmpfs=/tmp:rw,exec") for flag in found) == ours

    def test_an_open_network_is_podmans_default_one(self) -> None:
        found = flags(shell("true", network=Network.OPEN), owner=None)
        assert not any(flag.startswith("--network") for flag in found)

    def test_labels_are_left_alone_only_where_selinux_enforces(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flags_module, "_ENFORCING", tmp_path / "enforce")
        assert "--security-opt=label=disable" not in flags(shell("true"), owner=None)
        (tmp_path / "enforce").write_text("1")
        assert "--security-opt=label=disable" in flags(shell("true"), owner=None)

    def test_a_path_that_podman_would_misread_is_refused(self, tmp_path: Path) -> None:
        source = tmp_path / "a:ro"
        source.mkdir()
        with pytest.raises(SandboxError, match="colon"):
            flags(Job(name="x", argv=(), workdir="/", mounts=(Mount(source=source, target="/a"),)), None)


class TestOwner:
    @pytest.fixture(autouse=True)
    def _root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.delenv("SUDO_UID", raising=False)
        monkeypatch.delenv("SUDO_GID", raising=False)

    def test_a_user_needs_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert job_owner(tmp_path) is None

    def test_whoever_called_sudo(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_UID", "1234")
        monkeypatch.setenv("SUDO_GID", "1235")
        assert job_owner(tmp_path) == (1234, 1235)

    def test_the_repositorys_owner(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        status = os.stat_result((0o40755, 1, 1, 1, 77, 78, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda _: status)
        assert job_owner(tmp_path) == (77, 78)

    @pytest.mark.parametrize("sudo", ["", "0", "root"])
    def test_never_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sudo: str) -> None:
        monkeypatch.setenv("SUDO_UID", sudo)
        monkeypatch.setenv("SUDO_GID", "0")
        status = os.stat_result((0o40755, 1, 1, 1, 0, 0, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda _: status)
        assert job_owner(tmp_path) == (NOBODY_ELSE, NOBODY_ELSE)
