"""The gate on trees of the repository, each with its record."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tree_records import TreeRecord, TreeRecords
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.worktrees import GateCheckout

__all__ = ["TreeGate"]


@dataclass(frozen=True, kw_only=True)
class TreeGate:
    """Runs ``gate`` in ``checkout``; ``records`` keeps what is found out about a tree."""

    gate: Gate
    checkout: GateCheckout
    records: TreeRecords

    def run(self, tree: str, log: Path, cancellation: Cancellation) -> GateResult:
        """Run the gate on exactly ``tree``.

        Raises:
            SandboxError: the job could not be run at all.
        """
        return self.gate.run(self.checkout.move(tree), log, cancellation)

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
