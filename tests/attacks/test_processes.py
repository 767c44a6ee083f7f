"""Attacks by processes: endless, too many, in the gate; and a killed run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.sandbox.base import Capability, Job, Limits
from pytest_cobbler.sandbox.podman import PodmanSandbox, podman_environment
from tests.support.ground import Ground
from tests.support.memory import REWRITE
from tests.support.repositories import commit_files


def podman(*arguments: str) -> str:
    completed = subprocess.run(
        ["podman", *arguments], env=podman_environment(), capture_output=True, text=True
    )
    return completed.stdout


def until(condition: object, seconds: float = 20) -> None:
    """Wait for something to be true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


class TestTheAgent:
    def test_an_agent_that_ignores_its_timeout_is_killed(self, ground: Ground) -> None:
        outcome = ground.attack(
            "trap '' TERM INT HUP; echo work >work; while :; do sleep 1; done",
            limits=Limits(wall=2),
            limit=30,
        )
        assert outcome.result.completed.cause == "timeout"
        assert outcome.result.error == "agent: timeout after 2s"
        assert outcome.files["work"] == b"work\n", "the work so far is not lost"

    def test_background_processes_end_with_the_agent(self, ground: Ground) -> None:
        script = (
            "(trap '' TERM HUP; while :; do date +%N >>file; done) & setsid sleep 100 & sleep 0.5; exit 0"
        )
        outcome = ground.attack(script)
        assert outcome.result.error == ""
        size = (outcome.worktree.tree / "file").stat().st_size
        assert len(outcome.files["file"]) == size
        time.sleep(0.3)
        assert (outcome.worktree.tree / "file").stat().st_size == size

    def test_a_fork_bomb_is_stopped(self, ground: Ground) -> None:
        if Capability.LIMITS not in ground.sandbox.capabilities:
            pytest.skip("not claimed: without root this takes cgroup v2")
        outcome = ground.attack(
            "bomb() { bomb | bomb & }; bomb; sleep 3", limits=Limits(wall=5, pids=50), limit=40
        )
        assert outcome.result.completed.seconds < 20

    def test_an_agent_that_takes_all_memory_is_stopped(self, ground: Ground) -> None:
        outcome = ground.attack("echo work >work; tail /dev/zero", limits=Limits(wall=20, memory=100 << 20))
        assert not outcome.result.completed.ok
        assert outcome.files["work"] == b"work\n"

    def test_an_agent_that_fills_the_disk_is_stopped(self, ground: Ground) -> None:
        script = "head -c 64M /dev/urandom >much; sync much; sleep 60"
        outcome = ground.attack(script, limits=Limits(wall=60, disk=32 << 20))
        assert outcome.result.completed.cause == "disk"
        assert outcome.result.error == "agent: wrote more than 32 MiB"
        assert not outcome.landed

    @pytest.mark.parametrize("status", [125, 137])
    def test_exit_statuses_of_podman_are_reported_as_the_agents(self, ground: Ground, status: int) -> None:
        outcome = ground.attack(f"echo work >work; exit {status}")
        assert outcome.result.completed.cause == "exited" or status == 137
        assert outcome.result.error.startswith("agent: ")
        assert outcome.files["work"] == b"work\n"

    def test_no_one_else_can_see_the_prompt(self, ground: Ground) -> None:
        visible_texts: list[str] = []

        def look() -> None:
            until(lambda: podman("ps", "--quiet", f"--filter=label=cobbler.run={RUN}").strip())
            names = podman("ps", "--format={{.Names}}", f"--filter=label=cobbler.run={RUN}").split()
            visible_texts.append(podman("inspect", *names))
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    visible_texts.append(path.read_bytes().decode("utf-8", "replace"))
                except OSError:
                    continue

        ground.sandbox._run_id = RUN
        looker = threading.Thread(target=look)
        looker.start()
        ground.attack("cat >/tmp/prompt; sleep 1; grep -q PROMPT /tmp/prompt && echo read")
        looker.join()
        assert "cobbler.run" in visible_texts[0]
        assert not any("PROMPT" in text and "grep" not in text for text in visible_texts)


RUN = f"attack-{os.getpid()}"


class TestTheNetwork:
    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(0.1)
            yield listener

    def test_an_agent_without_a_network_reaches_nothing(
        self, ground: Ground, listener: socket.socket
    ) -> None:
        port = listener.getsockname()[1]
        script = f"""
            for to in 127.0.0.1/{port} 169.254.169.254/80 192.0.2.1/80; do
              timeout 2 bash -c "echo x >/dev/tcp/$to" 2>/dev/null && echo reached $to
            done
            cut -d: -f1 /proc/net/dev | tail -n +3; echo done
        """
        outcome = ground.attack(script)
        assert [line.strip() for line in outcome.lines] == ["lo", "done"]
        with pytest.raises(TimeoutError):
            listener.accept()


class TestTheGate:
    PAYLOAD = "import pathlib, os\ntry:\n    pathlib.Path('CANARY').touch()\nexcept OSError:\n    pass\n"

    def test_the_gate_runs_the_agents_code_without_a_trace(self, ground: Ground, python_image: str) -> None:
        payload = self.PAYLOAD.replace("CANARY", f"{ground.canary}/proof")
        files = {
            "tests/conftest.py": payload + "pathlib.Path('left').touch()\n",
            "tests/test_x.py": f"{payload}def test_x():\n    os.remove('src/app.py')\n",
            "Makefile": f"all:\n\ttouch {ground.canary}/proof; echo built >built\n",
        }
        commit = commit_files(ground.repository, ground.tip, dict(files))
        tree = ground.repository.tree_of(commit)
        result = ground.run_gate(tree, "python3 -m pytest -q -p no:cacheprovider tests", python_image)
        assert result.passed, result.output
        assert list(ground.canary.iterdir()) == []

    def test_each_gate_has_a_fresh_tree_and_no_network(self, ground: Ground) -> None:
        gate = (
            "test ! -e left && touch left && test $(tail -n +3 /proc/net/dev | wc -l) = 1 && id -u && exit 0"
        )
        assert ground.attack("echo 1 >one", gate=gate).landed
        assert ground.attack("echo 2 >two", gate=gate).landed

    def test_processes_that_do_not_end_are_stopped_with_the_gate(self, ground: Ground) -> None:
        ground.base_with({"hang.sh": "trap '' TERM\nwhile :; do sleep 1; done\n"})
        tree = ground.repository.tree_of(ground.tip)
        started = time.monotonic()
        checkout_gate = ground.run_gate(tree, "timeout -s KILL 2 sh hang.sh; (sh hang.sh &) ; exit 0")
        assert checkout_gate.passed
        assert time.monotonic() - started < 20

    def test_tested_code_cannot_rewrite_the_verdict(self, ground: Ground) -> None:
        outcome = ground.attack(f"cat >attack.sh <<'END'\n{REWRITE}\nEND\n", gate="sh attack.sh\nexit 3")
        assert outcome.gate is not None
        assert outcome.gate.summary == "test failed (exit 3)"
        assert not outcome.landed


class TestTheTool:
    SCRIPT = """
import sys
from pathlib import Path
from tests.support.ground import Ground
from tests.support.repositories import UserRepository
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
user = UserRepository(Path(sys.argv[1]), Path(sys.argv[2]))
sandbox = PodmanSandbox(sys.argv[3], repository=sys.argv[4], run_id="dead", owner=job_owner(user.path.parent))
Ground(user, sandbox).attack("echo work >work; trap '' TERM; sleep 100")
"""

    def test_a_killed_run_leaves_no_container_and_loses_no_work(
        self, ground: Ground, minimal_image: str
    ) -> None:
        ground.canary.rmdir()
        ground.user.git("branch", "-D", "private", ground.generation.name)
        ground.user.git("tag", "-d", f"{ground.generation.name}-start")
        name = ground.sandbox._repository
        places = [os.fspath(ground.user.path), os.fspath(ground.user.work_dir)]
        argv = [sys.executable, "-c", self.SCRIPT, *places, minimal_image, name]
        with subprocess.Popen(argv, start_new_session=True) as tool:
            trees = ground.repository.work_dir / ground.generation.name / "t-1" / "tree"
            until((trees / "work").exists)
            os.killpg(tool.pid, signal.SIGKILL)
        ours = ("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={name}")
        until(lambda: not podman(*ours).strip())
        next_run = PodmanSandbox(minimal_image, repository=name, run_id="next", owner=ground.sandbox.owner)
        assert next_run.sweep() == []
        (worktree,) = ground.worktrees.leftovers()
        harvested = harvest(worktree, ground.repository, next_run, Policy(), next_run.owner)
        assert harvested.change.paths == ("work",)

    def test_a_missing_image_is_reported(self, ground: Ground) -> None:
        ground.sandbox._image = "localhost/no-such-image"
        with pytest.raises(SandboxError, match="podman has no image localhost/no-such-image"):
            ground.attack("true")

    def test_a_container_name_that_is_in_use_is_reported(self, ground: Ground) -> None:
        first = ground.sandbox._container_name(Job(name="t", argv=(), workdir="/"))
        number = int(first.rpartition("-")[2]) + 1
        name = first.rpartition("-")[0].removesuffix("-t") + f"-stitch-t-1-{number}"
        podman("create", f"--name={name}", "--pull=never", "--network=none", ground.sandbox._image, "true")
        try:
            with pytest.raises(SandboxError, match="already has a container with this name"):
                ground.attack("true")
        finally:
            podman("rm", "--force", name)
