"""The protocol of the places of gates: where the files of a tree lie that is tested, here or on a node."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Engine, Sandbox

__all__ = ["GatePlace", "GatePlaces"]


@dataclass(frozen=True, kw_only=True)
class GatePlace:
    """The files of exactly one tree in ``path``, which jobs of ``sandbox`` see through an overlay or a copy.

    ``entry`` is the name of a file or directory in the project there; empty if there is none. ``node`` has
    the files; it is empty for this machine.
    """

    path: Path
    sandbox: Sandbox
    entry: str
    node: str = ""


class GatePlaces(Protocol):
    """Places for gates that run beside each other; thread-safe."""

    def engine(self, image: str | None) -> Engine:
        """What runs the jobs; ``image`` as for ``Sandbox.engine``.

        Raises:
            SandboxError: it does not work, or has no such image.
        """
        ...

    def on(self, tree: str, cancellation: Cancellation) -> AbstractContextManager[GatePlace]:
        """A place with ``tree`` that no other gate uses inside of the block; waits for one.

        Raises:
            RepositoryError: the files could not be written.
            SandboxError: there is no such place, because of its engine or its node.
        """
        ...

    def remove(self) -> None:
        """Remove the files of all of them."""
        ...
