"""The gate on trees of the repository, each with its record."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tree_records import Conditions, TreeRecord, TreeRecords
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.gate_checkout import GateCheckout, first_entry
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Engine, Sandbox
from pytest_cobbler.sandbox.gate_places import GatePlace, GatePlaces

__all__ = ["GateCheckouts", "TreeGate"]

_MOST_LOST: Final = 3
"""Runs of one gate whose node was lost; then the nodes are taken for the cause."""


class GateCheckouts:
    """The checkouts of gates that run beside each other on this machine. Each is made when it is needed.

    Args:
        name: of the first one; the others have a number, too.
        most: how many there may be.
    """

    def __init__(self, repository: Repository, name: str, sandbox: Sandbox, most: int = 1) -> None:
        self._repository = repository
        self._sandbox = sandbox
        self._free = [name, *(f"{name}~{number}" for number in range(2, most + 1))]
        self._made: dict[str, GateCheckout] = {}
        self._changed = threading.Condition()

    def engine(self, image: str | None) -> Engine:
        return self._sandbox.engine(image)

    @contextlib.contextmanager
    def on(self, tree: str, _cancellation: Cancellation) -> Iterator[GatePlace]:
        with self._changed:
            while not self._free:
                self._changed.wait()
            name = self._free.pop(0)
        try:
            if name not in self._made:
                self._made[name] = GateCheckout(self._repository, name, self._sandbox.owner)
            path = self._made[name].move(tree)
            entry = first_entry(path, self._repository.directory)
            yield GatePlace(path=path, sandbox=self._sandbox, entry=entry)
        finally:
            with self._changed:
                self._free.insert(0, name)
                self._changed.notify()

    def remove(self) -> None:
        for checkout in self._made.values():
            checkout.remove()


@dataclass(frozen=True, kw_only=True)
class TreeGate:
    """Runs ``gate`` in ``places``; ``records`` keeps what is found out about a tree. Thread-safe."""

    gate: Gate
    places: GatePlaces
    records: TreeRecords

    def conditions(self) -> Conditions:
        """What decides on a result besides the tree.

        Raises:
            SandboxError: the engine does not work.
        """
        return self.gate.conditions(self.places.engine(self.gate.image))

    def run(self, tree: str, log: Path, cancellation: Cancellation) -> GateResult:
        """Run the gate on exactly ``tree``; again if the node of a run was lost.

        Raises:
            SandboxError: the job could not be run at all.
        """
        result = None
        for _ in range(_MOST_LOST):
            with self.places.on(tree, cancellation) as place:
                gate = self.gate.within(place.sandbox)
                result = replace(gate.run(place.path, log, cancellation, place.entry), node=place.node)
            if result.cause != Ending.LOST:
                return result
        assert result
        raise SandboxError(
            f"the gate did not end: {_MOST_LOST} nodes in turn were lost, the last one was {result.node}",
            "Look at the nodes of gate_site, then run the same command again.",
        )

    def record(
        self, tree: str, log: Path, cancellation: Cancellation
    ) -> tuple[GateResult, TreeRecord | None]:
        """Run the gate, and keep the record; there is none if it has no steps or was cancelled.

        Raises:
            SandboxError: the job could not be run at all.
        """
        conditions = self.conditions() if self.gate.steps else None
        made = datetime.now(UTC)
        result = self.run(tree, log, cancellation)
        if conditions is None or result.cause == Ending.CANCELLED:
            return result, None
        record = result.record(tree, conditions, made).after(self.records.find(tree, conditions))
        with contextlib.suppress(OSError):  # a record that is not kept is made again
            self.records.keep(record)
        return result, record

    def passed(self, tree: str) -> TreeRecord | None:
        """The kept record of a run that passed under the conditions of today, if there is one."""
        record = self.records.find(tree, self.conditions())
        return record if record and record.passed else None
