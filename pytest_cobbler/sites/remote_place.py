"""One place on a node, as its coordinator has it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, Protocol

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Job, Sandbox
from pytest_cobbler.sites.archiving import keep_archive
from pytest_cobbler.sites.frames import Flow
from pytest_cobbler.sites.nodes_sandbox import NodesSandbox, run_there
from pytest_cobbler.sites.outputs import Bounded, Reader, Taken
from pytest_cobbler.sites.records import PlaceRecord, PlaceRecords
from pytest_cobbler.sites.sessions import NodeSession

__all__ = ["NodesOf", "RemotePlace"]

_KILLED: Final = 128 + 9


class NodesOf(Protocol):
    """What a place needs of its site."""

    records: PlaceRecords
    archives: Path | None

    def connect(self, name: str, node: str = "") -> tuple[NodeSession, dict[str, Any]]: ...

    def forget(self, name: str) -> None: ...


class RemotePlace:
    """A place on a node. Without a ``session`` it makes one when it is used."""

    def __init__(
        self,
        site: NodesOf,
        generation: str,
        record: PlaceRecord,
        facts: dict[str, Any] | None,
        session: NodeSession | None,
        begun: dict[str, Any],
    ) -> None:
        self._site = site
        self.generation = generation
        self._record = record
        self._facts = facts or {}
        self._session = session
        self._begun = begun
        self._is_lost = False
        self._unreached: SandboxError | None = None
        self.purpose: dict[str, str] = dict(record.purpose)

    def is_there(self) -> bool:
        """Whether the node has its files. The session ends with this call.

        Raises:
            SandboxError: the node does not answer.
        """
        try:
            return self._connected() is not None
        finally:
            self._disconnect()

    def _connected(self) -> NodeSession | None:
        """The session; ``None`` if the node has no such place, or is lost."""
        if self._is_lost:
            return None
        if self._session is None and self._site.archives:
            return None
        if self._session is None:
            if self._unreached:  # each try takes a minute, and the next run tries it again
                raise self._unreached
            try:
                session, self._begun = self._site.connect(self.name, self._record.node)
            except SandboxError as error:
                self._unreached = error
                raise
            facts = session.call("leftover", name=self.name)
            if facts is None:
                session.close()
                return None
            self._session, self._facts = session, facts
            self.purpose = facts["purpose"]
        return self._session

    def _disconnect(self) -> None:
        if self._session:
            self._session.close()
            self._session = None

    def _call(self, name: str, /, **arguments: Any) -> Any:
        session = self._connected()
        if session is None:
            raise SandboxError(f"the node {self._record.node} has no place {self.name}")
        return session.call(name, **arguments)

    @property
    def name(self) -> str:
        return self._record.name

    @property
    def node(self) -> str:
        """The node that has the place."""
        return self._record.node

    @property
    def parent(self) -> str:
        return self._record.parent

    @property
    def tree_id(self) -> str:
        return self._record.tree_id

    @property
    def location(self) -> Path:
        return Path(self._facts["location"])

    @property
    def checkout(self) -> Path:
        return Path(self._facts["checkout"])

    @property
    def directory(self) -> str:
        return str(self._facts["directory"])

    @property
    def output(self) -> Path:
        return Path(self._facts["output"])

    @property
    def home(self) -> Path:
        return Path(self._facts["home"])

    @property
    def sandbox(self) -> Sandbox:
        return NodesSandbox(self._begun, self.node, self._run)

    @property
    def has_files(self) -> bool:
        try:
            return bool(self._call("has_files"))
        except SandboxError:
            return False

    def _run(self, job: Job, cancellation: Cancellation | None) -> Completed:
        if cancellation and cancellation.requested:
            return Completed(status=_KILLED, cause=Ending.CANCELLED, seconds=0.0, stderr="")
        session = self._connected()
        if session is None:
            raise NotStarted(f"the node {self.node} has no place {self.name}")
        completed = run_there(session, "run", job, cancellation)
        self._is_lost = completed.cause == Ending.LOST
        if self._is_lost or (completed.cause != Ending.EXITED and session.is_over):
            self._disconnect()
        return completed

    def put(self, name: str, content: bytes) -> Path:
        with self._given(content) as more:
            return Path(self._call("put", name=name, flows={"content": more[0]}, feed=more[1]))

    @contextlib.contextmanager
    def _given(self, content: bytes) -> Iterator[tuple[Flow, Callable[[], None]]]:
        """A flow for a call, and the function that writes ``content`` to it."""
        session = self._connected()
        if session is None:
            raise SandboxError(f"the node {self.node} has no place {self.name}")
        flow = session.flow()

        def feed() -> None:
            flow.write(content)
            flow.finish()

        yield flow, feed

    def take(self, path: str, most: int) -> bytes:
        content = Taken(most)
        self._fetch("take", content, "content", path=path, most=most)
        return bytes(content.data)

    def find(self, pattern: str) -> str:
        return str(self._call("find", pattern=pattern))

    def renew_home(self, notes: Mapping[str, str], files: Mapping[str, bytes]) -> None:
        sizes = [(name, len(content)) for name, content in files.items()]
        with self._given(b"".join(files.values())) as more:
            flows = {"contents": more[0]}
            self._call("renew_home", notes=dict(notes), files=sizes, flows=flows, feed=more[1])
        self.purpose.update(notes)

    def pack(
        self, output: IO[bytes], left_out: Sequence[str], cancellation: Cancellation | None = None
    ) -> None:
        taken = Bounded(output)
        self._fetch("pack", taken, "pack", cancellation=cancellation, left_out=list(left_out))
        output.flush()

    def _fetch(self, name: str, sink: Any, what: str, /, **arguments: Any) -> None:
        """Call the node's half for something long."""
        session = self._connected()
        if session is None:
            raise SandboxError(f"the node {self.node} has no place {self.name}")
        flow = session.flow()
        reader = Reader(flow, sink.write, threading.Lock(), lambda: None)
        try:
            session.call(name, flows={what: flow}, **arguments)
        finally:
            reader.join()
        if reader.problem:
            raise reader.problem

    def keep(self, why: str, *, again: bool = False) -> Path:
        if self._site.archives:
            record = replace(self._record, purpose=self.purpose)
            where = keep_archive(self._site.archives, record, why, self._archive)
            self._disconnect()
            self._site.forget(self.name)
            return where
        where = Path(self._call("keep", why=why, again=again))
        self._disconnect()
        if again:
            self._site.records.write(replace(self._record, aside=True, purpose=self.purpose))
        else:
            self._site.forget(self.name)
        return where

    def _archive(self, output: IO[bytes]) -> None:
        self._fetch("archive", output, "archive")

    def remove(self) -> None:
        """Remove it; the files of a node that is gone are removed by the run that finds them."""
        try:
            self._call("remove")
        except SandboxError:
            self._disconnect()
            if self._site.archives is None:
                return
        self._disconnect()
        self._site.forget(self.name)
