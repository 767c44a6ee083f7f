"""The protocol of a channel to nodes, and a stream of bytes that is the pipes of a child process."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from pytest_cobbler.process import TAIL, start

__all__ = ["Channel", "CommandStream", "Stream"]

_CHUNK: Final = 256 * 1024
_PATIENCE: Final = 5.0
"""Seconds in which a child has to end after its stdin was closed, and after TERM."""


class Stream(Protocol):
    """A stream of bytes, both ways. One thread reads, and closes it; others write meanwhile."""

    def read(self, seconds: float) -> bytes | None:
        """The next bytes; empty at the end, ``None`` if there are none within ``seconds``."""
        ...

    def write(self, data: bytes) -> None:
        """Send all of ``data``; waits while the other end does not read.

        Raises:
            OSError: the stream has ended.
        """
        ...

    def finish(self) -> None:
        """Send nothing more: what the stream reaches ends then."""
        ...

    def close(self) -> None:
        """End the stream, and what it reaches."""
        ...

    @property
    def trouble(self) -> str:
        """What the engine printed; may be empty."""
        ...

    @property
    def has_failed(self) -> bool:
        """Whether the engine reported that the node, not the job, has failed."""
        ...


class Channel(Protocol):
    """All that a site needs of an engine; thread-safe."""

    @property
    def description(self) -> str:
        """One line for the header of a run."""
        ...

    def open(self, name: str, labels: Mapping[str, str], program: Sequence[str], node: str = "") -> Stream:
        """Run ``program`` once on a node, by default on any, and reach its stdin and stdout.

        Raises:
            SandboxError: the engine cannot be asked.
        """
        ...

    def list(self, labels: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
        """The labels of the programs with all of ``labels``, by the engine's id of each.

        Raises:
            SandboxError: the engine cannot be asked.
        """
        ...

    def end(self, ids: Sequence[str]) -> None:
        """End programs, by the ids of ``list``; returns when the engine has ended them.

        Raises:
            SandboxError: the engine cannot be asked.
        """
        ...


class CommandStream:
    """The pipes of a child process, such as ``srun``.

    Args:
        failures: words of its error output that mean that the node has failed.

    Raises:
        CobblerError: there is no such program.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], failures: Sequence[str] = ()) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._failures = failures
        self._trouble = ""
        self._child = start(argv, env=env, cwd=Path("/"), stdin=subprocess.PIPE, stderr=self._errors)
        assert self._child.stdin
        assert self._child.stdout
        self._stdin, self._stdout = self._child.stdin, self._child.stdout
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN | select.POLLHUP)

    @property
    def process(self) -> int:
        """The id of the child."""
        return self._child.pid

    def read(self, seconds: float) -> bytes | None:
        if not self._poll.poll(seconds * 1000):
            return None
        return os.read(self._stdout.fileno(), _CHUNK)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._stdin.fileno(), view) :]

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()

    def close(self) -> None:
        self.finish()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_PATIENCE)
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)
        self._child.wait()
        self._stdout.close()
        self._trouble = self.trouble
        self._errors.close()

    @property
    def trouble(self) -> str:
        if self._errors.closed:
            return self._trouble
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), TAIL, max(0, size - TAIL)).decode("utf-8", "replace").strip()

    @property
    def has_failed(self) -> bool:
        trouble = self.trouble
        return any(words in trouble for words in self._failures)
