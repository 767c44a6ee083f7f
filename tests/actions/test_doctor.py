"""``--cobbler-doctor``: every check, its message where it fails, and that its remedy is a remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.doctor.checks import Doctor
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.testing.project import Project, RunResult
from tests.support.images import busybox_image, claude_volume, minimal_image
from tests.support.parts import need
from tests.support.processes import is_alive
from tests.support.scripted_api import API_KEY, ScriptedApi, text, turn
from tests.support.sessions import seed, task
from tests.support.slurm import Cluster, cluster
from tests.support.terminals import started

__all__ = ["busybox_image", "claude_volume", "cluster", "minimal_image"]

PAGE = Path(__file__).parents[2] / "docs" / "doctor.md"
LOGIN = "sk-ant-oat01-scripted-Zm9vYmFyYmF6cXV4"

Checks = Mapping[str, dict[str, Any]]


def doctor(project: Project, *options: str, env: Mapping[str, str] | None = None, ret: int = 1) -> Checks:
    """What each check says, by name."""
    result = project.run("--cobbler-doctor", "--cobbler-format=json", *options, env=env)
    assert (result.ret, result.errlines) == (ret, []), result.stdout.str()
    found = json.loads("\n".join(result.outlines))
    assert found["ok"] == (ret == 0)
    return {check["name"]: check for check in found["checks"]}


def statuses(checks: Checks) -> dict[str, str]:
    return {name: check["status"] for name, check in checks.items() if check["status"] != "ok"}


def everything(project: Project) -> dict[str, tuple[int, bytes]]:
    """Owner and content of every file around the project, but for what pytest and its runs keep."""
    mine = {".pytest_cache", *(f"run-{number}" for number in range(20))}
    paths = [path for path in project.directory.rglob("*") if mine.isdisjoint(path.parts)]
    return {str(p): (p.lstat().st_uid, p.read_bytes() if p.is_file() else b"") for p in paths}


NOT_HERE = dict.fromkeys(("runtime", "limits", "network", "lifeline", "nodes", "signature", "live"), "off")
"""Without a sandbox, and without being asked for."""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The one directory on PATH: sh and git are in it."""
    directory = tmp_path / "programs"
    directory.mkdir()
    for name in ("sh", "git", "chmod", "rm", "cp", "cat", "python3"):
        (directory / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(directory))
    return directory


class TestWhereAllIsWell:
    def test_every_check_is_a_line_with_its_time(self, cobbler_project: Project) -> None:
        before = everything(cobbler_project)
        result = cobbler_project.run("--cobbler-doctor")
        assert result.ret == 0
        line = re.compile(r"(ok|warning|off) +(\w+) +(\d+\.\d\d s )? +\S.*")
        found = [line.fullmatch(one) for one in result.outlines[:-1]]
        assert None not in found, result.stdout.str()
        assert {match[2]: match[1] for match in found if match and match[1] != "ok"} == NOT_HERE
        assert all(bool(match[3]) == (match[1] != "off") for match in found if match)
        assert re.fullmatch(r"15 ok, 7 off in \d+\.\d s", result.outlines[-1])
        assert everything(cobbler_project) == before

    def test_the_doctor_reports_what_it_checked(self, cobbler_project: Project) -> None:
        seed(cobbler_project, task("p-a"))
        texts = {name: check["text"] for name, check in doctor(cobbler_project, ret=0).items()}
        assert texts["git"].startswith("git version ")
        assert texts["configuration"] == str(cobbler_project.path / "configuration.yaml")
        assert texts["identity"] == "Test <test@example.invalid>"
        assert texts["generation"].startswith("none is active; the next one starts from main (")
        assert "can do whatever" in texts["sandbox"]
        assert texts["gate"] == "true; true: the programs are installed"
        assert texts["tracker"].endswith("issues.jsonl: 1 open; a scratch store keeps written tasks")

    @pytest.mark.matrix("costly")
    @pytest.mark.bd
    def test_every_check_passes_with_podman_bd_claude_and_one_real_turn(
        self, cobbler_project: Project, minimal_image: str, claude_volume: tuple[str, str]
    ) -> None:
        need("bd")
        cobbler_project.configure(
            sandbox="podman",
            podman_image=minimal_image,
            podman_args=list(claude_volume),
            agent="claude",
            agent_command=None,
            tracker="bd",
        )
        before = everything(cobbler_project)
        with ScriptedApi() as api:
            api.script("only tests that you can be reached", [turn(text("ready"))])
            env = {"ANTHROPIC_API_KEY": API_KEY, "ANTHROPIC_BASE_URL": api.url}
            found = doctor(cobbler_project, "--cobbler-live", env=env, ret=0)
            assert not api.failures
        assert set(statuses(found)) <= {"limits", "nodes", "runtime", "signature"}
        used = found["credential"]["text"]
        assert used.startswith(
            "an API key, from ANTHROPIC_API_KEY in the environment; used at http://127.0.0.1:"
        )
        assert found["network"]["text"] == "closed: only the API can be reached, through a proxy"
        assert re.match(r"agent: claude answered in .* s, 0\.0\d+ USD", found["live"]["text"])
        assert found["tracker"]["text"].startswith("bd ")
        assert API_KEY not in json.dumps(found)
        assert everything(cobbler_project) == before
        assert containers_of(cobbler_project) == []

    def test_a_recording_needs_neither_key_nor_network(self, cobbler_project: Project) -> None:
        recording = cobbler_project.path / "recording"
        assert cobbler_project.run("--cobbler-generate", f"--cobbler-record={recording}").ret in (0, 1)
        cobbler_project.configure(
            agent="replay", agent_command=None, recording="recording", generation_branch=None
        )
        found = doctor(cobbler_project, "--cobbler-live", ret=0)
        assert statuses(found) == NOT_HERE | {"credential": "off"}

    def test_the_doctor_checks_an_agent_and_a_tracker_of_hooks(self, cobbler_project: Project) -> None:
        cobbler_project.write({"conftest.py": HOOKS})
        found = doctor(cobbler_project, ret=0)
        assert statuses(found) == NOT_HERE | {"credential": "off"}
        assert found["agent"]["text"] == "an agent of mine: starts"
        assert found["tracker"]["text"] == "a tracker of mine: 0 open (from a hook; only read, not written)"


HOOKS = """
import types

class Agent:
    description, secrets, proxied = "an agent of mine", (), False
    def preflight(self, sandbox): sandbox.preflight()
    def run(self, request, sandbox, cancellation): raise AssertionError

class Tracker:
    description = "a tracker of mine"
    def tasks(self): return []
    def comments(self): return {}
    def prepare(self, *_): raise AssertionError
    create = claim = release = reopen = comment = close = prepare

def pytest_cobbler_agent(settings): return Agent()
def pytest_cobbler_tracker(settings): return Tracker()
"""


def containers_of(project: Project) -> list[str]:
    """Containers of anybody's run on the project; its name is in theirs."""
    from pytest_cobbler.repository.repository import Repository

    key = Repository(project.path, project.directory / "work").key.rpartition("-")[2]
    done = subprocess.run(
        ["podman", "ps", "--all", "--format={{.Names}}"], env=podman_environment(), capture_output=True
    )
    return [name for name in done.stdout.decode().split() if key in name]


class TestSurroundings:
    def test_the_doctor_runs_outside_of_git_and_without_a_configuration(
        self, cobbler_project: Project
    ) -> None:
        shutil.rmtree(cobbler_project.path / ".git")
        (cobbler_project.path / "configuration.yaml").unlink()
        found = doctor(cobbler_project)
        assert found["configuration"]["remedy"].startswith("Create one: pytest --cobbler-init")
        assert found["repository"]["text"].endswith("is not in a git repository")
        assert found["git"]["status"] == "ok"
        assert found["tracker"]["text"] == "needs configuration, repository"

    @pytest.mark.usefixtures("alone")
    def test_the_remedy_for_a_missing_configuration_creates_one(self, cobbler_project: Project) -> None:
        (cobbler_project.path / "configuration.yaml").unlink()
        remedy = doctor(cobbler_project)["configuration"]["remedy"]
        command = re.search(r"pytest (--cobbler-\w+)", remedy)
        assert command
        assert cobbler_project.run(command[1]).ret == 0
        assert "podman_image: required" in doctor(cobbler_project)["configuration"]["text"]

    def test_the_doctor_lists_every_fault_of_a_configuration(self, cobbler_project: Project) -> None:
        cobbler_project.write({"configuration.yaml": "podmn_image: x\njobs: many\nsandbox: none\n"})
        result = cobbler_project.run("--cobbler-doctor")
        assert result.ret == 1
        result.stdout.fnmatch_lines(
            [
                "FAILED     configuration   ?.?? s  configuration.yaml: 2 errors",
                "                                   configuration.yaml:1: podmn_image: unknown key; *",
                '                                   configuration.yaml:2: jobs: "many" is not allowed; *',
                "ok         identity *",
                "not tried  credential              needs configuration",
                "* failed, * not tried in * s",
            ]
        )

    def test_the_doctor_runs_without_git(self, cobbler_project: Project, alone: Path) -> None:
        (alone / "git").unlink()
        found = doctor(cobbler_project)
        assert found["git"]["text"] == "git is not on PATH"
        assert found["git"]["remedy"] == "Install git 2.38 or newer."
        assert found["configuration"]["status"] == "ok"
        assert found["repository"]["text"] == "needs git"

    def test_the_doctor_refuses_a_second_action(self, cobbler_project: Project) -> None:
        assert cobbler_project.run("--cobbler-doctor", "--cobbler-start").ret == pytest.ExitCode.USAGE_ERROR


def test_an_interrupt_ends_a_hanging_bd(cobbler_project: Project, tmp_path: Path) -> None:
    cobbler_project.configure(tracker="bd")
    before = everything(cobbler_project)
    running = cobbler_project.start("--cobbler-doctor", env=hanging("bd", tmp_path))
    running.wait_until(lambda: (tmp_path / "hangs").exists() and "landing" in running.output)
    running.send_signal(signal.SIGINT)
    result = running.wait()
    assert (result.ret, result.errlines) == (pytest.ExitCode.INTERRUPTED, ["interrupted"])
    assert everything(cobbler_project) == before
    assert_dead(tmp_path)


def hanging(program: str, directory: Path) -> dict[str, str]:
    """An environment with a program that never ends."""
    script = directory / "bin" / program
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho $$ >{directory}/hangs\nexec sleep 300\n")
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}"}


def assert_dead(directory: Path) -> None:
    assert not is_alive(int((directory / "hangs").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_hanging_podman(
    cobbler_project: Project, tmp_path: Path, number: signal.Signals
) -> None:
    cobbler_project.configure(sandbox="podman", podman_image="image")
    before = everything(cobbler_project)
    running = cobbler_project.start("--cobbler-doctor", env=hanging("podman", tmp_path))
    running.wait_until(lambda: (tmp_path / "hangs").exists())
    running.send_signal(number)
    result = running.wait()
    assert (result.ret, result.errlines) == (pytest.ExitCode.INTERRUPTED, ["interrupted"])
    assert result.outlines[-1].startswith("ok         credential")
    assert everything(cobbler_project) == before
    assert_dead(tmp_path)


def test_a_terminal_shows_what_is_waited_for(cobbler_project: Project) -> None:
    with started() as start:
        terminal = start(cobbler_project, 160, "--cobbler-attacks", action="--cobbler-doctor")
        rows = terminal.wait()
        written = terminal.everything()
    tried = len([row for row in written if "jobs are not contained" in row])
    assert {"...        git", "...        attacks", f"...        attacks ({tried} tried)"} <= set(written)
    assert not any("..." in row for row in rows)


FEW_ATTACKS = """
from pytest_cobbler.attacks import suite

every, names = suite.every_attack(), ("become-root", "change-owner")
suite.every_attack = lambda: [attack for attack in every if attack.name in names]
"""


@pytest.mark.matrix("costly")
@pytest.mark.podman
def test_attacks_are_a_table_and_fail_the_doctor_if_one_gets_through(
    cobbler_project: Project, minimal_image: str
) -> None:
    cobbler_project.write({"conftest.py": FEW_ATTACKS})
    cobbler_project.configure(sandbox="podman", podman_image=minimal_image)
    result = cobbler_project.run("--cobbler-doctor", "--cobbler-attacks", timeout=300)
    root = "inside   become-root           become root: no capabilities, and "
    owner = "inside   change-owner          give a file to root: "
    result.stdout.fnmatch_lines([f"held       {root}*", f"held       {owner}no capabilities*"])
    assert re.fullmatch(r"checks: \d+ ok, .*; attacks: \d+ held; in [\d.]+ s", result.outlines[-1])
    assert result.ret == 0

    cobbler_project.configure(unsafe_podman_args=True, podman_args=["--cap-add=CHOWN"])
    result = cobbler_project.run("--cobbler-doctor", "--cobbler-attacks", timeout=300)
    result.stdout.fnmatch_lines([f"held       {root}*", f"NOT HELD   {owner}*"])
    assert re.search(r"; attacks: \d+ held, 1 NOT HELD; in ", result.outlines[-1])
    assert f"{owner}no capabilities" not in result.stdout.str()
    assert "FAILED " not in result.stdout.str()
    assert result.ret == 1


@pytest.mark.slow
@pytest.mark.podman
def test_a_job_is_tried_on_a_node_of_slurm(
    cobbler_project: Project, minimal_image: str, cluster: Cluster
) -> None:
    cobbler_project.write({"conftest.py": FEW_ATTACKS})
    cobbler_project.configure(sandbox="slurm", podman_image=minimal_image)
    result = cobbler_project.run("--cobbler-doctor", "--cobbler-attacks", timeout=120)
    result.stdout.re_match_lines(
        [
            r"ok         nodes +[\d.]+ s  a job ran on node n[123]: podman .*",
            r"The attacks inside, network, proxy are tried on nodes, the others on this machine\.",
            r"held       inside   become-root .*",
            r"held       inside   change-owner .*",
        ]
    )
    assert cluster.ask("squeue", "--noheader") == ""
    on_nodes = {path.name for path in (cobbler_project.directory / "work" / "nodes").glob("*/*")}
    assert len(on_nodes - {"code"}) == 1, "nothing is left but the files of the project itself"

    cobbler_project.configure(slurm_args=["--partition=unknown"])
    result = cobbler_project.run("--cobbler-doctor")
    result.stdout.re_match_lines([r"FAILED     nodes .*", r".*invalid partition.*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


class TestPage:
    PAGE = PAGE.read_text("utf-8") if PAGE.exists() else ""

    def test_the_page_explains_every_line(self, tmp_path: Path) -> None:
        doctor = Doctor(tmp_path, lambda: pytest.fail("asked"), lambda _: pytest.fail("asked"), live=False)
        checks = doctor.checks()
        rows = re.findall(r"^\| `(\w+)` \|", self.PAGE.partition("## JSON")[0], re.MULTILINE)
        assert rows == [check.name for check in checks]

    def test_the_page_describes_every_key_of_the_json(self, cobbler_project: Project) -> None:
        options = ("--cobbler-doctor", "--cobbler-attacks", "--cobbler-format=json")
        result: RunResult = cobbler_project.run(*options)
        assert result.ret == 1, "nothing could be attacked"
        found = json.loads("\n".join(result.outlines))
        assert {attack["status"] for attack in found["attacks"]} == {"not tried"}
        rows = ((name, row) for name in ("checks", "attacks") for row in found[name])
        keys = {*found, *(f"{name}[].{key}" for name, row in rows for key in row)}
        assert set(re.findall(r"^\| `(\S+)` \|", self.PAGE.partition("## JSON")[2], re.MULTILINE)) == keys
