"""Agents behind their proxy without a container: the proxy listens on the loopback of this machine."""

from __future__ import annotations

import socket
import uuid
from dataclasses import replace

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Completed, Job, Loopback, Network
from pytest_cobbler.sandbox.host import HostSandbox


class SharedLoopback(HostSandbox):
    """Runs jobs on this machine, and serves their network on its loopback.

    No other test ends its jobs: those of one name are ended together.
    """

    def __init__(self) -> None:
        super().__init__(repository=uuid.uuid4().hex, run_id="test")

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.LOOPBACK})

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        if not isinstance(job.network, Loopback):
            return super().run(job, cancellation)
        with (
            socket.create_server(("127.0.0.1", job.network.port)) as listener,
            job.network.serve(listener),
        ):
            return super().run(replace(job, network=Network.OPEN), cancellation)


def free_port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
