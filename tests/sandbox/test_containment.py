"""What a container holds its job to."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Limits, Mount, Network, Sandbox
from tests.support.jobs import ended, output, shell, writable
from tests.support.podmans import Podman

MEBIBYTE = 1024 * 1024


def eventually(true: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.05)


class TestFiles:
    def test_only_the_mounts_of_the_host_are_visible(self, contained: Sandbox, tmp_path: Path) -> None:
        canary = tmp_path / "canary"
        canary.write_text("secret")
        assert ended(contained, f"cat {canary}").status == 1
        assert not ended(contained, f"ls {Path(__file__).parent}").ok

    def test_a_read_only_mount_cannot_be_changed(self, contained: Sandbox, workspace: Path) -> None:
        (workspace / "file").write_text("before")
        (workspace / "file").chmod(0o666)
        mount = Mount(source=workspace, target=str(workspace))
        script = "echo >file; rm -f file; touch other; mkdir directory; chmod 777 .; umount .; true"
        ended(contained, script, workdir=str(workspace), mounts=(mount,))
        assert [path.name for path in workspace.iterdir()] == ["file"]
        assert (workspace / "file").read_text() == "before"

    def test_a_read_only_file_over_another_cannot_be_removed(
        self, contained: Sandbox, workspace: Path, tmp_path: Path
    ) -> None:
        above = tmp_path / "above"
        above.write_text("above")
        (workspace / "file").write_text("below")
        (workspace / "file").chmod(0o666)
        mounts = (writable(workspace), Mount(source=above, target=f"{workspace}/file"))
        found = output(
            contained,
            "{ echo >file; rm file; mv file other; umount file; } 2>/dev/null; cat file",
            workdir=str(workspace),
            mounts=mounts,
        )
        assert found == "above"
        assert above.read_text() == "above"
        assert (workspace / "file").read_text() == "below"

    def test_the_image_cannot_be_written(self, contained: Sandbox) -> None:
        root = next(line for line in output(contained, "cat /proc/mounts").splitlines() if " / " in line)
        assert root.split()[3].startswith("ro,")

    def test_the_disk_limit_applies_to_tmp(self, contained: Sandbox) -> None:
        completed = ended(contained, "head -c 8M /dev/zero >/tmp/much", limits=Limits(disk=4 * MEBIBYTE))
        assert "No space left" in completed.stderr

    def test_programs_can_run_from_tmp(self, contained: Sandbox) -> None:
        script = "printf '#!/bin/sh\\necho ran' >/tmp/program; chmod +x /tmp/program; /tmp/program"
        assert output(contained, script) == "ran"


class TestPrivileges:
    def test_a_job_is_not_root_and_cannot_become_root(self, contained: Sandbox) -> None:
        status = dict(line.split(":", 1) for line in output(contained, "cat /proc/self/status").splitlines())
        assert "0" not in status["Uid"].split() + status["Gid"].split() + status["Groups"].split()
        assert {
            status[name].strip("\t 0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        } == {""}
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2"

    def test_a_job_cannot_make_devices_or_mount_or_change_owners(
        self, contained: Sandbox, workspace: Path
    ) -> None:
        script = """
            mknod null c 1 3 && echo mknod
            touch file && chown 0:0 file && echo chown
            unshare --mount true && echo unshare
            unshare --user --map-root-user mknod null c 1 3 && echo unshare --user
            unshare --user true && echo unshare
            echo x >/proc/sys/kernel/hostname && echo proc
            test -w /sys/kernel && echo sys
            true
        """
        found = output(contained, script, workdir=str(workspace), mounts=(writable(workspace),))
        assert found == ""

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can make a program setuid root")
    def test_a_setuid_program_has_no_effect(self, contained: Sandbox, workspace: Path) -> None:
        program = workspace / "id"
        program.write_bytes(Path("/usr/bin/id").read_bytes())
        program.chmod(0o6755)
        found = output(contained, f"{program} -u; {program} -g", mounts=(writable(workspace),))
        assert "0" not in found.split()

    def test_a_job_sees_only_its_own_processes(self, contained: Sandbox) -> None:
        processes = output(contained, "echo /proc/[0-9]*").split()
        assert 2 <= len(processes) < 10


class TestNetwork:
    def test_without_a_network_there_is_only_the_loopback(self, contained: Sandbox) -> None:
        found = output(contained, "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route | wc -l")
        assert found.split() == ["lo", "1"] or found.split() == ["lo", "0"]

    def test_without_a_network_the_loopback_of_the_host_is_out_of_reach(self, contained: Sandbox) -> None:
        with _listener() as port:
            reach = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null"
            assert not ended(contained, reach).ok
            # The same probe where it must succeed, or it would prove nothing.
            assert ended(contained, reach, network=Network.OPEN, arguments=("--network=host",)).ok

    def test_an_open_network_adds_no_flag(self, contained: Sandbox) -> None:
        assert ended(contained, "true", network=Network.OPEN).ok


class TestLimits:
    @pytest.fixture(autouse=True)
    def _claimed(self, contained: Sandbox) -> None:
        if Capability.LIMITS not in contained.capabilities:
            pytest.skip("not claimed: without root this takes cgroup v2")

    def test_a_job_that_takes_too_much_memory_is_killed(self, contained: Sandbox) -> None:
        completed = ended(
            contained, "head -c 200M /dev/zero | tail -n 1", limits=Limits(memory=64 * MEBIBYTE)
        )
        assert (completed.cause, completed.status) == ("killed", 137)

    def test_a_fork_bomb_is_limited(self, contained: Sandbox) -> None:
        limits = Limits(wall=1.5, pids=40)
        most = 0

        def count() -> None:
            nonlocal most
            while not done.wait(0.05):
                most = max(most, sum(1 for _ in Path("/proc").glob("[0-9]*")))

        done = threading.Event()
        before = sum(1 for _ in Path("/proc").glob("[0-9]*"))
        counter = threading.Thread(target=count)
        counter.start()
        completed = ended(contained, "bomb() { bomb | bomb & }; bomb; sleep 60", limits=limits)
        done.set()
        counter.join()
        assert completed.seconds < 30
        # Others may start a few on this machine meanwhile; a bomb would have made thousands.
        assert most < before + 300


class TestSecrets:
    def test_secrets_are_only_in_the_job(self, podman: Podman, minimal_image: str, repository: str) -> None:
        secret = f"secret-{os.urandom(8).hex()}"
        sandbox = podman.sandbox(minimal_image, repository=repository)
        found: dict[str, object] = {}

        def look(line: bytes) -> None:
            name = podman("ps", f"--filter=label=cobbler.repository={repository}", "--format={{.Names}}")
            found["job"] = line == secret.encode()
            found["inspect"] = secret in podman("inspect", name)
            found["processes"] = [path for path in _of_podman(name) if secret.encode() in _read(path)]
            found["disk"] = _holding(secret, *_storage(podman))
            # The search must be able to find something.
            found["name on disk"] = bool(_holding(name, *_storage(podman)))
            seen.cancel()

        seen = Cancellation()
        job = shell('echo "$KEY"; sleep 60', secrets={"KEY": secret}, stdin=secret.encode(), on_line=look)
        assert sandbox.run(job, seen).cause == "cancelled"
        assert found == {"job": True, "inspect": False, "processes": [], "disk": [], "name on disk": True}


_HINDERS = """
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  [ $process = $$ ] && continue
  kill -STOP $process
  for descriptor in /proc/$process/fd/*; do (exec sleep 300 >>$descriptor) & done
done 2>/dev/null
for signal in TERM CHLD USR1 ALRM; do (while :; do kill -$signal 1; done) & done
"""
"""Tries to keep the first process from seeing that its pipe closes."""


class TestLifeline:
    @pytest.mark.parametrize("victim", ["caller", "podman"])
    @pytest.mark.parametrize("hinders", ["", _HINDERS], ids=["stubborn", "hostile"])
    def test_the_container_ends_with_the_process_that_started_it(
        self, podman: Podman, minimal_image: str, repository: str, workspace: Path, victim: str, hinders: str
    ) -> None:
        described = _described(podman, minimal_image, repository, workspace)
        caller = subprocess.Popen([sys.executable, "-c", _CALLER, described, hinders])
        try:
            eventually((workspace / "alive").exists)
            if victim == "podman":
                for process in _clients(repository):
                    os.kill(process, 9)
            else:
                caller.kill()
            eventually(lambda: not podman("ps", "-aq", f"--filter=label=cobbler.repository={repository}"))
            size = (workspace / "alive").stat().st_size
            time.sleep(0.2)
            assert (workspace / "alive").stat().st_size == size
        finally:
            caller.kill()
            caller.wait()

    def test_a_container_killed_from_outside_is_a_killed_job(
        self, podman: Podman, minimal_image: str, repository: str
    ) -> None:
        def kill(_: bytes) -> None:
            podman("kill", f"cobbler-{repository}-here-test-1")

        sandbox = podman.sandbox(minimal_image, repository=repository)
        assert sandbox.run(shell("echo; sleep 60", on_line=kill)).cause == "killed"

    def test_a_job_that_kills_the_lifeline_ends_itself(self, contained: Sandbox) -> None:
        completed = ended(contained, "bash -c 'kill -KILL -1'; sleep 60")
        assert completed.cause == "killed"
        assert completed.seconds < 30

    def test_a_job_cannot_forge_its_end(self, contained: Sandbox) -> None:
        completed = ended(contained, _FORGES + "exit 3")
        assert (completed.status, completed.cause) == (3, "exited")

    def test_a_job_that_ends_the_lifeline_cannot_forge_its_end(self, contained: Sandbox) -> None:
        completed = ended(contained, _FORGES + _KILLS_ALL_OTHERS + "sleep 60")
        assert completed.cause == "killed"

    @pytest.mark.parametrize("limits", [Limits(wall=60), Limits(wall=0.5)], ids=["exited", "killed"])
    def test_no_container_is_left(
        self, podman: Podman, minimal_image: str, repository: str, limits: Limits
    ) -> None:
        sandbox = podman.sandbox(minimal_image, repository=repository)
        script = "exit" if limits.wall == 60 else "trap '' TERM; while :; do sleep 60; done"
        ended(sandbox, script, limits=limits)
        assert podman("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={repository}") == ""


class TestCollecting:
    def test_a_job_cannot_forge_the_file(self, contained: Sandbox) -> None:
        lines: list[bytes] = []
        script = f"cd; {_FORGES} {_FORGES_THE_FILE} printf real >file"
        completed = ended(contained, script, collect="~/file", on_line=lines.append)
        assert completed.ok
        assert completed.collected == b"real"
        assert any(b"forged" in line for line in lines)

    def test_a_job_cannot_stop_the_file_by_its_stdout(self, contained: Sandbox) -> None:
        # The open pipe of a job is shared with the first process, and so is its mode.
        script = "cd; dd oflag=nonblock </dev/null 2>/dev/null; head -c 16000000 /dev/zero >file"
        assert ended(contained, script, collect="~/file").collected == bytes(16_000_000)

    def test_nothing_is_collected_while_another_process_runs(
        self, own_podman: Podman, python_image: str, repository: str
    ) -> None:
        # Root's process stands for one that takes long to end: the first process cannot kill it.
        def intrude(_: bytes) -> None:
            container = f"cobbler-{repository}-here-test-1"
            own_podman("wait", "--condition=running", container)
            own_podman("exec", "--detach", "--user=0", container, "python3", "-c", _HEADLESS)

        sandbox = own_podman.sandbox(python_image, repository=repository)
        script = "cd; echo >file; echo; until grep -q 'Z (zombie)' /proc/*/status; do sleep 0.1; done; exit 3"
        completed = ended(sandbox, script, collect="~/file", on_line=intrude)
        assert (completed.status, completed.collected) == (3, None)

    def test_a_held_file_cannot_be_opened_by_another_process(self, contained: Sandbox) -> None:
        script = f"""
            printf real >"$COBBLER_REPORT"
            (while :; do {_FORGES_THE_HELD_FILE} done) 7>&- &
            sleep 0.3 7>&-
        """
        assert ended(contained, script, collect="~/file", held=True).collected == b"real"
        assert ended(contained, "true", collect="~/file", held=True).collected is None

    def test_a_job_that_takes_the_first_process_its_descriptors_ends_as_it_ends(
        self, own_podman: Podman, python_image: str, repository: str
    ) -> None:
        sandbox = own_podman.sandbox(python_image, repository=repository)
        call = "import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))"
        completed = ended(sandbox, f"python3 -c '{call}' && exit 3")
        assert (completed.cause, completed.status) == ("exited", 3)


_FORGES_THE_HELD_FILE = """
for file in /proc/[0-9]*/fd/7 /proc/self/fd/7 /dev/shm/cobbler-report; do
  (printf forged >$file) 2>/dev/null
done
"""


class TestSweep:
    def test_sweep_ends_only_other_runs_on_the_same_repository(
        self, podman: Podman, minimal_image: str, repository: str
    ) -> None:
        here = podman.sandbox(minimal_image, repository=repository, run_id="here")
        dead = podman.sandbox(minimal_image, repository=repository, run_id="dead")
        elsewhere = podman.sandbox(minimal_image, repository=f"{repository}x", run_id="dead")
        with _running(here) as ours, _running(dead) as theirs, _running(elsewhere) as others:
            assert here.sweep() == [f"cobbler-{repository}-dead-test-1"]
            eventually(lambda: theirs)
            assert theirs[0].cause == "killed"
            assert here.sweep() == []
            assert not ours
            assert not others


_CALLER = textwrap.dedent(r"""
    import json, sys
    from pathlib import Path
    from pytest_cobbler.sandbox.base import Job, Mount
    from pytest_cobbler.sandbox.podman import PodmanSandbox

    image, workspace, arguments = json.loads(sys.argv[1])
    sandbox = PodmanSandbox(image, **arguments)
    mount = Mount(source=Path(workspace), target=workspace, mode="rw")
    script = "trap '' TERM\n" + sys.argv[2] + "\nwhile :; do date >>alive; sleep 0.02; done"
    sandbox.run(Job(name="test", argv=("sh", "-c", script), workdir=workspace, mounts=(mount,)))
""")


_FORGES = r"""
known="/proc/1/cmdline /proc/1/environ /proc/self/environ"
for word in $(cat $known 2>/dev/null | tr -c 0-9a-f '\n' | grep -xE '.{32}'); do
  printf '%s ready\n%s ended 0\n' $word $word >&2
done
for name in /dev/shm/cobbler-status $(ls /dev/shm/*); do echo 0 >$name; done
"""
"""Says in every way it finds that the job ended well."""

_FORGES_THE_FILE = r"""
for word in $(cat $known 2>/dev/null | tr -c 0-9a-f '\n' | grep -xE '.{32}'); do
  printf '%sforged%s' $word $word
done
"""

_HEADLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
"""A process whose first thread has ended, so that it looks dead, and whose other thread runs."""

_KILLS_ALL_OTHERS = r"""
for process in /proc/[0-9]*; do
  process=${process#/proc/}
  case $process in 1 | $$) ;; *) kill -KILL $process ;; esac
done
"""


def _described(podman: Podman, image: str, repository: str, workspace: Path) -> str:
    arguments = {
        "repository": repository,
        "run_id": "here",
        "owner": podman.owner,
        "program": podman.program,
        "environment": podman.environment,
    }
    return json.dumps([image, str(workspace), arguments])


def _clients(repository: str) -> list[int]:
    """The processes of ``podman run`` for the repository."""
    label = f"--label=cobbler.repository={repository}".encode()
    return [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if label in _read(path).split(b"\0")
    ]


def _of_podman(container: str) -> list[Path]:
    """Command line and environment of every process of podman's that names ``container``."""
    return [
        path.with_name(name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if container.encode() in _read(path)
        for name in ("cmdline", "environ")
    ]


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _storage(podman: Podman) -> list[str]:
    """Where podman keeps what it knows of containers; layers of images are left out."""
    graph, run = podman("info", "--format={{.Store.GraphRoot}} {{.Store.RunRoot}}").split()
    places = [f"{graph}/overlay-containers", f"{graph}/libpod", run, "/run/libpod"]
    return [place for place in places if Path(place).exists()]


def _holding(text: str, *places: str) -> list[str]:
    found = subprocess.run(
        ["grep", "-rlF", "--exclude=*.lock", "--devices=skip", text, *places], capture_output=True, text=True
    )
    return found.stdout.splitlines()


@contextlib.contextmanager
def _listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def _running(sandbox: Sandbox) -> Iterator[list[Completed]]:
    """A job that runs meanwhile; how it ended as soon as it has."""
    ends: list[Completed] = []
    cancellation, started = Cancellation(), threading.Event()
    job = shell("echo; sleep 60", on_line=lambda _: started.set())
    thread = threading.Thread(target=lambda: ends.append(sandbox.run(job, cancellation)))
    thread.start()
    try:
        assert started.wait(30)
        yield ends
    finally:
        cancellation.cancel()
        thread.join()
