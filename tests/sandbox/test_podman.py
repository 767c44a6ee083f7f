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
from pytest_cobbler.sandbox.runtime import registry_digests
from tests.support.jobs import ended, output, shell
from tests.support.podmans import Podman


def _fake(directory: Path, script: str) -> PodmanSandbox:
    """A sandbox whose podman is ``script``."""
    program = directory / "podman"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return PodmanSandbox("image", repository="r", run_id="here", owner=(1, 1), program=str(program))


class TestImages:
    def test_an_image_of_this_machine_has_an_id_and_no_digest(
        self, podman: Podman, minimal_image: str, repository: str
    ) -> None:
        engine = podman.sandbox(minimal_image, repository=repository).engine(None)
        assert engine.image == f"sha256:{podman('image', 'inspect', '--format={{.Id}}', minimal_image)}"
        assert not [name for name in engine.image_digests if name.startswith("localhost/")]

    def test_an_image_of_a_registry_has_the_digest_of_that_registry(
        self, own_podman: Podman, busybox_image: str, repository: str
    ) -> None:
        name = f"registry.example/{repository}"
        own_podman("tag", busybox_image, name)
        try:
            engine = own_podman.sandbox(name, repository=repository).engine(None)
            digest = own_podman("image", "inspect", "--format={{.Digest}}", name)
        finally:
            own_podman("untag", busybox_image, name)
        assert f"{name}@{digest}" in engine.image_digests
        assert engine.image == own_podman.sandbox(busybox_image, repository=repository).engine(None).image

    @pytest.mark.parametrize("references", ["null", "[]", '["localhost/a@sha256:1"]'])
    def test_references_of_names_on_this_machine_are_left_out(self, references: str) -> None:
        assert registry_digests(references) == ()


class TestDiagnosis:
    def test_a_missing_image_is_reported(self, podman: Podman, repository: str) -> None:
        sandbox = podman.sandbox("localhost/no/such/image:1", repository=repository)
        with pytest.raises(SandboxError) as caught:
            ended(sandbox, "true")
        assert caught.value.cause == "podman has no image localhost/no/such/image:1"
        assert f"{podman.program} pull localhost/no/such/image:1" in caught.value.remedy

    def test_an_image_without_sh_is_reported(
        self, own_podman: Podman, bare_image: str, repository: str
    ) -> None:
        with pytest.raises(SandboxError, match=f"the image {bare_image} has no sh"):
            ended(own_podman.sandbox(bare_image, repository=repository), "true")

    def test_an_image_without_git_fails_the_preflight(
        self, own_podman: Podman, busybox_image: str, repository: str
    ) -> None:
        with pytest.raises(SandboxError, match=f"the image {busybox_image} has no program git"):
            own_podman.sandbox(busybox_image, repository=repository).preflight()

    def test_a_missing_program_differs_from_a_job_that_exits_127(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="has no program nowhere"):
            sandbox.run(shell("", argv=("nowhere",)))
        assert ended(sandbox, "nowhere").status == 127

    def test_a_container_name_in_use_is_reported(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        name = f"cobbler-{repository}-here-test-1"
        own_podman("create", f"--name={name}", "--pull=never", minimal_image, "true")
        try:
            with pytest.raises(SandboxError, match="already has a container with this name"):
                ended(own_podman.sandbox(minimal_image, repository=repository), "true")
        finally:
            own_podman("rm", "--force", "--ignore", name)

    def test_arguments_that_podman_refuses_are_reported(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="podman cannot start a job") as caught:
            ended(sandbox, "true", arguments=("--no-such-flag",))
        assert "unknown flag" in caught.value.evidence

    def test_a_prompt_that_does_not_fit_is_reported(
        self, own_podman: Podman, minimal_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        with pytest.raises(SandboxError, match="its stdin does not fit into /dev/shm"):
            ended(sandbox, "true", stdin=bytes(2_000_000), arguments=("--shm-size=1m",))

    def test_a_missing_podman_is_reported(self) -> None:
        sandbox = PodmanSandbox("image", repository="r", run_id="here", owner=None, program="no-such-podman")
        with pytest.raises(SandboxError, match="no-such-podman") as caught:
            sandbox.preflight()
        assert "sandbox: none" in caught.value.remedy

    def test_an_old_podman_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match=r"podman 3\.4\.4 is too old"):
            _fake(tmp_path, "echo 3.4.4").preflight()

    def test_a_podman_that_does_not_work_is_reported(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="podman does not work") as caught:
            _fake(tmp_path, "echo broken >&2; exit 125").preflight()
        assert caught.value.evidence == "broken\n"

    @pytest.mark.parametrize(
        "evidence",
        [
            "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
            "Error: runc: applying cgroup configuration: mountpoint for cgroup not found",
        ],
    )
    def test_a_machine_that_needs_another_configuration_is_reported(
        self, tmp_path: Path, evidence: str
    ) -> None:
        script = f"[ $1 = rm ] || {{ echo '{evidence}' >&2; exit 126; }}"
        with pytest.raises(SandboxError) as caught:
            ended(_fake(tmp_path, script), "true")
        assert "CONTAINERS_CONF" in caught.value.remedy

    def test_a_container_that_cannot_be_removed_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="may still be running") as caught:
            ended(_fake(tmp_path, "exit 125"), "true")
        assert "rm --force --time=0 cobbler-r-here-test-1" in caught.value.remedy

    def test_a_container_that_ends_while_podman_removes_it_is_removed(self, tmp_path: Path) -> None:
        refusal = "Error: can only kill running containers: container state improper: stopped"
        asked = tmp_path / "asked"
        removes = f"[ -e {asked} ] || {{ >{asked}; echo '{refusal}' >&2; exit 125; }}"
        sandbox = _fake(tmp_path, f"case $1 in ps) echo cobbler-r-dead-test-1 dead ;; rm) {removes} ;; esac")
        assert sandbox.sweep() == ["cobbler-r-dead-test-1"]
        assert asked.exists()

    def test_a_list_that_podman_cannot_give_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SandboxError, match="cannot list"):
            _fake(tmp_path, "exit 125").sweep()


class TestKindsOfSh:
    @pytest.mark.matrix("costly")
    @pytest.mark.parametrize("kind", ["minimal", "python", "busybox"])
    def test_the_lifeline_works_in_every_kind_of_sh(
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
    def test_every_job_has_every_restriction(self) -> None:
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

    def test_limits_are_written_in_podmans_units(self) -> None:
        found = flags(shell("true", limits=Limits(wall=1.5, memory=5, pids=7, disk=9)), owner=None)
        assert {"--memory=5b", "--pids-limit=7", "--timeout=62"} <= set(found)
        for place in ("/tmp", "/var/tmp"):
            assert f"--tmpfs={place}:rw,exec,nosuid,nodev,mode=1777,size=9" in found

    def test_a_directory_in_memory_takes_half_of_the_memory_at_most(self) -> None:
        found = flags(shell("true", limits=Limits(disk=1 << 60)), owner=None)
        half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        assert f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777,size={half}" in found

    def test_a_job_without_a_time_limit_ends_after_three_days(self) -> None:
        assert f"--timeout={3 * 24 * 3600}" in flags(shell("true", limits=Limits()), owner=None)

    def test_podman_itself_ends_a_job_without_a_time_limit(
        self, own_podman: Podman, minimal_image: str, repository: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flags_module, "WITHOUT_LIMIT", 1)
        sandbox = own_podman.sandbox(minimal_image, repository=repository)
        found = ended(sandbox, "sleep 90", limits=Limits())
        assert (found.ok, found.seconds < 60) == (False, True)

    def test_a_job_of_rootless_podman_runs_as_the_caller(self) -> None:
        found = flags(shell("true"), owner=None)
        assert "--userns=keep-id" in found
        assert not any(flag.startswith("--user=") for flag in found)

    def test_extra_arguments_come_last_and_take_precedence(self) -> None:
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
    def test_an_argument_for_tmp_replaces_the_default_one(
        self, arguments: tuple[str, ...], ours: bool
    ) -> None:
        for found in (flags(shell("true", arguments=arguments), None), flags(shell("true"), None, arguments)):
            assert any(flag.startswith("--tmpfs=/tmp:rw,exec") for flag in found) == ours

    def test_an_open_network_is_podmans_default_one(self) -> None:
        found = flags(shell("true", network=Network.OPEN), owner=None)
        assert not any(flag.startswith("--network") for flag in found)

    def test_labels_are_disabled_only_if_selinux_enforces(
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

    def test_a_user_other_than_root_needs_no_owner(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert job_owner(tmp_path) is None

    def test_the_owner_is_the_user_who_called_sudo(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SUDO_UID", "1234")
        monkeypatch.setenv("SUDO_GID", "1235")
        assert job_owner(tmp_path) == (1234, 1235)

    def test_the_owner_is_that_of_the_repository(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        status = os.stat_result((0o40755, 1, 1, 1, 77, 78, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda _: status)
        assert job_owner(tmp_path) == (77, 78)

    @pytest.mark.parametrize("sudo", ["", "0", "root"])
    def test_the_owner_is_never_root(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sudo: str
    ) -> None:
        monkeypatch.setenv("SUDO_UID", sudo)
        monkeypatch.setenv("SUDO_GID", "0")
        status = os.stat_result((0o40755, 1, 1, 1, 0, 0, 0, 0, 0, 0))
        monkeypatch.setattr(Path, "stat", lambda _: status)
        assert job_owner(tmp_path) == (NOBODY_ELSE, NOBODY_ELSE)
