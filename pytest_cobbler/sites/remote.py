"""Other machines as a site: each place is on a node, which a channel reaches."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import KEPT
from pytest_cobbler.sandbox.site import Place, Site, Unreached
from pytest_cobbler.sites.channel import Channel
from pytest_cobbler.sites.objects import feed, write_pack
from pytest_cobbler.sites.patience import Patience, now
from pytest_cobbler.sites.records import PlaceRecord, places_on_nodes
from pytest_cobbler.sites.remote_place import RemotePlace
from pytest_cobbler.sites.sessions import Gone, NodeSession
from pytest_cobbler.sites.shipping import program
from pytest_cobbler.sites.used import UsedNodes

__all__ = ["NodeSandbox", "RemoteSite"]

REPOSITORY, RUN = "repository", "run"
"""Labels of what runs on nodes."""

_REACHED: Final = 60.0
"""Seconds in which a node has to answer that has the files of a dead run."""


@dataclass(frozen=True, kw_only=True)
class NodeSandbox:
    """The settings of the sandbox on nodes; ``image`` is empty for jobs without one.

    ``files`` is the directory for places that a pod's two containers share; empty where there are no pods.
    ``forbidden`` are addresses that a pod must not reach.
    """

    image: str
    repository: str
    run_id: str
    arguments: tuple[str, ...] = ()
    user_namespaces: bool = False
    files: str = ""
    forbidden: tuple[tuple[str, int], ...] = ()


class RemoteSite:
    """The places of one generation on nodes.

    Args:
        directory: where nodes keep objects and files, each below its own name.
        engine: the word of the configuration for that of the nodes.
        here: this machine, where gates run, and where agents worked before ``sandbox`` was changed.
        alone, left_out: as for ``LocalSite``.
        cancellation: ends the waiting for a node.
    """

    def __init__(
        self,
        repository: Repository,
        generation: str,
        channel: Channel,
        sandbox: NodeSandbox,
        directory: Path,
        *,
        engine: str = "slurm",
        here: Site | None = None,
        alone: bool = False,
        left_out: Sequence[str] = (),
        patience: Patience | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._repository = repository
        self._generation = generation
        self._channel = channel
        self._sandbox = sandbox
        self._directory = directory
        self._engine = engine
        self._here = here
        self._alone = alone
        self._left_out = tuple(left_out)
        self.patience = patience or Patience()
        self._cancellation = cancellation or Cancellation()
        self._pins = Pins(repository, generation)
        self.archives = repository.work_dir / KEPT / generation if sandbox.files else None
        """Where files are kept of places that do not outlive their node's half; ``None``: they do."""
        self.records = places_on_nodes(repository, generation)
        self._began = now()
        self._silent: dict[str, str] = {}
        """Nodes that have not answered, each with the reason."""

    @property
    def _labels(self) -> dict[str, str]:
        return {REPOSITORY: self._sandbox.repository, RUN: self._sandbox.run_id}

    def open(
        self,
        name: str,
        *,
        parent: str,
        tree: str,
        purpose: Mapping[str, str],
        also: Sequence[str] = (),
        packs_early: bool = True,
    ) -> RemotePlace:
        self.records.create(name)
        session: NodeSession | None = None
        try:
            self._pins.hold(name, {"parent": parent, "tree": tree})
            session, begun = self.connect(name)
            record = PlaceRecord(
                name=name,
                node=session.node,
                parent=parent,
                tree_id=tree,
                purpose=dict(purpose),
                engine=self._engine,
            )
            if self.archives is None:
                self.records.write(record)
            facts = self._check_out(session, begun["known"], record, also, packs_early=packs_early)
            return RemotePlace(self, self._generation, record, facts, session, begun)
        except BaseException:
            if session:
                session.close()
            self.forget(name)
            raise

    def connect(self, name: str, node: str = "") -> tuple[NodeSession, dict[str, Any]]:
        """Start a node's half, by default on any node; returns it and what it has said of itself.

        Raises:
            SandboxError: the engine failed, or no node is there.
        """
        command = program(str(self._directory))
        stream = self._channel.open(f"cobbler-{name}", self._labels, command, node)
        left = _Waiting(_REACHED if node else None, self._cancellation)
        session = NodeSession(stream, self.patience, left)
        shallow = self._repository.shallow
        try:
            begun = session.call(
                "begin",
                repository=self._repository.key,
                object_format=self._repository.object_format,
                directory=self._repository.directory.path,
                shallow=shallow.read_text("utf-8") if self._repository.is_shallow else "",
                sandbox=asdict(self._sandbox),
                site={"generation": self._generation, "alone": self._alone, "left_out": self._left_out},
                lease=self.patience.lease,
            )
        except BaseException as error:
            session.close()
            if isinstance(error, Gone):
                raise NotStarted("the node's half did not start", evidence=error.evidence) from error
            raise
        session.node = begun["node"]
        if self.archives is None:
            UsedNodes(self._repository).add(self._engine, session.node)
        return session, begun

    def _check_out(
        self,
        session: NodeSession,
        known: Sequence[str],
        record: PlaceRecord,
        also: Sequence[str],
        *,
        packs_early: bool,
    ) -> dict[str, Any]:
        """Send the objects that the node lacks, and make the place there."""
        with tempfile.TemporaryFile(dir=self._repository.work_dir) as pack:
            write_pack(self._repository, [record.parent, record.tree_id, *also], known, pack)
            flow = session.flow()
            facts: dict[str, Any] = session.call(
                "open",
                flows={"pack": flow},
                feed=lambda: feed(flow, pack),
                name=record.name,
                parent=record.parent,
                tree=record.tree_id,
                purpose=dict(record.purpose),
                also=list(also),
                packs_early=packs_early,
            )
        return facts

    def forget(self, name: str) -> None:
        """Let go the record and the pins of a place."""
        self.records.remove(name)
        self._pins.release(name)

    def leftovers(self) -> list[Place]:
        places: list[Place] = [*self._here.leftovers()] if self._here else []
        for record in self._of_engine():
            if record.aside:
                continue
            with self._noting_silence(record.node):
                place = RemotePlace(self, self._generation, record, None, None, {})
                if place.is_there():
                    places.append(place)
                else:
                    self.forget(record.name)
        self._wait_for_the_end()
        return places

    def _of_engine(self) -> list[PlaceRecord]:
        """The places that this engine reaches, except on nodes that have not answered in this run."""
        return [
            record
            for record in self.records.all()
            if record.engine == self._engine and record.node not in self._silent
        ]

    @contextlib.contextmanager
    def _noting_silence(self, node: str) -> Iterator[None]:
        """Note that a node does not answer. The next run asks it again."""
        try:
            yield
        except SandboxError as error:
            self._silent[node] = error.cause

    def _wait_for_the_end(self) -> None:
        """Wait until no job of an earlier run can be at work on a node that does not answer.

        Its last heartbeat from a coordinator came before this run began.
        """
        p = self.patience
        late = [one for one in self.records.all() if one.node in self._silent and not one.is_over]
        over = self._began + p.lease + p.kill + p.slack
        while late and now() < over and not self._cancellation.requested:
            threading.Event().wait(min(1.0, max(0.0, over - now())))
        if not self._cancellation.requested:
            for record in late:
                self.records.write(replace(record, is_over=True))

    def unreached(self) -> list[Unreached]:
        found = []
        for record in self.records.all():
            if record.engine != self._engine:
                found.append(record.unreached())
            elif record.node in self._silent:
                found.append(record.unreached(f"which does not answer: {self._silent[record.node]}"))
        return found

    def take_back(self, is_done: Callable[[str], bool]) -> set[str]:
        names = self._here.take_back(is_done) if self._here else set()
        for record in self._of_engine():
            task = record.purpose.get("task", "")
            if not record.aside or is_done(task):
                continue
            with self._noting_silence(record.node):
                session, _ = self.connect(record.name, record.node)
                with contextlib.closing(session):
                    if record.name in session.call("take_back", task=task):
                        names.add(record.name)
                self.records.write(replace(record, aside=False))
        return names

    def release_pins(self) -> None:
        if self._here:
            self._here.release_pins()
        else:
            self._pins.release_others({record.name for record in self.records.all()})

    def check(self) -> str:
        """Start a node's half on any node, and a job in it; returns what the node says of itself.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        session, begun = self.connect("check")
        with contextlib.closing(session):
            session.call("check")
        return f"node {session.node}: {begun['engine']}"

    def sweep(self) -> list[str]:
        swept = self._here.sweep() if self._here else []
        listed = self._channel.list({REPOSITORY: self._sandbox.repository})
        dead = [one for one, labels in listed.items() if labels.get(RUN) != self._sandbox.run_id]
        if dead:
            self._channel.end(dead)
            threading.Event().wait(self.patience.end)  # a container outlives the node's half for a moment
        return swept + dead

    def close(self) -> None:
        if self._here:
            self._here.close()


class _Waiting:
    """Whether to go on waiting for a node."""

    def __init__(self, seconds: float | None, cancellation: Cancellation) -> None:
        self._timer = threading.Event()
        self._cancellation = cancellation
        if seconds is not None:
            timer = threading.Timer(seconds, self._timer.set)
            timer.daemon = True
            timer.start()

    def __call__(self) -> bool:
        return not self._timer.is_set() and not self._cancellation.requested
