"""The gate on trees of the repository, each with its record."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tree_records import TreeRecord, TreeRecords
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.directories import Owner
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.repository import Repository

__all__ = ["GateCheckouts", "TreeGate"]


class GateCheckouts:
    """The checkouts of gates that run beside each other. Each is made when it is needed.

    Args:
        name: of the first one; the others have a number, too.
        most: how many there may be.
    """

    def __init__(self, repository: Repository, name: str, owner: Owner, most: int = 1) -> None:
        self._repository = repository
        self._owner = owner
        self._free = [name, *(f"{name}~{number}" for number in range(2, most + 1))]
        self._made: dict[str, GateCheckout] = {}
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def one(self) -> Iterator[GateCheckout]:
        """A checkout that no other gate uses inside of the block; wait for one."""
        with self._changed:
            while not self._free:
                self._changed.wait()
            name = self._free.pop(0)
        try:
            if name not in self._made:
                self._made[name] = GateCheckout(self._repository, name, self._owner)
            yield self._made[name]
        finally:
            with self._changed:
                self._free.insert(0, name)
                self._changed.notify()

    def remove(self) -> None:
        for checkout in self._made.values():
            checkout.remove()


@dataclass(frozen=True, kw_only=True)
class TreeGate:
    """Runs ``gate`` in ``checkouts``; ``records`` keeps what is found out about a tree. Thread-safe."""

    gate: Gate
    checkouts: GateCheckouts
    records: TreeRecords

    def run(self, tree: str, log: Path, cancellation: Cancellation) -> GateResult:
        """Run the gate on exactly ``tree``.

        Raises:
            SandboxError: the job could not be run at all.
        """
        with self.checkouts.one() as checkout:
            return self.gate.run(checkout.move(tree), log, cancellation)

    def record(
        self, tree: str, log: Path, cancellation: Cancellation
    ) -> tuple[GateResult, TreeRecord | None]:
        """Run the gate, and keep the record; there is none if it has no steps or was cancelled.

        Raises:
            SandboxError: the job could not be run at all.
        """
        conditions = self.gate.conditions() if self.gate.steps else None
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
        record = self.records.find(tree, self.gate.conditions())
        return record if record and record.passed else None
