"""The removal of what nodes keep of a repository: objects, the code of the node's half, and work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sites.records import NODES, PlaceRecords
from pytest_cobbler.sites.sessions import NodeSession
from pytest_cobbler.sites.used import UsedNodes

__all__ = ["NodeFiles", "Nodes", "clean_node", "engines_of", "files_on", "forget_node"]


@runtime_checkable
class Nodes(Protocol):
    """The nodes of an engine."""

    def connect(self, name: str, node: str = "") -> tuple[NodeSession, dict[str, Any]]:
        """Start a node's half; see ``RemoteSite``."""
        ...


@dataclass(frozen=True, kw_only=True)
class NodeFiles:
    """What a node has of a repository. ``works`` are places of work that may be nowhere else.

    ``silence`` is why nothing is known, if the node does not answer.
    """

    node: str
    megabytes: float = 0.0
    works: tuple[str, ...] = ()
    silence: str = ""


def files_on(nodes: Nodes, node: str) -> NodeFiles:
    """What a node has."""
    return _asked(nodes, node, "held")


def clean_node(nodes: Nodes, node: str, *, everything: bool) -> NodeFiles:
    """Remove what a node has. Where there is work, only with ``everything``.

    Returns:
        what it had. With work that stays, it is all still there.
    """
    return _asked(nodes, node, "clean", everything=everything)


def _asked(nodes: Nodes, node: str, call: str, **arguments: Any) -> NodeFiles:
    try:
        session, _ = nodes.connect("clean", node)
        with contextlib.closing(session):
            answer = session.call(call, **arguments)
    except SandboxError as error:
        return NodeFiles(node=node, silence=error.cause)
    return NodeFiles(node=node, megabytes=answer["bytes"] / 1e6, works=tuple(answer["works"]))


def engines_of(repository: Repository, node: str) -> list[str]:
    """The engines that have a node of this name with files of the repository."""
    engines = {engine for engine, nodes in UsedNodes(repository).all().items() if node in nodes}
    for directory in (repository.work_dir / NODES).glob("*/"):
        engines |= {record.engine for record in PlaceRecords(directory).all() if record.node == node}
    return sorted(engines)


def forget_node(repository: Repository, engine: str, node: str) -> list[str]:
    """Forget a node, and the places on it of all generations; returns their names."""
    UsedNodes(repository).remove(engine, node)
    forgotten = []
    for directory in sorted((repository.work_dir / NODES).glob("*/")):
        records = PlaceRecords(directory)
        for record in records.all():
            if (record.engine, record.node) == (engine, node):
                records.remove(record.name)
                Pins(repository, directory.name).release(record.name)
                forgotten.append(f"{directory.name}/{record.name}")
    return forgotten
