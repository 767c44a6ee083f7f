"""Every check of ``--cobbler-doctor``: what it says where it fails, and that what it says repairs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.doctor.checks import Doctor
from pytest_cobbler.doctor.examination import Check, Finding, examine
from pytest_cobbler.process import host_environment
from pytest_cobbler.sandbox.podman import PodmanSandbox
from pytest_cobbler.testing.project import Project
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from tests.support.images import busybox_image, minimal_image
from tests.support.memory import let_users_into_all_memory
from tests.support.parts import need
from tests.support.scripted_api import API_KEY, ScriptedApi, error

__all__ = ["busybox_image", "minimal_image"]

LOGIN = "sk-ant-oat01-scripted-Zm9vYmFyYmF6cXV4"


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def examined(project: Project, *names: str, hooks: Hooks = NO_HOOKS, live: bool = False) -> list[Finding]:
    """What is found by these checks, and by those that they need; by all if none is named."""
    settings = project.path / "configuration.yaml"
    with Doctor(project.path, lambda: load(settings), lambda _: hooks, live=live) as doctor:
        checks = doctor.checks()
        asked = [check for check in checks if not names or check.name in with_needs(checks, names)]
        return examine(asked, lambda _finding: None)


def with_needs(checks: list[Check], names: tuple[str, ...]) -> set[str]:
    wanted = set(names)
    for check in reversed(checks):
        wanted |= set(check.needs) if check.name in wanted else set()
    return wanted


def examine_one(project: Project, name: str, **how: bool | Hooks) -> Finding:
    return examined(project, name, **how)[-1]  # type: ignore[arg-type]


def failed(project: Project, name: str, **how: bool | Hooks) -> Finding:
    found = examine_one(project, name, **how)
    assert (found.name, found.status) == (name, "failed"), found
    return found


def assert_well(project: Project, name: str) -> Finding:
    found = examine_one(project, name)
    assert (found.name, found.status) == (name, "ok"), found
    return found


def mend(project: Project, command: str) -> None:
    """Do what a remedy says."""
    env = host_environment(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    done = subprocess.run(shlex.split(command), cwd=project.path, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


class TestRepository:
    def test_a_directory_outside_of_git_fails(self, cobbler_project: Project) -> None:
        shutil.rmtree(cobbler_project.path / ".git")
        found = failed(cobbler_project, "repository")
        assert found.text.endswith("is not in a git repository")
        commands = found.remedy.partition(": ")[2].split(" && ")
        assert commands == ["git init", "git add -A", "git commit"]
        mend(cobbler_project, commands[0])
        found = failed(cobbler_project, "repository")
        assert found.text.endswith("has no commit yet")
        for name, value in (("user.name", "Test"), ("user.email", "test@example.invalid")):
            cobbler_project.git("config", name, value)
        for command in found.remedy.partition(": ")[2].split(" && "):
            mend(cobbler_project, f"{command} --message=First" if "commit" in command else command)
        assert_well(cobbler_project, "repository")

    def test_a_branch_that_blocks_the_names_of_generations_fails(self, cobbler_project: Project) -> None:
        cobbler_project.git("branch", "task")
        found = failed(cobbler_project, "repository")
        assert found.text == "the branch task prevents the branches task/... of tasks"
        mend(cobbler_project, found.remedy.partition(": ")[2])
        assert_well(cobbler_project, "repository")

    def test_kept_attempts_are_counted_because_a_mirror_publishes_them(
        self, cobbler_project: Project
    ) -> None:
        cobbler_project.git("update-ref", "refs/cobbler/attempts/generation-1/p-a/1", "HEAD")
        found = assert_well(cobbler_project, "repository")
        assert "1 kept attempts in refs/cobbler/attempts/ (git push --mirror publishes them)" in found.text

    def test_a_missing_identity_fails(self, cobbler_project: Project) -> None:
        cobbler_project.git("config", "--unset", "user.name")
        found = failed(cobbler_project, "identity")
        assert found.text == "git user.name is not set (needed to create commits)"
        assert found.remedy == "Set it: git config --global user.name NAME"
        mend(cobbler_project, found.remedy.partition(": ")[2].replace("--global", "--local"))
        assert_well(cobbler_project, "identity")


class TestGeneration:
    def test_several_generations_without_a_choice_fail(self, cobbler_project: Project) -> None:
        for _ in range(2):
            assert cobbler_project.run("--cobbler-start").ret == 0
        found = failed(cobbler_project, "generation")
        assert found.text.startswith("several generations are active: ")
        assert "pytest --cobbler-switch NAME" in found.remedy
        name = cobbler_project.generation or ""
        assert cobbler_project.run("--cobbler-switch", name).ret == 0
        assert assert_well(cobbler_project, "generation").text.startswith(f"{name} on main, at ")

    def test_a_generation_that_is_checked_out_elsewhere_fails(self, cobbler_project: Project) -> None:
        assert cobbler_project.run("--cobbler-start").ret == 0
        linked = cobbler_project.directory / "linked"
        cobbler_project.git("worktree", "add", "--quiet", str(linked), cobbler_project.generation or "")
        found = failed(cobbler_project, "generation")
        assert f"is checked out in {linked}" in found.text
        cobbler_project.git("switch", "--quiet", "-c", "mine")
        mend(cobbler_project, found.remedy.partition(": ")[2])
        assert_well(cobbler_project, "generation")

    def test_a_detached_head_without_a_base_branch_fails(self, cobbler_project: Project) -> None:
        cobbler_project.git("checkout", "--quiet", "--detach")
        found = failed(cobbler_project, "generation")
        assert "HEAD is detached" in found.text
        assert found.remedy == "Check out a branch, or set base_branch."
        cobbler_project.configure(base_branch="main")
        assert_well(cobbler_project, "generation")

    def test_uncommitted_edits_are_named_because_agents_do_not_see_them(
        self, cobbler_project: Project
    ) -> None:
        cobbler_project.write({"README.md": "changed\n"})
        found = assert_well(cobbler_project, "generation").text
        assert found.endswith("Not committed, so agents do not see it: README.md")


class TestCredential:
    @pytest.fixture
    def project(self, cobbler_project: Project) -> Project:
        cobbler_project.configure(agent="claude", agent_command=None)
        return cobbler_project

    @staticmethod
    def log_in(project: Project, *, minutes: float) -> None:
        end = int((time.time() + 60 * minutes) * 1000)
        login = {"claudeAiOauth": {"accessToken": LOGIN, "refreshToken": "sk-refresh", "expiresAt": end}}
        project.write({".secrets/claude.json": json.dumps(login)})

    def test_a_missing_credential_fails(self, project: Project) -> None:
        found = failed(project, "credential")
        assert found.text == "agent: claude has no credential"
        assert "or put the credential into the file that secrets_dir and token_file name" in found.remedy
        project.write({".secrets/claude.json": json.dumps({"api_key": API_KEY})})
        assert assert_well(project, "credential").text.startswith("an API key, from ")

    def test_an_expired_login_fails(self, project: Project) -> None:
        self.log_in(project, minutes=-1)
        found = failed(project, "credential")
        assert re.search(r"claude\.json expired on \d{4}-\d\d-\d\d at \d\d:\d\d UTC", found.text)
        assert "claude setup-token" in found.remedy

    @pytest.mark.parametrize(
        ("task_timeout", "minutes", "status"),
        [("30m", 50, "warning"), ("30m", 90, "ok"), ("2h", 90, "warning"), ("0", 50, "warning")],
    )
    def test_a_login_that_may_expire_during_the_run_is_a_warning(
        self, project: Project, task_timeout: str, minutes: float, status: str
    ) -> None:
        project.configure(task_timeout=task_timeout)
        self.log_in(project, minutes=minutes)
        found = examine_one(project, "credential")
        assert found.status == status
        assert found.text.startswith(f"a login, from {project.path}/.secrets/claude.json, until 2")
        assert ("claude setup-token" in found.remedy) == (status == "warning")

    def test_a_credential_in_podman_args_is_shown_as_such(self, project: Project) -> None:
        arguments = ["-e", f"ANTHROPIC_API_KEY={API_KEY}"]
        configuration = {**project.configuration, "podman_args": arguments}
        project.write({"configuration.yaml": json.dumps(configuration)})
        assert assert_well(project, "credential").text == "an API key, from ANTHROPIC_API_KEY in podman_args"

    def test_a_committed_credential_is_a_warning(self, project: Project) -> None:
        project.write({"mine/key.json": json.dumps({"api_key": API_KEY})})
        project.configure(secrets_dir="mine", token_file="key.json")
        found = examine_one(project, "credential")  # of a repository that is not looked at
        assert found.status == "ok"
        found = examined(project, "repository", "credential")[-1]
        assert found.status == "warning"
        assert "it is committed in mine/key.json, where agents can read it" in found.text
        mend(project, found.remedy.rpartition(": ")[2])
        project.git("commit", "--quiet", "--message=Take it out")
        assert examined(project, "repository", "credential")[-1].status == "ok"

    def test_a_user_with_a_key_in_the_configuration_is_not_told_to_remove_the_file(
        self, project: Project
    ) -> None:
        project.configure(podman_args=["-e", f"ANTHROPIC_API_KEY={API_KEY}"])
        found = examined(project, "repository", "credential")[-1]
        assert found.status == "warning"
        assert "it is committed in configuration.yaml" in found.text
        assert "git rm" not in found.remedy
        assert found.remedy.startswith(
            "Delete the key from configuration.yaml, commit that, and revoke the key"
        )
        project.configure(podman_args=None)
        assert API_KEY not in project.files("HEAD")["configuration.yaml"]

    @pytest.mark.claude
    def test_a_key_that_the_api_rejects_fails(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", f"{need('claude').parent}:{os.environ['PATH']}")
        monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
        with ScriptedApi() as api:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", api.url)
            refusal = error(401, "no", headers={"x-should-retry": "false"})
            api.script("only tests that you can be reached", [refusal])
            found = failed(project, "live", live=True)
        assert "401" in found.text


class TestSandbox:
    @pytest.fixture
    def project(self, cobbler_project: Project, minimal_image: str) -> Project:
        cobbler_project.configure(
            sandbox="podman", podman_image=minimal_image, agent="command", agent_command=["cat"]
        )
        return cobbler_project

    def test_a_runtime_with_known_ways_out_of_a_container_is_a_warning_that_names_them(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for version, expected in (("runc version 1.1.11", "CVE-2024-21626"), ("runc version 99.0.0", "")):
            monkeypatch.setattr(PodmanSandbox, "runtime", version)
            found = examine_one(project, "runtime")
            assert found.status == ("warning" if expected else "ok")
            assert version in found.text
            assert expected in found.text

    def test_a_missing_podman_fails(
        self, cobbler_project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        git = shutil.which("git") or ""
        (tmp_path / "git").symlink_to(git)
        monkeypatch.setenv("PATH", str(tmp_path))
        cobbler_project.configure(sandbox="podman", podman_image="image", tracker="bd")
        found = {finding.name: finding for finding in examined(cobbler_project)}
        causes = {name: finding.text for name, finding in found.items() if finding.status == "failed"}
        assert causes == {
            "sandbox": "cannot run podman: No such file or directory",
            "tracker": "`tracker: bd` is configured, but bd is not on PATH",
        }
        assert "apt-get install podman" in found["sandbox"].remedy
        assert "install bd 1.0.5 or later" in found["tracker"].remedy
        assert found["disk"].status == "ok"
        assert found["live"].text == "needs sandbox"

    def test_a_missing_image_fails(self, project: Project) -> None:
        project.configure(podman_image="localhost/no/such-image")
        found = failed(project, "image")
        assert found.text == "podman has no image localhost/no/such-image"
        assert found.remedy.startswith("Get it with `podman pull localhost/no/such-image`")

    def test_an_image_without_git_fails(self, project: Project, busybox_image: str) -> None:
        project.configure(podman_image=busybox_image)
        assert f"the image {busybox_image} has no program git" in failed(project, "image").text

    def test_an_image_without_the_agent_fails(self, project: Project) -> None:
        project.configure(agent="claude", agent_command=None)
        found = failed(project, "agent")  # also where there is no credential
        assert found.text == "agent: cannot use claude: it is not in the sandbox"
        assert "npm install -g @anthropic-ai/claude-code" in found.remedy

    def test_an_image_without_the_tools_of_the_gate_fails(self, project: Project) -> None:
        project.configure(test_command=["pytest-of-mine"])
        found = failed(project, "gate")
        assert found.text == "the gate cannot run: its sandbox does not have pytest-of-mine"
        assert found.remedy.startswith("Add it to podman_image (or gate_image)")
        project.configure(test_command=["git", "--version"])
        assert_well(project, "gate")

    def test_a_gate_without_steps_is_a_warning(self, cobbler_project: Project) -> None:
        cobbler_project.configure(build_command=False, test_command=False)
        found = examine_one(cobbler_project, "gate")
        assert (found.status, found.remedy) == ("warning", "Set test_command.")

    def test_a_missing_gate_is_a_warning(self, cobbler_project: Project) -> None:
        cobbler_project.configure(build_command=None, test_command=None)
        found = failed(cobbler_project, "gate")
        assert "Set build_command and test_command" in found.remedy

    def test_fs_suid_dumpable_is_read(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        let_users_into_all_memory(monkeypatch)
        found = examine_one(project, "lifeline")
        assert (found.status, found.text) == (
            "warning",
            "a job can change its own verdict and outlive a killed run: fs.suid_dumpable is 1",
        )
        assert found.remedy.startswith("Set it to 0: sysctl fs.suid_dumpable=0")

    @pytest.mark.parametrize(
        ("network", "command", "expected"),
        [
            ("none", ["cat"], "closed: nothing can be reached, not even the API"),
            ("proxy", ["cat"], "closed: nothing can be reached, not even the API"),
            ("open", ["cat"], "open: agents have network access and get the credential"),
        ],
    )
    def test_the_configured_network_is_checked(
        self, project: Project, network: str, command: list[str], expected: str
    ) -> None:
        project.configure(agent_network=network, agent_command=command)
        assert assert_well(project, "network").text == expected


@pytest.mark.parametrize("language", ["go", "python"])
def test_the_gate_of_each_other_language_is_tried(
    cobbler_project: Project, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if language == "go":
        monkeypatch.setenv("PATH", f"{need('go').parent}:{os.environ['PATH']}")
        cobbler_project.go_sample()
    else:
        cobbler_project.python_sample()
        cobbler_project.configure(test_command=None)
    assert language in assert_well(cobbler_project, "gate").text


def test_a_generation_that_begins_without_its_sources_has_nothing_to_test(cobbler_project: Project) -> None:
    cobbler_project.write({"src/app.py": "X = 1\n", "tests/test_app.py": "def test_app(): pass\n"})
    cobbler_project.configure(language="python", source_dirs=["src", "tests"], reset_sources=True)
    cobbler_project.commit("Sources")
    found = examine_one(cobbler_project, "tip")
    assert found.status == "off"
    assert found.text == "agents start without sources: there is nothing to test yet"


class TestTracker:
    def test_an_unreadable_store_fails(self, cobbler_project: Project) -> None:
        cobbler_project.write({".beads/issues.jsonl": "{broken\n"})
        assert "issues.jsonl" in failed(cobbler_project, "tracker").text

    @pytest.mark.bd
    def test_bd_without_its_database_fails(self, cobbler_project: Project) -> None:
        need("bd")
        cobbler_project.configure(tracker="auto")
        cobbler_project.write({".beads/metadata.json": '{"database": "dolt", "backend": "dolt"}'})
        found = failed(cobbler_project, "tracker")
        assert "its database is missing" in found.text
        assert "bd bootstrap" in found.remedy


class TestDisk:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        """A file system without any room."""
        place = tmp_path / "small"
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(place)]
        mounted = subprocess.run(mount, capture_output=True)
        if mounted.returncode != 0:
            pytest.skip(f"needs the right to mount: {mounted.stderr.decode()}")
        try:
            with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass
            yield place
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    def test_a_full_disk_fails(self, cobbler_project: Project, small: Path) -> None:
        cobbler_project.configure(work_dir=str(small))
        found = {finding.name: finding for finding in examined(cobbler_project)}
        assert "almost no space is left for " in found["disk"].text
        assert found["disk"].remedy == "Free some space, or set work_dir or cobbler_dir to another disk."
        assert found["files"].text.startswith(f"jobs cannot work in {small}/")
        assert found["files"].remedy == "Set work_dir to a directory with free space."
        assert [path.name for path in small.iterdir()] == ["filler"]

    def test_a_nearly_full_disk_is_a_warning(
        self, cobbler_project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pytest_cobbler.wiring.preflight.SCARCE_ROOM", 1 << 60)
        found = examine_one(cobbler_project, "disk")
        assert (found.status, found.remedy) == ("warning", "Free some space: podman image prune")
        assert re.match(r"\d+ MiB left for ", found.text)


class TestSignature:
    def test_a_program_that_signs_is_ok(self, cobbler_project: Project) -> None:
        assert examine_one(cobbler_project, "signature").status == "off"
        cobbler_project.configure(sign_command=["sha256sum"])
        assert assert_well(cobbler_project, "signature").text == "sha256sum signs"

    def test_a_program_that_does_not_sign_fails(self, cobbler_project: Project) -> None:
        cobbler_project.configure(sign_command=["no-such-program"])
        assert (
            failed(cobbler_project, "signature").text == "sign_command: there is no program no-such-program"
        )
        cobbler_project.configure(sign_command=["sh", "-c", "echo locked >&2; exit 3"])
        assert failed(cobbler_project, "signature").text == "sign_command failed (exit 3): locked"
