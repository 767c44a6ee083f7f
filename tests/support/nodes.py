"""Nodes that are processes of this machine: everything is real except the distance."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_cobbler.process import host_environment
from pytest_cobbler.sandbox.podman import podman_environment
from pytest_cobbler.sites.channel import CommandStream
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.sites.patience import Patience
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from tests.support.repositories import Bench

__all__ = ["QUICK", "Processes", "remote_site"]

QUICK = Patience(beat=0.2, silence=1.0, lease=2.0, kill=5.0, slack=0.1, end=0.5)
"""Short, so that a test can wait for it; for a machine on which others work, too."""


class Wire(CommandStream):
    """A stream that can be cut in each direction alone, as a network can, and that counts what it sends."""

    sent = 0
    is_deaf = False
    is_mute = False

    def read(self, seconds: float) -> bytes | None:
        data = super().read(seconds)
        return None if self.is_deaf and data else data

    def write(self, data: bytes) -> None:
        self.sent += len(data)
        if not self.is_mute:
            super().write(data)


class Processes:
    """A channel to nodes that are child processes, with names in the variable that Slurm uses."""

    description = "processes"

    def __init__(self, *, nodes: Sequence[str] = ("n1",)) -> None:
        self._nodes = nodes
        self.down: set[str] = set()
        """Nodes that do not answer."""
        self.streams: list[tuple[Wire, Mapping[str, str]]] = []

    def open(self, _name: str, labels: Mapping[str, str], program: Sequence[str], node: str = "") -> Wire:
        name = node or self._nodes[len(self.streams) % len(self._nodes)]
        env = podman_environment() | host_environment() | {"SLURMD_NODENAME": name}
        stream = Wire(("false",) if name in self.down else program, env)
        self.streams.append((stream, labels))
        return stream

    def list(self, labels: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        alive = {}
        for stream, its in self.streams:
            if labels.items() <= its.items() and Path(f"/proc/{stream.process}/fd").exists():
                alive[str(stream.process)] = its
        return alive

    def close(self) -> None:
        """End all that a test has left at work."""
        for stream, _ in self.streams:
            stream.finish()

    def end(self, ids: Sequence[str]) -> None:
        for one in ids:
            os.killpg(int(one), signal.SIGKILL)


def channel_label(bench: Bench) -> str:
    """Names the repository of a bench on nodes."""
    return bench.repository.key.rpartition("-")[2]


def remote_site(
    bench: Bench,
    image: str,
    directory: Path,
    channel: Processes | None = None,
    here: LocalSite | None = None,
) -> RemoteSite:
    """The nodes of a bench, with jobs in ``image``, or on the host without one."""
    settings = NodeSandbox(image=image, repository=channel_label(bench), run_id=uuid.uuid4().hex[:8])
    return RemoteSite(
        bench.repository,
        bench.generation.name,
        channel or Processes(),
        settings,
        directory,
        patience=QUICK,
        here=here,
    )
