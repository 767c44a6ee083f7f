"""Where the code of agents runs: the seam between what is to be run and what runs it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Literal, Protocol

from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation


class Network(Enum):
    """What a job can reach."""

    NONE = "none"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """No network but the job's own loopback, and one service of the host on it.

    Before the job runs, ``serve`` gets a socket that listens on ``port`` of the job's 127.0.0.1. What it
    returns is entered then and left when the job has ended; the socket is closed after that.
    """

    port: int
    serve: Callable[[socket.socket], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory or file of the host at ``target`` inside.

    ``overlay``: readable and writable inside, unchanged on the host afterwards.
    """

    source: Path
    target: str
    mode: Literal["ro", "rw", "overlay"] = "ro"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a job; ``None`` means unlimited.

    ``wall`` and ``idle`` (no output) are seconds, ``memory`` and ``disk`` (of ``/tmp``) bytes, ``pids`` is a
    number of processes and threads.
    """

    wall: float | None = None
    idle: float | None = None
    memory: int | None = None
    pids: int | None = 2048
    disk: int | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run in a sandbox.

    ``environment`` is all that the job sees beside the image's own variables and ``HOME``; ``secrets`` are
    variables too, but never appear on a command line, in podman's environment or on the host's disk.
    ``stdout`` takes the output as it is; else each line goes to ``on_line``; else it is dropped.
    Errors go to ``on_error_line`` and, their end, to ``Completed.stderr``.
    """

    name: str
    argv: tuple[str, ...]
    workdir: str
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: tuple[Mount, ...] = ()
    network: Network | Loopback = Network.NONE
    limits: Limits = Limits()
    image: str | None = None
    """Another image than the sandbox's own; ignored where there are no images."""
    arguments: tuple[str, ...] = ()
    """Extra arguments of ``podman run``, validated by the configuration."""
    stdout: IO[bytes] | None = None
    on_line: Callable[[bytes], None] | None = None
    on_error_line: Callable[[bytes], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a job ended; ``stderr`` is the end of its error output."""

    status: int
    cause: Ending
    seconds: float
    stderr: str

    @property
    def ok(self) -> bool:
        return self.cause == Ending.EXITED and self.status == 0


class Capability(Enum):
    """What a sandbox holds a job to; the conformance suite asks each only for what it claims."""

    READ_ONLY = "read-only mounts"
    OVERLAY = "overlay mounts"
    NETWORK = "network off"
    LOOPBACK = "a service of the host on a job's own loopback"
    LIMITS = "memory and process limits"
    CONTAINMENT = "nothing but its mounts can be seen or written"


class Sandbox(Protocol):
    """Runs jobs; every method is thread-safe."""

    @property
    def description(self) -> str:
        """One line for the run's header, with what is given away if anything is."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def owner(self) -> tuple[int, int] | None:
        """uid and gid, on the host, of what jobs write; ``None``: the caller's own."""
        ...

    @property
    def storage(self) -> Path | None:
        """The directory of this machine that images and containers lie in, if there is one."""
        ...

    def check_engine(self) -> str:
        """Prove that what runs the jobs is there and works; runs none.

        Returns:
            what it is, and the user that it runs as.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        ...

    def preflight(self) -> None:
        """Prove that a job can run, and git in it.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        ...

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        """Run ``job`` to its end; afterwards none of its processes is left.

        Raises:
            SandboxError: the sandbox could not run it at all.
        """
        ...

    def left(self) -> list[str]:
        """The names of what other runs on this repository have running or left behind."""
        ...

    def sweep(self) -> list[str]:
        """End what :meth:`left` tells, all of it taken for dead; the names of what was found."""
        ...
