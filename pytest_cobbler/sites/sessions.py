"""One node's half at work: the coordinator calls it, hears it, and knows when it is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Loopback
from pytest_cobbler.sites.channel import Stream
from pytest_cobbler.sites.frames import ANSWER, BEAT, CALL, CANCEL, CONNECTION, Flow, Link, LinkBroken
from pytest_cobbler.sites.patience import Patience, now
from pytest_cobbler.sites.relaying import join
from pytest_cobbler.sites.shipping import send_code
from pytest_cobbler.sites.values import error_from

__all__ = ["Gone", "NodeSession"]

_LOOK: Final = 0.1
"""Seconds between two looks at a call that can be cancelled."""
_SECOND: Final = 1.0


class Gone(SandboxError):
    """The node's half is gone, and gives no answer."""


class _Call:
    """A call that waits for its answer."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.answer: dict[str, Any] = {}


class NodeSession:
    """A node's half, from its start to its end.

    Args:
        waits: whether to go on waiting for a node.

    Raises:
        NotStarted: there is no node, or the node's half does not start there.
    """

    def __init__(self, stream: Stream, patience: Patience, waits: Callable[[], bool]) -> None:
        self._stream = stream
        self._patience = patience
        self.node = "?"
        self._link = Link(stream, self._take, first=2)
        self._numbers = itertools.count(1)
        self._calls: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._stamp = 0.0
        self._service: Path | None = None
        self._over = threading.Event()
        self._is_silent = False
        try:
            first = send_code(stream, waits)
        except BaseException as error:
            stream.close()
            if isinstance(error, OSError):
                raise NotStarted("the node's half did not start", "", stream.trouble) from error
            raise
        self._last_sent = now()
        self._last_answer = self._last_sent + patience.start
        self._reader = threading.Thread(target=self._read, args=(first,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._beat, daemon=True).start()

    # -- the stream

    def _read(self, first: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._link.pump(self._is_heard, self._patience.beat / 4, first)
        self._over.set()
        self._stream.close()
        with self._lock:
            for call in self._calls.values():
                call.is_over.set()

    def _is_heard(self) -> bool:
        self._is_silent = now() > self._last_answer + self._patience.silence
        return not self._is_silent and not self._over.is_set()

    def _beat(self) -> None:
        with contextlib.suppress(LinkBroken):
            while not self._over.is_set():
                self._link.send(BEAT, 0, struct.pack("!d", self._stamp))
                self._last_sent = now()
                self._over.wait(self._patience.beat)

    def _take(self, kind: bytes, number: int, data: bytes) -> None:
        if kind == BEAT:
            (self._stamp,) = struct.unpack("!d", data)
            self._last_answer = now()
        elif kind == ANSWER:
            with self._lock:
                call = self._calls.get(number)
            if call:
                call.answer = json.loads(data)
                call.is_over.set()
        elif kind == CONNECTION:
            flow = self._link.flow(number)
            threading.Thread(target=self._connect, args=(flow,), daemon=True).start()

    def _connect(self, flow: Flow) -> None:
        """Carry a connection of the job to the service that the job has."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(self._service))
        except OSError:
            connection.close()
            with contextlib.suppress(OSError):
                flow.finish()
                flow.close()
            return
        join(connection, flow)

    # -- calls

    def flow(self) -> Flow:
        """A flow for a call."""
        return self._link.flow()

    def call(
        self,
        name: str,
        /,
        cancellation: Cancellation | None = None,
        flows: Mapping[str, Flow] | None = None,
        feed: Callable[[], None] | None = None,
        **arguments: Any,
    ) -> Any:
        """Call the node's half, and return its answer.

        Args:
            feed: writes what the call reads; called once it has been sent.

        Raises:
            Gone: there is none, because the node's half is gone.
            CobblerError: the call failed.
        """
        number, call = next(self._numbers), _Call()
        with self._lock:
            self._calls[number] = call
        numbers = {what: flow.number for what, flow in (flows or {}).items()}
        try:
            with contextlib.suppress(LinkBroken):  # there may be an answer that says why
                self._link.send_json(CALL, number, {"name": name, "arguments": arguments, "flows": numbers})
                if feed:
                    feed()
            self._wait(call, number, cancellation)
        finally:
            with self._lock:
                del self._calls[number]
        if "error" in call.answer:
            raise error_from(call.answer["error"], self.node)
        if "value" not in call.answer:
            raise Gone(f"the node {self.node} gives no answer", evidence=self._stream.trouble)
        return call.answer["value"]

    def _wait(self, call: _Call, number: int, cancellation: Cancellation | None) -> None:
        asked: float | None = None
        while not call.is_over.wait(_LOOK if cancellation else _SECOND):
            if self._over.is_set():
                return
            if cancellation and cancellation.requested and asked is None:
                asked = now()
                with contextlib.suppress(LinkBroken):
                    self._link.send(CANCEL, number)
            if asked is not None and now() > asked + self._patience.kill:
                self.close()
                return

    @contextlib.contextmanager
    def serving(self, network: object) -> Iterator[None]:
        """Serve the loopback of a job here, for the time of the block."""
        if not isinstance(network, Loopback):
            yield
            return
        # In a directory that no other user of this machine can enter: who reaches the service uses the key.
        with TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
            path = Path(directory) / "service"
            listener.bind(str(path))
            listener.listen(64)
            with network.serve(listener):
                self._service = path
                try:
                    yield
                finally:
                    self._service = None

    # -- the end

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def close(self) -> None:
        """End the node's half, and all that it runs."""
        self._over.set()
        self._stream.finish()
        self._reader.join()

    def ending(self, cancellation: Cancellation | None) -> Ending:
        """How a job ended whose node's half is gone. Returns when the job cannot be at work any more."""
        lost = self._is_silent or self._stream.has_failed
        self.close()
        if cancellation and cancellation.requested:
            return Ending.CANCELLED
        p = self._patience
        over = self._last_sent + p.lease + p.kill + p.slack if lost else now() + p.end
        while now() < over and not (cancellation and cancellation.requested):
            threading.Event().wait(min(_SECOND, max(0.0, over - now())))
        return Ending.LOST if lost else Ending.KILLED
