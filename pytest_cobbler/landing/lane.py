"""The landing lane: one change at a time is merged with the tip, built, tested and landed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.judge import Judgement, Passed, TestJudge
from pytest_cobbler.landing.tip import Red, Tip
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import UNKNOWN, TreeRecord
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import names
from pytest_cobbler.repository.checks import Change, Policy, Refusal, check_change, read_change, review_notes
from pytest_cobbler.repository.generations import Generation, current_tip, refuse_checked_out
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.landing import Merge, land, merge, merge_change
from pytest_cobbler.repository.pins import LANDING, Pins
from pytest_cobbler.repository.repository import Repository

__all__ = ["Candidate", "Landing", "LandingLane"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A commit to land.

    ``base`` is the commit of the base that it merges, if that is the task. ``message`` makes the message of
    the landed commit from the notes on the change and the record of its tree (``None`` without a gate), once
    the gate has passed. ``statement`` makes the note of that commit from its id, the merge and that record.
    The gate's output goes to ``log``. ``on_landed`` is called with the landed commit before any listener.
    ``begins`` is called when it is the candidate's turn, ``decided`` when it has landed or failed; ``moving``
    is held while the branch moves. All run in the thread of the lane.
    """

    task_id: str
    commit: str
    policy: Policy
    log: Path
    message: Callable[[tuple[str, ...], TreeRecord | None], str]
    on_landed: Callable[[str], None]
    statement: Callable[[str, Merge, TreeRecord | None], bytes] | None = None
    base: str = ""
    moving: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    begins: Callable[[], None] = lambda: None
    decided: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class Landing:
    """The result of a candidate: ``commit`` is set exactly when the tip was moved to it.

    Otherwise ``cause`` is the reason: a conflict, no change, a refusal, the gate, a cancellation, or
    ``Cause.LANDING`` with the ``error`` of git, podman or the disk, which the change did not cause.
    ``hidden`` names the tests that the change keeps from running, if the gate passed without them. A change
    that leaves the failures of the tip as they are may land, too; then ``gate`` and ``record`` have failed.
    Seconds are wall time in the lane; ``gate_seconds`` are a part of ``seconds``. ``notes`` are for people
    who review the change, whether it landed or not. ``record`` is that of the merged tree; ``None`` if the
    gate has not run, was cancelled, or has no steps.
    """

    commit: str = ""
    merged: Merge | None = None
    gate: GateResult | None = None
    record: TreeRecord | None = None
    gate_seconds: float = 0.0
    seconds: float = 0.0
    cause: Cause = Cause.NONE
    error: CobblerError | None = None
    refusals: tuple[Refusal, ...] = ()
    hidden: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class LandingLane:
    """Lands candidates in the order in which they arrive, in its own thread.

    Args:
        generation: only this lane moves its branch.
        identity: signs the landed commits.
        judge: judges the tests of each change that passed the gate.
        red_gates: finds the fault of each gate that failed.
        refuses_weakened: whether a change with weaker tests does not land.
    """

    def __init__(
        self,
        repository: Repository,
        generation: Generation,
        identity: Identity,
        gate: TreeGate,
        judge: TestJudge,
        red_gates: RedGates,
        listener: RunListener,
        cancellation: Cancellation,
        *,
        refuses_weakened: bool = False,
    ) -> None:
        self._repository = repository
        self._generation = generation
        self._pins = Pins(repository, generation.name)
        self._identity = identity
        self._gate = gate
        self._judge = judge
        self._red_gates = red_gates
        self._refuses_weakened = refuses_weakened
        self._listener = listener
        self._cancellation = cancellation
        self.red: Red | None = None
        """What fails on the tip, if it may fail."""
        self.stopped: CobblerError | None = None
        """Why nothing lands any more, if that is so."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cobbler-landing")

    def land(self, candidate: Candidate) -> Landing:
        """Queue a candidate and wait for its end."""
        return self._thread.submit(self._land, candidate).result()

    def close(self) -> None:
        """Wait for the candidate that is in the lane."""
        self._thread.shutdown()
        self._pins.release(LANDING)

    def _land(self, candidate: Candidate) -> Landing:
        began = time.monotonic()
        candidate.begins()
        try:
            landing = self._try_to_land(candidate)
        except CobblerError as error:  # podman or git failed, not the work, which is kept
            landing = Landing(cause=Cause.LANDING, error=error)
        except OSError as error:  # the disk failed
            line = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            landing = Landing(cause=Cause.LANDING, error=CobblerError(line))
        finally:
            candidate.decided()
        return replace(landing, seconds=time.monotonic() - began)

    def _try_to_land(self, candidate: Candidate) -> Landing:
        """Merge, gate, compare-and-swap; again if another process has moved the tip meanwhile."""
        repository, gate_seconds = self._repository, 0.0
        while not self._cancellation.requested:
            self._refuse_checked_out()
            if self.stopped:
                return Landing(cause=Cause.LANDING, error=self.stopped)
            tip = current_tip(repository, self._generation)
            merged = (merge if candidate.base else merge_change)(repository, tip, candidate.commit)
            self._listener.merged(candidate.task_id, merged)
            landing = Landing(merged=merged, gate_seconds=gate_seconds)
            if merged.conflicts:
                return replace(landing, cause=Cause.CONFLICT)
            # A merge of the base is a change even if the tree stays the same: it has another parent.
            if not candidate.base and merged.tree == repository.tree_of(merged.tip):
                return replace(landing, cause=Cause.NO_CHANGE)
            before = self._before(candidate, merged)
            if merged.tree != repository.tree_of(candidate.commit):
                self._pins.hold(LANDING, {"before": before, "tree": merged.tree})
            change, refusals = self._checked(candidate, merged, before)
            if refusals:
                return replace(landing, cause=Cause.REFUSED, refusals=refusals)
            landing = replace(landing, notes=review_notes(change, candidate.policy))
            landing = self._gated(candidate, merged, landing)
            gate, gate_seconds = landing.gate, landing.gate_seconds
            if landing.cause or gate is None:
                return landing
            landing = replace(landing, notes=(*landing.notes, *_known_failures(gate), *gate.notes))
            landing = replace(landing, notes=(*landing.notes, *self._missing_report(gate)))
            judgement = self._judge.judge(
                Passed(
                    merged=merged,
                    before=before,
                    base=candidate.base,
                    paths=tuple(os.fsdecode(entry.path) for entry in change.entries),
                    result=gate,
                    log=candidate.log,
                )
            )
            gate_seconds += judgement.seconds
            landing = replace(
                _judged(landing, judgement, refuses_weakened=self._refuses_weakened),
                gate_seconds=gate_seconds,
            )
            if landing.cause:
                return landing
            if commit := self._move(candidate, merged, landing):
                return replace(landing, commit=commit)
        return Landing(cause=Cause.CANCELLED, gate_seconds=gate_seconds)

    def _checked(
        self, candidate: Candidate, merged: Merge, before: str
    ) -> tuple[Change, tuple[Refusal, ...]]:
        """What the merge brings in, checked: it follows renames, to paths that were not checked before."""
        git = self._repository.objects
        if merged.tree == self._repository.tree_of(candidate.commit):
            return read_change(git, before, merged.tree), ()
        return check_change(git, before, merged.tree, candidate.policy)

    def _before(self, candidate: Candidate, merged: Merge) -> str:
        """The tree before the change: the tip, merged with the base (trusted) if that is the task."""
        if not candidate.base:
            return merged.tip
        return merge(self._repository, merged.tip, f"{candidate.commit}^").tree

    def _gated(self, candidate: Candidate, merged: Merge, landing: Landing) -> Landing:
        """``landing`` with the gate of the merged tree, and with a cause unless the change may land."""
        gate, record = self._run_gate(candidate, merged)
        landing = _with_gate(landing, gate, record)
        if gate.passed or self._judge.leaves_failures(merged, gate, candidate.log):
            return landing
        failed = replace(landing, cause=_cause_of(gate))
        if failed.cause is Cause.CANCELLED or self.red:  # a tip that may fail is known
            return failed
        blame = self._red_gates.explain(merged.tip, gate, candidate.log)
        failed = replace(failed, gate_seconds=failed.gate_seconds + blame.seconds)
        if blame.cancelled:
            return replace(failed, cause=Cause.CANCELLED)
        if blame.tip:
            self.stopped = _red_tip(blame.tip, was_green=blame.was_green)
            return replace(failed, cause=Cause.LANDING, error=self.stopped)
        if not blame.flaky:
            return failed
        candidate.log.replace(candidate.log.with_name("gate-flaky.log"))
        gate, record = self._run_gate(candidate, merged)
        landing = _with_gate(failed, gate, record)
        return replace(landing, cause=Cause.NONE if gate.passed else _cause_of(gate))

    def _run_gate(self, candidate: Candidate, merged: Merge) -> tuple[GateResult, TreeRecord | None]:
        result, record = self._gate.record(merged.tree, candidate.log, self._cancellation)
        self._listener.gated(
            candidate.task_id,
            merged.tree,
            passed=result.passed,
            summary="" if result.passed else result.summary,
            seconds=result.seconds,
            tests=record.summary if record else "",
        )
        return result, record

    def _missing_report(self, gate: GateResult) -> tuple[str, ...]:
        """A note if the gate should have left a report: the tested code may have kept it from doing so."""
        return (f"{UNKNOWN}: {gate.unknown}",) if self._gate.gate.collect and gate.tests is None else ()

    def _refuse_checked_out(self) -> None:
        """End the landings of this run if a person has checked the branch out meanwhile.

        Raises:
            RepositoryError: a worktree has it.
        """
        try:
            why = ", and landings would change its files"
            refuse_checked_out(self._repository, [self._generation], why)
        except RepositoryError as error:
            self.stopped = self.stopped or error
            raise

    def _move(self, candidate: Candidate, merged: Merge, landing: Landing) -> str | None:
        """Move the branch to a commit of the merged tree; ``None``: another process moved it first."""
        message = candidate.message(landing.notes, landing.record)
        state = candidate.statement
        self._refuse_checked_out()  # the gate takes minutes: look again
        with candidate.moving():
            commit = land(
                self._repository,
                self._generation.ref,
                merged,
                message,
                self._identity,
                base=candidate.base,
                pin=names.landed_ref(self._generation.name, candidate.task_id),
                statement=(lambda commit: state(commit, merged, landing.record)) if state else None,
            )
        if commit:
            self.red = Red.of(landing.record)
            candidate.on_landed(commit)
            self._listener.landed(candidate.task_id, commit)
        return commit


def _with_gate(landing: Landing, gate: GateResult, record: TreeRecord | None) -> Landing:
    return replace(landing, gate=gate, record=record, gate_seconds=landing.gate_seconds + gate.seconds)


def _cause_of(gate: GateResult) -> Cause:
    """The cause of a landing whose gate did not pass."""
    return Cause.CANCELLED if gate.cause == Ending.CANCELLED else Cause.GATE


def _red_tip(tip: Tip, *, was_green: bool) -> CobblerError:
    """What a person is told if the tip itself does not pass the gate."""
    what = "no longer passes the gate, which it passed before" if was_green else "does not pass the gate"
    return CobblerError(
        f"the tip itself {what}: {tip.why}",
        "No change is at fault. The work is kept, and lands in the next run if the gate passes then.",
        "\n".join(tip.evidence),
    )


def _known_failures(gate: GateResult) -> tuple[str, ...]:
    """A note on the failures that a change leaves as they were, if there are any."""
    failures = gate.failures
    return (f"the gate fails as it did on the tip (red_base: allow): {failures.summary}",) if failures else ()


def _judged(landing: Landing, judgement: Judgement, *, refuses_weakened: bool) -> Landing:
    """``landing`` with the reason why the judge does not let it land, if there is one."""
    if again := judgement.gate:
        return replace(landing, gate=again, cause=_cause_of(again))
    if judgement.hidden:
        return replace(landing, hidden=judgement.hidden, cause=Cause.GATE)
    if judgement.weakened and refuses_weakened:
        refusals = tuple(Refusal(reason=line) for line in judgement.weakened)
        return replace(landing, refusals=refusals, cause=Cause.REFUSED)
    return replace(landing, notes=(*landing.notes, *judgement.weakened, *judgement.notes))
