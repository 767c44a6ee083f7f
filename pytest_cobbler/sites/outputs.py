"""What a node sends: the output of a job, a file, a harvest. None of it is trusted."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import IO, Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.harvest import LARGEST_PACK, HarvestError
from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.sandbox.collecting import Nowhere
from pytest_cobbler.sandbox.stderr import ErrorTail
from pytest_cobbler.sites.frames import Flow, LinkBroken
from pytest_cobbler.sites.sessions import NodeSession
from pytest_cobbler.streams import Output

__all__ = ["Bounded", "Outputs", "Reader", "Taken"]

_MOST: Final = 3 * LARGEST_PACK
"""Bytes of a harvest that are taken from a node: records and two packs."""


class Reader:
    """A thread that reads a flow to its end."""

    def __init__(
        self,
        flow: Flow,
        take: Callable[[bytes], object],
        lock: threading.Lock,
        failed: Callable[[], None],
    ) -> None:
        self.problem: Exception | None = None
        self._flow = flow
        self._take = take
        self._lock = lock
        self._failed = failed
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while data := self._flow.read():
                with self._lock:
                    self._take(data)
        except LinkBroken:
            return  # the node's half is gone, which the call reports
        except Exception as error:
            self.problem = error
            self._failed()
        finally:
            with contextlib.suppress(OSError):
                self._flow.close()

    def join(self) -> None:
        self._thread.join()


class Outputs:
    """Passes what a job prints to where it goes, by one thread at a time."""

    def __init__(self, session: NodeSession, job: Job, errors: ErrorTail) -> None:
        self.flows = {"stdout": session.flow(), "stderr": session.flow()}
        self._sinks = Output(job.stdout or job.on_line or Nowhere(), keep=0), Output(errors, keep=0)
        self._cancellation = Cancellation()
        self._readers: list[Reader] = []

    def cancelling(self, cancellation: Cancellation | None) -> Cancellation:
        """A cancellation that also ends the job when its output cannot be taken."""
        self._cancellation = Cancellation(cancellation)
        return self._cancellation

    def __enter__(self) -> Outputs:
        lock = threading.Lock()
        for flow, sink in zip(self.flows.values(), self._sinks, strict=True):
            self._readers.append(Reader(flow, sink.take, lock, lambda: self._cancellation.cancel()))
        return self

    def __exit__(self, *exception: object) -> None:
        for reader in self._readers:
            reader.join()
        for sink in self._sinks:
            sink.close()
        for reader in self._readers:
            if reader.problem and exception[0] is None:
                raise reader.problem


class Taken:
    """The content of a file that a node sends."""

    def __init__(self, most: int) -> None:
        self.data = bytearray()
        self._most = most

    def write(self, data: bytes) -> None:
        if len(self.data) + len(data) > self._most:
            raise SandboxError("the node has sent a longer file than was asked for")
        self.data += data


class Bounded:
    """A file for a harvest. What a node sends is not trusted."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._left = _MOST

    def write(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise HarvestError("harvest: the node has sent too much")
        self._output.write(data)
