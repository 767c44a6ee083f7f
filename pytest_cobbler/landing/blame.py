"""Whether a red gate is the fault of the change, of the tip itself, or of tests that fail now and then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.tip import Tip, check_tip
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecord, failing
from pytest_cobbler.languages import Language
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository

__all__ = ["Blame", "RedGates"]


@dataclass(frozen=True, kw_only=True)
class Blame:
    """Where the fault of a red gate lies; if nothing is set, with the change.

    ``flaky``: everything that failed has also failed and passed on the tip. ``tip`` is the gate that failed
    on the tip, twice. ``was_green``: it had passed there before. ``cancelled``: the run ended meanwhile.
    ``seconds`` are those of the runs on the tip.
    """

    flaky: bool = False
    tip: Tip | None = None
    was_green: bool = False
    cancelled: bool = False
    seconds: float = 0.0


class RedGates:
    """Finds the fault of each red gate, by the records of the tip. Called from one thread at a time.

    The gate runs on the tip if it has no record of a run that passed. It also does if no gate has passed
    since the one that failed began: what the record says may no longer be so.
    """

    def __init__(
        self, gate: TreeGate, repository: Repository, language: Language, cancellation: Cancellation
    ) -> None:
        self._gate = gate
        self._repository = repository
        self._language = language
        self._cancellation = cancellation
        self._passed: datetime | None = None
        """When the latest gate began that passed, on any tree."""

    def see(self, record: TreeRecord | None) -> None:
        """Take note of a gate that has passed; of others, nothing is noted."""
        if record and record.passed:
            self._passed = max(record.made, self._passed or record.made)

    def explain(self, tip: str, result: GateResult, began: datetime, log: Path) -> Blame:
        """Find the fault of ``result``, a gate that did not pass on a change that was merged with ``tip``.

        Args:
            began: when this gate began, or the first one that failed with this change among others.
            log: the file of that gate's output; those of runs on the tip are beside it.

        Raises:
            SandboxError: a job could not be run at all.
        """
        tree = self._repository.tree_of(tip)
        failed = failing(result.failed, result.tests)
        known = self._gate.passed(tree)
        if known and failed and failed <= set(known.flaky):
            return Blame(flaky=True)
        is_doubted = self._passed is None or self._passed <= began
        seconds = 0.0
        for name in ("gate-tip.log", "gate-tip-again.log"):
            found = self._check(tree, log.with_name(name), again=is_doubted)
            seconds += found.result.seconds if found.result else 0.0
            if found.result and found.result.cause == Ending.CANCELLED:
                return Blame(cancelled=True, seconds=seconds)
            if not found.is_red:
                self.see(found.record)
                now = self._gate.passed(tree)
                flaky = now is not None and bool(failed) and failed <= set(now.flaky)
                return Blame(flaky=flaky, seconds=seconds)
        return Blame(tip=found, was_green=known is not None, seconds=seconds)

    def _check(self, tree: str, log: Path, *, again: bool) -> Tip:
        return check_tip(
            self._gate, self._repository, self._language, tree, log, self._cancellation, again=again
        )
