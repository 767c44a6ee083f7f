"""Nodes on which gates run beside each other, and no agent works."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, NotStarted, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Completed, Engine, Job
from pytest_cobbler.sandbox.gate_places import GatePlace
from pytest_cobbler.sandbox.own_programs import SOURCE
from pytest_cobbler.sites.nodes_sandbox import NodesSandbox, run_there
from pytest_cobbler.sites.objects import feed, write_pack
from pytest_cobbler.sites.sessions import Gone, NodeSession

__all__ = ["GateNodes", "Reaches"]

_T = TypeVar("_T")
_LOOK: Final = 0.5
"""Seconds between two looks whether to go on waiting for a place."""


@runtime_checkable
class Reaches(Protocol):
    """What reaches nodes, as ``RemoteSite`` does."""

    def connect(self, name: str, node: str = "") -> tuple[NodeSession, dict[str, Any]]: ...


class GateNodes:
    """Places for gates, in turn on each of the nodes. Each is made when it is needed.

    Args:
        site: reaches the nodes.
        nodes: their names.
        most: how many gates run beside each other.
    """

    def __init__(self, repository: Repository, site: Reaches, nodes: Sequence[str], most: int) -> None:
        self._repository = repository
        self._site = site
        self._nodes = tuple(nodes)
        self._free = [_Slot(number % len(nodes)) for number in range(most)]
        self._all = tuple(self._free)
        self._changed = threading.Condition()
        self._engines: dict[str, Engine] = {}

    def engine(self, image: str | None) -> Engine:
        key = image or ""
        if key not in self._engines:
            with self._slot(Cancellation()) as slot:
                found = self._reaching(slot, lambda session: slot.engine(session, image))
            self._engines.setdefault(key, found)
        return self._engines[key]

    @contextlib.contextmanager
    def on(self, tree: str, cancellation: Cancellation) -> Iterator[GatePlace]:
        with self._slot(cancellation) as slot:
            session, facts = self._reaching(slot, lambda session: self._write(session, slot, tree))
            if facts["tree"] != tree:
                raise SandboxError(
                    f"node {session.node} has the files of the tree {facts['tree']}, and not those of {tree}",
                    "Remove what it keeps of this repository: pytest --cobbler-clean nodes --cobbler-force",
                )
            path = Path(facts["path"])

            def run(job: Job, cancellation: Cancellation | None) -> Completed:
                self._refuse_other_image(slot.engine(session, job.image), job.image, session.node)
                completed = run_there(session, "gate_run", _without_mounts(job, path), cancellation)
                if completed.cause in (Ending.LOST, Ending.KILLED) and session.is_over:
                    # Slurm ends a job at its time limit, too, and that says nothing of the tree.
                    self._turn(slot)
                    completed = replace(completed, cause=Ending.LOST)
                return completed

            sandbox = NodesSandbox(slot.begun, session.node, run)
            yield GatePlace(path=path, sandbox=sandbox, entry=str(facts["entry"]), node=session.node)

    def _refuse_other_image(self, engine: Engine, image: str | None, node: str) -> None:
        """Refuse an image that is not the one of the records."""
        other = self._engines.setdefault(image or "", engine).image
        if engine.image != other:
            raise SandboxError(
                f"the image of the gate on node {node} is {engine.image}, and on another one {other}",
                "Give all nodes of gate_site the same image.",
            )

    @contextlib.contextmanager
    def _slot(self, cancellation: Cancellation) -> Iterator[_Slot]:
        with self._changed:
            while not self._free:
                if cancellation.requested:
                    raise SandboxError("cancelled")
                self._changed.wait(_LOOK)
            slot = self._free.pop(0)
        try:
            yield slot
        finally:
            with self._changed:
                self._free.append(slot)
                self._changed.notify()

    def _reaching(self, slot: _Slot, act: Callable[[NodeSession], _T]) -> _T:
        """Do something with the node of a slot, or with the next one that can be reached."""
        for left in reversed(range(len(self._nodes) + 1)):
            try:
                return act(self._connected(slot))
            except (Gone, NotStarted):
                if not left:
                    raise
                self._turn(slot)
        raise AssertionError

    def _turn(self, slot: _Slot) -> None:
        """Let the next node have the gates of a slot."""
        slot.close()
        slot.turn = (slot.turn + 1) % len(self._nodes)

    def _write(self, session: NodeSession, slot: _Slot, tree: str) -> tuple[NodeSession, dict[str, Any]]:
        """Send a tree, and let the node write it."""
        with tempfile.TemporaryFile(dir=self._repository.work_dir) as pack:
            write_pack(self._repository, [tree], slot.known, pack)
            flow = session.flow()
            facts: dict[str, Any] = session.call(
                "gate_tree", flows={"pack": flow}, feed=lambda: feed(flow, pack), tree=tree
            )
        slot.known.append(tree)
        return session, facts

    def _connected(self, slot: _Slot) -> NodeSession:
        """The session of a slot; a new one if it has none, or if that has ended."""
        if slot.session is None or slot.session.is_over:
            slot.close()
            slot.session, slot.begun = self._site.connect("gate", self._nodes[slot.turn])
            slot.known = list(slot.begun["known"])
        return slot.session

    def check(self) -> None:
        """Start a node's half on each node, and a job in it.

        Raises:
            SandboxError: with the cause and the remedy.
        """
        for node in self._nodes:
            try:
                session, _ = self._site.connect("gate-check", node)
                with contextlib.closing(session):
                    session.call("check")
            except CobblerError as error:
                cause = f"gate_site: node {node} cannot run a gate: {error.cause}"
                raise SandboxError(cause, error.remedy, error.evidence) from error

    def remove(self) -> None:
        for slot in self._all:
            slot.close()


def _without_mounts(job: Job, path: Path) -> Job:
    """A job of a gate for a node, which has the files of the tree and this package's programs.

    Raises:
        SandboxError: it needs another file of this machine.
    """
    others = [one for one in job.mounts if one.source not in (path, SOURCE)]
    if others:
        raise SandboxError(f"the gate needs {others[0].source} of this machine, and runs on another one")
    return replace(job, mounts=())


class _Slot:
    """A place for one gate at a time: at first none, then a session with the node of its turn.

    ``known`` are the objects that the node has; ``engines`` what runs an image there, by its name.
    """

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self.session: NodeSession | None = None
        self.begun: dict[str, Any] = {}
        self.known: list[str] = []
        self.engines: dict[str, Engine] = {}

    def engine(self, session: NodeSession, image: str | None) -> Engine:
        key = image or ""
        if key not in self.engines:
            self.engines[key] = _engine_from(session.call("gate_engine", image=image))
        return self.engines[key]

    def close(self) -> None:
        if self.session:
            self.session.close()
            self.session = None


def _engine_from(facts: Mapping[str, Any]) -> Engine:
    """An engine, as its node tells it."""
    return Engine(
        runtime=str(facts["runtime"]),
        image=str(facts["image"]),
        image_digests=tuple(facts["image_digests"]),
        repositories=tuple(facts["repositories"]),
        arguments=tuple(facts["arguments"]),
    )
