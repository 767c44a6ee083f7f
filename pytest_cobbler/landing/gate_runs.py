"""Runs of the gate beside each other, known by the tree on which they run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.process import Cancellation

__all__ = ["GateRuns", "Verdict"]

Verdict = tuple[GateResult, TreeRecord | None]
"""What the gate says of a tree, and the record of that."""


@dataclass(eq=False)
class _Run:
    cancellation: Cancellation
    is_over: bool = False
    verdict: Future[Verdict] = field(init=False)


class GateRuns:
    """Runs the gate in threads of its own; all else is called by one thread.

    Args:
        most: runs beside each other.
        ended: called, in any thread, when a run is over.
    """

    def __init__(
        self, gate: TreeGate, most: int, cancellation: Cancellation, ended: Callable[[], object]
    ) -> None:
        self._gate = gate
        self._most = most
        self._cancellation = cancellation
        self._ended = ended
        self._runs: dict[str, _Run] = {}
        self._under_way: list[_Run] = []
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="cobbler-gate")

    def has_room_beside(self, tree: str) -> bool:
        """Whether another run would begin now, even if that on ``tree`` was not over."""
        self._under_way = [run for run in self._under_way if not run.is_over]
        others = [run for run in self._under_way if run is not self._runs[tree]]
        return len(others) + 1 < self._most

    def start(self, tree: str, log: Path) -> None:
        """Run the gate on ``tree``, unless that is done or under way."""
        if tree in self._runs:
            return
        run = self._runs[tree] = _Run(Cancellation(self._cancellation))
        self._under_way.append(run)
        run.verdict = self._threads.submit(self._run, run, tree, log)

    def _run(self, run: _Run, tree: str, log: Path) -> Verdict:
        try:
            return self._gate.record(tree, log, run.cancellation)
        finally:
            run.is_over = True
            self._ended()

    def is_over(self, tree: str) -> bool:
        return self._runs[tree].is_over

    def verdict(self, tree: str) -> Verdict:
        """The verdict on a tree whose run is over.

        Raises:
            SandboxError: the job could not be run at all.
        """
        return self._runs[tree].verdict.result()

    def forget(self, tree: str) -> None:
        """Let the next start of the tree be another run."""
        if run := self._runs.pop(tree, None):
            run.cancellation.cancel()

    def keep(self, trees: Collection[str]) -> None:
        """End and forget the runs on all other trees."""
        for tree in self._runs.keys() - set(trees):
            self.forget(tree)

    def close(self) -> None:
        """End all runs."""
        self.keep(())
        self._threads.shutdown()
