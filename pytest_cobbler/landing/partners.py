"""The change with which another one fails, if each passes without the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.causes import Ending
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.gate_runs import Verdict
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.landing import Merge, merge_change
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import Landed, landed_commits

__all__ = ["Pairing", "Partners"]


@dataclass(kw_only=True)
class Pairing:
    """Why a change fails: with ``partner``, or without one by itself.

    ``again`` is another verdict on the same tree, if the first one had not been confirmed by any other run.
    ``seconds`` are those of all runs.
    """

    partner: Landed | None = None
    again: Verdict | None = None
    cancelled: bool = False
    seconds: float = 0.0


class Partners:
    """Finds partners among the changes that landed since the work on a change began.

    The gate runs on the change without them, and if it passes, with some of them: a bisection.
    """

    def __init__(self, repository: Repository, gate: TreeGate, cancellation: Cancellation) -> None:
        self._repository = repository
        self._gate = gate
        self._cancellation = cancellation

    def find(self, commit: str, merged: Merge, log: Path, *, is_confirmed: bool) -> Pairing:
        """Find the partner of ``commit``, on whose merge with the tip the gate has failed.

        Args:
            log: the file of that gate's output; those of further runs are beside it.
            is_confirmed: that gate ran because of this change alone.

        Raises:
            SandboxError: a job could not be run at all.
        """
        repository, found = self._repository, Pairing()
        base = repository.objects.text("merge-base", merged.tip, commit)
        landed = self._landed(f"{base}..{merged.tip}")
        green, red = 0, len(landed)
        is_known = is_confirmed
        if landed and not self._passes(found, repository.tree_of(commit), log.with_name("gate-alone.log")):
            return found
        while red - green > 1 and not found.cancelled:
            middle = (green + red + 1) // 2
            with_some = merge_change(repository, landed[middle - 1].commit, commit)
            if with_some.conflicts:
                break
            if self._passes(found, with_some.tree, log.with_name("gate-partners.log")):
                green = middle
            else:
                red, is_known = middle, True
        if found.cancelled:
            return found
        if not is_known:
            found.again = self._gate.record(merged.tree, log, self._cancellation)
            self._count(found, found.again[0])
            if found.again[0].passed:
                return found
        found.partner = landed[red - 1] if red - green == 1 else None
        return found

    def _landed(self, revisions: str) -> list[Landed]:
        """The landed commits on the branch itself: a merge of the base may bring those of others."""
        git = self._repository.objects
        own = set(git.text("rev-list", "--first-parent", "--end-of-options", revisions).split())
        return [landed for landed in landed_commits(self._repository, revisions) if landed.commit in own]

    def _passes(self, found: Pairing, tree: str, log: Path) -> bool:
        return self._count(found, self._gate.run(tree, log, self._cancellation)).passed

    def _count(self, found: Pairing, result: GateResult) -> GateResult:
        found.seconds += result.seconds
        found.cancelled = found.cancelled or result.cause == Ending.CANCELLED
        return result
