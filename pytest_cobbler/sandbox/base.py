"""The protocol of a sandbox, which runs the code of agents, and the jobs that it runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol

from pytest_cobbler.causes import Ending
from pytest_cobbler.process import Cancellation, Writable


class Network(Enum):
    """The network of a job."""

    NONE = "none"
    OPEN = "open"


@dataclass(frozen=True, kw_only=True)
class Loopback:
    """No network except the job's own loopback, with one service of the host on it.

    Before the job runs, ``serve`` gets a socket that listens on ``port`` of the job's 127.0.0.1. It returns a
    context that is entered then and left when the job has ended; the socket is closed after that.
    """

    port: int
    serve: Callable[[socket.socket], AbstractContextManager[object]]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A directory or file of the host at ``target`` inside.

    ``overlay``: readable and writable inside, unchanged on the host afterwards. What the job writes is gone
    then, or it is in ``upper``, where the next job with the same overlay finds it; ``work`` is an empty
    directory beside that. Only the kernel reads and writes the two while such a job runs.
    """

    source: Path
    target: str
    mode: Literal["ro", "rw", "overlay"] = "ro"
    upper: Path | None = None
    work: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a job; ``None`` means unlimited.

    ``wall`` and ``idle`` (no output) are seconds, ``memory`` and ``disk`` bytes, ``pids`` is a number of
    processes and threads. ``disk`` applies to each directory in memory (``/tmp``), and to the writable mounts
    together, with what they hold at the start; a job that exceeds it there ends as ``Ending.DISK``.
    """

    wall: float | None = None
    idle: float | None = None
    memory: int | None = None
    pids: int | None = 2048
    disk: int | None = None


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """A program of the host's that runs where a job ran, when every process of the job has ended.

    Nothing of the job can touch it, and its only variables are ``environment`` and the image's own. Its
    output goes to ``output``; it has ``seconds``. ``mounts`` are there before, and no process of the job may
    find anything of use in those that are writable: ``prepare`` is called once they have ended, before the
    program runs.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    output: Writable
    prepare: Callable[[], None]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to run in a sandbox.

    The variables of a job are ``environment``, ``secrets``, ``HOME`` and the image's own. ``secrets`` never
    appear on a command line, in podman's environment or on the host's disk. The output goes to
    ``stdout`` as it comes; without that, each line goes to ``on_line``; without both, it is dropped. Each
    line of the error output goes to ``on_error_line``, and the last ones to ``Completed.stderr``.
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
    """The image, if not the sandbox's own; ignored by a sandbox without images."""
    arguments: tuple[str, ...] = ()
    """Extra arguments of ``podman run``, validated by the configuration."""
    stdout: Writable | None = None
    on_line: Callable[[bytes], None] | None = None
    on_error_line: Callable[[bytes], None] | None = None
    collect: str = ""
    """A file for ``Completed.collected``: relative to ``workdir``, or to the job's HOME after ``~/``."""
    held: bool = False
    """Whether the file may be one without a name, which no other process can open.

    Then the variable ``COBBLER_REPORT`` is its path, and the program in ``argv`` inherits it. The path is
    valid in processes that inherit the file; without the variable, ``collect`` is the path.
    """
    afterwards: Afterwards | None = None
    """Not beside ``collect``. A sandbox that cannot keep the promises of it leaves it out."""


@dataclass(frozen=True, kw_only=True)
class Completed:
    """How a job ended; ``stderr`` is the end of its error output.

    ``collected`` is the content of the file ``Job.collect``, read after every process of the job had ended.
    It is ``None`` if there is no such regular file, if links lead to it, or if it is too large.
    ``went_on``: the program ``Job.afterwards`` has run and succeeded.
    """

    status: int
    cause: Ending
    seconds: float
    stderr: str
    collected: bytes | None = None
    went_on: bool = False

    @property
    def ok(self) -> bool:
        return self.cause == Ending.EXITED and self.status == 0


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What runs the jobs of an image.

    ``image`` is the id of the image, empty if jobs have none: the sha256 of its configuration, which names
    its layers by theirs, so that the same image has the same id on every machine. ``image_digests`` are the
    references by which a registry gives it, ``repositories`` the names, without tags, that it has or had
    here. ``runtime`` are the programs with their versions, ``arguments`` the user's own for every job.
    """

    runtime: str
    image: str = ""
    image_digests: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


class Capability(Enum):
    """A restriction that a sandbox enforces, or a service that it offers."""

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
        """One line for the header of a run; includes a warning if jobs are not contained."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def owner(self) -> tuple[int, int] | None:
        """uid and gid, on the host, of files that jobs write; ``None`` means the caller's."""
        ...

    @property
    def storage(self) -> Path | None:
        """The directory of this machine with the images and containers, if there is one."""
        ...

    @property
    def runtime(self) -> str:
        """The container runtime as it prints its version, and its package; empty if there is none."""
        ...

    def check_engine(self) -> str:
        """Check that the engine is installed and works, without running a job.

        Returns:
            the name and version of the engine, and the user of its jobs.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        ...

    def engine(self, image: str | None) -> Engine:
        """What runs jobs of ``image``, by default the sandbox's own.

        Raises:
            SandboxError: the engine does not work, or has no such image.
        """
        ...

    def preflight(self) -> None:
        """Check that a job can run, with git in it.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        ...

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        """Run ``job`` to its end and end every process that it started.

        Raises:
            SandboxError: the sandbox could not run it at all.
        """
        ...

    def left(self) -> list[str]:
        """The names of the jobs of other runs on this repository, running or left behind."""
        ...

    def sweep(self) -> list[str]:
        """End every job in :meth:`left`, assuming that their runs are dead; returns the names."""
        ...
