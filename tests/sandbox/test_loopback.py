"""A service of the host on a job's own loopback: of every sandbox that claims it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Limits, Loopback, Sandbox
from pytest_cobbler.sandbox.loopback import open_listener
from pytest_cobbler.sandbox.podman import PodmanSandbox
from tests.support.greeters import ASK, PORT, Greeter
from tests.support.jobs import ended, output, shell
from tests.support.podmans import Podman


def client_of(container: str) -> int:
    """The process of podman that is attached to a container."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"start" in words and words[-2:] == [container.encode(), b""]:
                return int(path.parent.name)
    raise LookupError(container)


def test_a_sandbox_that_does_not_claim_it_refuses(sandbox: Sandbox) -> None:
    greeter = Greeter()
    if Capability.LOOPBACK in sandbox.capabilities:
        assert output(sandbox, ASK, network=greeter.network) == "hello from the host"
    else:
        with pytest.raises(SandboxError, match="no loopback of their own"):
            ended(sandbox, "true", network=greeter.network)


def test_the_service_starts_before_the_job_and_ends_with_it(contained: PodmanSandbox) -> None:
    greeter = Greeter()

    assert output(contained, f"cat; {ASK}", stdin=b"stdin, ", network=greeter.network).startswith("stdin, ")

    assert greeter.ended
    assert greeter.listener is not None
    assert greeter.listener.fileno() == -1


def test_nothing_else_can_be_reached(contained: PodmanSandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as of_the_host:
        other = of_the_host.getsockname()[1]
        script = f"""
            grep -c : /proc/net/dev; grep -o 'lo:' /proc/net/dev; wc -l </proc/net/route
            for place in 127.0.0.1/{other} 192.0.2.1/80 169.254.169.254/80; do
                bash -c "exec 3<>/dev/tcp/$place" 2>/dev/null && echo reached $place
            done; true
        """
        assert output(contained, script, network=Greeter().network).split() == ["1", "lo:", "1"]


def test_parallel_jobs_have_one_service_each_on_the_same_port(contained: PodmanSandbox) -> None:
    greeters = [Greeter(str(number)) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        said = pool.map(
            lambda greeter: output(contained, f"sleep 0.3; {ASK}", network=greeter.network), greeters
        )
    assert list(said) == ["0", "1", "2"]


def test_the_status_and_the_limits_are_those_of_any_job(contained: PodmanSandbox) -> None:
    assert ended(contained, "exit 7", network=Greeter().network).status == 7
    completed = ended(contained, "sleep 60", network=Greeter().network, limits=Limits(wall=1))
    assert completed.cause == "timeout"
    with pytest.raises(SandboxError, match="no-such-program"):
        contained.run(shell("", argv=("no-such-program",), network=Greeter().network))


def test_a_cancelled_job_leaves_neither_service_nor_container(
    contained: PodmanSandbox, podman: Podman, repository: str
) -> None:
    greeter, cancellation = Greeter(), Cancellation()
    script = "trap 'exit 5' TERM; echo; sleep 60 & wait"
    job = shell(script, network=greeter.network, on_line=lambda _: cancellation.cancel())

    completed = contained.run(job, cancellation)

    assert (completed.cause, completed.status) == ("cancelled", 5)
    assert greeter.ended
    assert podman("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={repository}") == ""


def test_a_service_that_fails_leaves_no_container(
    contained: PodmanSandbox, podman: Podman, repository: str
) -> None:
    def fail(_listener: socket.socket) -> contextlib.AbstractContextManager[None]:
        raise LookupError("of the caller")

    with pytest.raises(LookupError):
        ended(contained, "true", network=Loopback(port=PORT, serve=fail))

    assert podman("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={repository}") == ""


def test_the_container_ends_when_its_podman_is_killed(
    contained: PodmanSandbox, podman: Podman, repository: str
) -> None:
    def kill(_line: bytes) -> None:
        name = podman("ps", "--format={{.Names}}", f"--filter=label=cobbler.repository={repository}")
        os.kill(client_of(name), signal.SIGKILL)

    completed = contained.run(shell("echo; sleep 60", network=Greeter().network, on_line=kill))

    assert not completed.ok
    assert podman("ps", "--all", "--quiet", f"--filter=label=cobbler.repository={repository}") == ""


def test_a_missing_image_is_reported_as_without_a_loopback(podman: Podman, repository: str) -> None:
    sandbox = podman.sandbox("localhost/no/such/image:1", repository=repository)
    with pytest.raises(SandboxError, match="podman has no image localhost/no/such/image:1"):
        ended(sandbox, "true", network=Greeter().network)


def test_the_loopback_of_this_machine_is_never_used() -> None:
    with pytest.raises(SandboxError) as caught:
        open_listener(os.getpid(), PORT)
    assert "shares the network of this machine" in caught.value.evidence
    assert "agent_network: open" in caught.value.remedy


def test_podman_on_another_machine_does_not_claim_it(tmp_path: Path) -> None:
    for where, claimed in (("remote", False), ("local", True)):
        program = tmp_path / f"podman-{where}"
        program.write_text(f"#!/bin/sh\n[ $1 = version ] && echo {where}\n")
        program.chmod(0o755)
        sandbox = PodmanSandbox("image", repository="r", run_id="here", owner=(1, 1), program=str(program))
        assert (Capability.LOOPBACK in sandbox.capabilities) is claimed
