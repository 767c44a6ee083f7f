"""The first process of a pod's container for jobs, in a container of podman beside this process."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Mount, Network
from pytest_cobbler.sandbox.pod import PodSandbox
from pytest_cobbler.sandbox.pod_job import FIFOS, FIRST, LINK
from pytest_cobbler.sandbox.podman_environment import podman_environment

USER = 60989


class Beside:
    """A container whose first process is that of a pod's container for jobs."""

    def __init__(self, image: str, directory: Path) -> None:
        link, self.name = directory / "link", f"cobbler-pod-{uuid.uuid4().hex[:8]}"
        link.mkdir()
        for one in FIFOS:
            os.mkfifo(link / one)
            (link / one).chmod(0o666)
        command = ["podman", "run", "--rm", "--detach", "--pull=never", "--network=none", "--read-only"]
        command += ["--cap-drop=all", f"--user={USER}:{USER}", f"--name={self.name}", "--entrypoint=sh"]
        command += ["--security-opt=no-new-privileges", "--tmpfs=/cobbler/shell:mode=0777,exec"]
        command += [f"--volume={link}:{LINK}:ro", image, "-c", FIRST]
        subprocess.run(command, env=podman_environment(), check=True, capture_output=True)
        self.sandbox = PodSandbox(image, link=str(link))

    def is_there(self) -> bool:
        command = ["podman", "container", "exists", self.name]
        return subprocess.run(command, env=podman_environment()).returncode == 0

    def remove(self) -> None:
        command = ["podman", "rm", "--force", "--time=0", "--ignore", self.name]
        subprocess.run(command, env=podman_environment(), check=True, capture_output=True)

    def run(self, script: str, cancellation: Cancellation | None = None, **more: Any) -> Completed:
        limits = more.pop("limits", Limits(wall=60))
        job = Job(name="work", argv=("sh", "-c", script), workdir="/tmp", limits=limits, **more)
        return self.sandbox.run(job, cancellation)


@pytest.fixture(params=["minimal", "python", "busybox"])
def beside(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Beside]:
    """With dash, bash and busybox as ``sh``."""
    made = Beside(request.getfixturevalue(f"{request.param}_image"), tmp_path)
    yield made
    made.remove()


pytestmark = [pytest.mark.podman, pytest.mark.slow]


def test_jobs_follow_each_other_in_one_container(beside: Beside) -> None:
    content, lines = os.urandom(300_000), list[bytes]()
    parts = list[bytes]()

    class Parts:
        def write(self, data: bytes) -> None:
            parts.append(data)

    first = beside.run(
        'cat; printf "%s %s\\n" "$A" "$B" >&2; printf left >/tmp/left; exit 7',
        stdin=content,
        stdout=Parts(),
        environment={"A": "a"},
        secrets={"B": "b"},
        on_error_line=lines.append,
    )
    assert (first.status, first.cause, first.stderr, lines) == (7, Ending.EXITED, "a b\n", [b"a b"])
    assert b"".join(parts) == content
    second = beside.run("ls -A /tmp; printf end", on_line=lines.append)
    assert (second.ok, lines[1:]) == (True, [b"home", b"end"])
    collected = beside.run("printf 1 >one; sleep 600 & exit 3", collect="one")
    assert (collected.status, collected.collected) == (3, b"1")


def test_a_job_ends_when_it_is_told_to_and_another_can_follow(beside: Beside) -> None:
    cancellation = Cancellation()
    ended = beside.run(
        "trap '' TERM; echo begun; sleep 600", cancellation, on_line=lambda _line: cancellation.cancel()
    )
    assert ended.cause == Ending.CANCELLED
    assert beside.run("sleep 600", limits=Limits(wall=1)).cause == Ending.TIMEOUT

    class Full:
        def write(self, _data: bytes) -> None:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        beside.run("echo line; sleep 600", stdout=Full())
    assert beside.run("kill -KILL $$").cause == Ending.KILLED
    assert beside.run("kill -KILL -1; sleep 600", limits=Limits(wall=20)).cause != Ending.EXITED
    with pytest.raises(NotStarted, match="has no program no-such"):
        beside.sandbox.run(Job(name="work", argv=("no-such",), workdir="/tmp"))
    assert beside.run("true").ok


def test_a_job_reaches_neither_the_lifeline_nor_what_other_jobs_are_sent(beside: Beside) -> None:
    lines = list[bytes]()
    script = f"""
    ls {LINK}
    for one in /proc/[0-9]*/fd/*; do
      case $(readlink "$one") in *in*) (: >>"$one") 2>/dev/null && echo "open $one" ;; esac
    done
    (: <>/proc/1/mem) 2>/dev/null && echo memory
    rm -rf /cobbler/shell/sh; mkdir -p /cobbler/shell/sh/deep; chmod 0 /cobbler/shell/sh
    """
    assert beside.run(script, on_line=lines.append).status == 0
    assert lines == []
    with pytest.raises(NotStarted):  # a shell that others can read is none
        beside.run("true")
    until_gone(beside)


def test_a_job_ends_with_the_carrier(beside: Beside) -> None:
    began = threading.Event()

    def end_of_the_carrier() -> None:
        began.wait()
        assert beside.sandbox._pipes
        os.close(beside.sandbox._pipes[0])

    threading.Thread(target=end_of_the_carrier).start()
    job = "echo begun; trap '' TERM; sleep 600"
    completed = beside.run(job, on_line=lambda _line: began.set(), limits=Limits(wall=3))
    assert completed.cause in (Ending.KILLED, Ending.TIMEOUT)
    until_gone(beside)


def until_gone(beside: Beside) -> None:
    """Wait until the container has ended by itself."""
    for _ in range(200):
        if not beside.is_there():
            return
        time.sleep(0.1)
    raise AssertionError("the container goes on")


def test_what_a_pod_cannot_give_is_refused(tmp_path: Path) -> None:
    sandbox = PodSandbox("image", link=str(tmp_path))
    job = Job(name="work", argv=("true",), workdir="/")
    with pytest.raises(SandboxError, match="have no network"):
        sandbox.run(replace(job, network=Network.OPEN))
    with pytest.raises(SandboxError, match="one image for jobs"):
        sandbox.run(replace(job, image="other"))
    with pytest.raises(SandboxError, match="cannot have"):
        sandbox.run(replace(job, mounts=(Mount(source=tmp_path, target="/elsewhere"),)))
