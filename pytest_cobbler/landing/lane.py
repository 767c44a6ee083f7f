"""The landing lane: the changes that wait are merged, built and tested, and land, each or in trains."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.candidates import Candidate, Landing, Train
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.gate_runs import GateRuns, Verdict
from pytest_cobbler.landing.judge import Judgement, Passed, TestJudge
from pytest_cobbler.landing.merge_driver import MergeDriver
from pytest_cobbler.landing.partners import Partners
from pytest_cobbler.landing.policies import LandEach, LandingPolicy
from pytest_cobbler.landing.tip import Red, Tip
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import UNKNOWN, TreeRecord
from pytest_cobbler.landing.window import Link, Waiting, Window
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import names
from pytest_cobbler.repository.checks import Refusal
from pytest_cobbler.repository.generations import Generation, current_tip, refuse_checked_out
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.landing import Merge, Part, land_all
from pytest_cobbler.repository.pins import LANDING, Pins
from pytest_cobbler.repository.repository import Repository

__all__ = ["LandingLane"]


class LandingLane:
    """Lands candidates in the order in which they arrive.

    The candidates that wait are merged with each other, and the policy names the prefix of them whose tree
    is decided next. It lands if it passes as a whole. A prefix of one is decided for good: it lands or fails,
    merged with the tip of that moment. Meanwhile gates may run on other prefixes, and a verdict counts for
    the tree on which it was made.

    Args:
        generation: only this lane moves its branch.
        identity: signs the landed commits.
        judge: judges the tests of each change that passed the gate.
        red_gates: finds the fault of each gate that failed.
        refuses_weakened: whether a change with weaker tests does not land.
        policy: by default, each change lands by itself, and no gate runs ahead.
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
        policy: LandingPolicy | None = None,
    ) -> None:
        self._repository = repository
        self._generation = generation
        self._pins = Pins(repository, generation.name)
        self._identity = identity
        self._gate = gate
        self._judge = judge
        self._red_gates = red_gates
        self._refuses_weakened = refuses_weakened
        self._policy = policy or LandEach(1)
        self._partners = Partners(repository, gate, cancellation) if self._policy.names_partners else None
        self._listener = listener
        self._cancellation = cancellation
        self.red: Red | None = None
        """What fails on the tip, if it may fail."""
        self.stopped: CobblerError | None = None
        """Why nothing lands any more, if that is so."""
        self._window = Window(repository, self._pins, MergeDriver(gate=gate.gate, cancellation=cancellation))
        self._runs = GateRuns(gate, self._policy.gate_jobs, cancellation, self._window.tell)
        self._red: dict[str, datetime] = {}
        """Trees of prefixes of several changes that did not pass -> when the gate on them began."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cobbler-landing")

    def land(self, candidate: Candidate) -> Landing:
        """Queue a candidate and wait for its end."""
        waiting = self._window.add(candidate)
        settled = self._thread.submit(self._settle, waiting)
        self._window.wait_for(waiting)
        return waiting.landing or settled.result()

    @property
    def waiting(self) -> int:
        """How many candidates are in the lane."""
        return self._window.size

    def close(self) -> None:
        """Wait for the candidates that are in the lane."""
        self._thread.shutdown()
        self._runs.close()
        self._pins.release(LANDING)

    # -- the window

    def _settle(self, waiting: Waiting) -> Landing:
        """Decide on the first candidates until this one is decided."""
        try:
            while waiting.landing is None:
                self._step()
        finally:
            if not waiting.is_over:
                self._end(waiting, None)
        return waiting.landing

    def _step(self) -> None:
        """Decide on the first candidate, or find that the tip has moved meanwhile."""
        first = self._window.first
        self._begin(first)
        try:
            landing = self._try_to_land()
        except CobblerError as error:  # podman or git failed, not the work, which is kept
            landing = Landing(cause=Cause.LANDING, error=error)
        except OSError as error:  # the disk failed
            line = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            landing = Landing(cause=Cause.LANDING, error=CobblerError(line))
        if landing:
            self._end(first, landing)

    def _begin(self, waiting: Waiting) -> None:
        if waiting.began is None:
            waiting.began = time.monotonic()
            waiting.candidate.begins()
            self._listener.lane_entered(waiting.candidate.task_id)

    def _tell(self, link: Link) -> None:
        if not link.is_told:
            link.is_told = True
            self._listener.merged(link.candidate.task_id, link.merged)

    def _end(self, waiting: Waiting, landing: Landing | None) -> None:
        if landing:
            seconds = time.monotonic() - (waiting.began or 0.0)
            landing = replace(landing, seconds=seconds, gate_seconds=waiting.gate_seconds)
        for link in self._window.links:
            if link.waiting is waiting:
                self._runs.forget(link.tree)  # its verdict was used
        try:
            waiting.candidate.decided()
        finally:
            self._window.end(waiting, landing)

    def _try_to_land(self) -> Landing | None:
        """Merge, gate, compare-and-swap of a prefix.

        Returns:
            why the first candidate does not land; ``None`` if a prefix has landed, or something else has to
            be tried: a shorter prefix, or the same on a tip that another process has moved.
        """
        if self._cancellation.requested:
            return Landing(cause=Cause.CANCELLED)
        self._refuse_checked_out()
        if self.stopped:
            return Landing(cause=Cause.LANDING, error=self.stopped)
        tip = current_tip(self._repository, self._generation)
        links = self._window.chain(tip, self._policy.reach)
        self._tell(links[0])
        if links[0].landing.cause:
            return links[0].landing
        self._red = {link.tree: self._red[link.tree] for link in links if link.tree in self._red}
        prefixes = self._prefixes(links)
        self._runs.keep({links[length - 1].tree for length in prefixes} | self._red.keys())
        prefix = links[: prefixes[0]]
        landings = self._judged(prefix, self._gated(prefix))
        failed = next((landing for landing in landings if landing.cause), None)
        if failed and (len(prefix) == 1 or failed.cause is Cause.CANCELLED):
            return failed
        if failed:
            self._red[prefix[-1].tree] = failed.record.made if failed.record else datetime.now(UTC)
        else:
            self._move(prefix, landings)
        return None

    def _prefixes(self, links: Sequence[Link]) -> Sequence[int]:
        """What the policy says of the chain. A merge of another history goes into the gate by itself."""
        with_history = (number for number, link in enumerate(links) if link.candidate.second_parent)
        count = next(with_history, len(links)) or 1
        red = next((place for place, link in enumerate(links[:count], 1) if link.tree in self._red), 0)
        return tuple(self._policy.prefixes(count, red))

    # -- the gate

    def _gated(self, prefix: Sequence[Link]) -> Landing:
        """The gate of the prefix, and a cause unless it may land."""
        merged, log = _merged(prefix), prefix[-1].candidate.log
        gate, record = self._verdict(prefix)
        landing = Landing(merged=merged, gate=gate, record=record)
        if gate.passed or self._judge.leaves_failures(merged, gate, log):
            return landing
        failed = replace(landing, cause=_cause_of(gate))
        # A tip that may fail is known. With several changes, the fault is looked for in shorter prefixes.
        if failed.cause is Cause.CANCELLED or self.red or len(prefix) > 1:
            return failed
        # All prefixes that are known to fail have this change in them.
        began = min(self._red.values(), default=record.made if record else datetime.now(UTC))
        blame = self._red_gates.explain(merged.tip, gate, began, log)
        self._count(prefix, blame.seconds)
        if blame.cancelled:
            return replace(failed, cause=Cause.CANCELLED)
        if blame.tip:
            self.stopped = _red_tip(blame.tip, was_green=blame.was_green)
            return replace(failed, cause=Cause.LANDING, error=self.stopped)
        if not blame.flaky:
            return self._paired(prefix[0], failed)
        log.replace(log.with_name("gate-flaky.log"))
        self._runs.forget(merged.tree)
        return _with_verdict(landing, self._verdict(prefix))

    def _paired(self, link: Link, failed: Landing) -> Landing:
        """``failed`` with the change without which it passes, if the policy asks for that."""
        if self._partners is None or link.candidate.of_person:
            return failed
        commit, log = link.candidate.commit, link.candidate.log
        found = self._partners.find(commit, link.merged, log, is_confirmed=link.tree not in self._red)
        self._count([link], found.seconds)
        if found.cancelled:
            return replace(failed, cause=Cause.CANCELLED)
        failed = replace(failed, partner=found.partner)
        return _with_verdict(failed, found.again) if found.again else failed

    def _verdict(self, prefix: Sequence[Link]) -> Verdict:
        """Wait for the gate on the tree of a prefix; meanwhile gates run on those of others."""
        last = prefix[-1]
        self._start(prefix)
        while True:
            news = self._window.news
            self._look_ahead(last.tree)
            if self._runs.is_over(last.tree):
                break
            self._window.wait(news)
        result, record = self._runs.verdict(last.tree)
        self._red_gates.see(record)
        self._listener.gated(
            last.candidate.task_id,
            last.tree,
            passed=result.passed,
            summary="" if result.passed else result.summary,
            seconds=result.seconds,
            tests=record.summary if record else "",
        )
        self._count(prefix, result.seconds)
        return result, record

    def _look_ahead(self, tree: str) -> None:
        """Begin the gates of further prefixes, as far as there is room beside that on ``tree``."""
        window, policy = self._window, self._policy
        links = window.extend(policy.reach) if policy.takes_arrivals else window.links
        for length in self._prefixes(links):
            if not self._runs.has_room_beside(tree):
                break
            self._start(links[:length])

    def _start(self, prefix: Sequence[Link]) -> None:
        for link in prefix:
            self._begin(link.waiting)
            self._tell(link)
        self._runs.start(prefix[-1].tree, prefix[-1].candidate.log)

    def _count(self, prefix: Sequence[Link], seconds: float) -> None:
        """Share the time of a gate among the changes of the prefix."""
        for link in prefix:
            link.waiting.gate_seconds += seconds / len(prefix)

    # -- after the gate

    def _judged(self, prefix: Sequence[Link], landing: Landing) -> Sequence[Landing]:
        """The landing of each change with its notes, or with the reason why the judge refuses it."""
        gate, last = landing.gate, prefix[-1]
        if landing.cause or gate is None:
            return [replace(landing, notes=link.landing.notes) for link in prefix]
        notes = (*_known_failures(gate), *gate.notes, *self._missing_report(gate))
        judgement = self._judge.judge(
            Passed(
                merged=_merged(prefix),
                before=prefix[0].before,
                base=prefix[0].candidate.base,
                paths=tuple(dict.fromkeys(path for link in prefix for path in link.paths)),
                result=gate,
                log=last.candidate.log,
                between=tuple(link.tree for link in prefix[:-1]),
            )
        )
        self._count(prefix, judgement.seconds)
        own = [judgement.weakened]
        if prefix[1:]:
            own = [self._judge.weakened(link.before, link.tree) for link in prefix]
            known = {line for lines in own for line in lines}
            own[-1] = (*own[-1], *(line for line in judgement.weakened if line not in known))
        return [
            _with_judgement(
                replace(landing, merged=link.merged, notes=(*link.landing.notes, *notes)),
                replace(judgement, weakened=lines),
                refuses_weakened=self._refuses_weakened,
            )
            for link, lines in zip(prefix, own, strict=True)
        ]

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

    def _move(self, prefix: Sequence[Link], landings: Sequence[Landing]) -> None:
        """Move the branch to commits of the merged trees, unless another process has moved it."""
        merged, record, size = _merged(prefix), landings[-1].record, len(prefix)
        trains = [
            Train(place=place, size=size, tip=merged.tip, tree=merged.tree) if size > 1 else None
            for place in range(1, size + 1)
        ]
        parts = [
            Part(
                tree=link.tree,
                message=link.candidate.message(landing.notes, record, train),
                base=link.candidate.second_parent,
                pin=names.landed_ref(self._generation.name, link.candidate.task_id),
            )
            for link, landing, train in zip(prefix, landings, trains, strict=True)
        ]
        self._refuse_checked_out()  # the gate takes minutes: look again
        with contextlib.ExitStack() as stack:
            for link in reversed(prefix):  # so that they are left in the order of the commits
                stack.enter_context(link.candidate.moving())
            commits = land_all(
                self._repository,
                self._generation.ref,
                merged.tip,
                parts,
                self._identity,
                lambda commits: _statements(prefix, merged.tip, commits, record, trains),
            )
        if not commits:
            return
        self.red = Red.of(record)
        self._runs.forget(merged.tree)
        self._window.landed(size, commits[-1])
        parents = (merged.tip, *commits)
        for link, commit in zip(prefix, commits, strict=True):
            link.candidate.on_landed(commit)
            self._listener.landed(link.candidate.task_id, commit)
        for link, landing, parent, commit, train in zip(
            prefix, landings, parents, commits, trains, strict=False
        ):
            landing = replace(landing, commit=commit, merged=replace(link.merged, tip=parent))
            train = replace(train, commit=commits[-1]) if train else None
            self._end(link.waiting, replace(landing, train=train))


def _merged(prefix: Sequence[Link]) -> Merge:
    """The merge of the tip with all changes of a prefix."""
    return replace(prefix[-1].merged, tip=prefix[0].merged.tip)


def _statements(
    prefix: Sequence[Link],
    tip: str,
    commits: Sequence[str],
    record: TreeRecord | None,
    trains: Sequence[Train | None],
) -> list[bytes]:
    """The notes of the landed commits; none if they are not stated."""
    stated = []
    for link, parent, commit, train in zip(prefix, (tip, *commits), commits, trains, strict=False):
        if state := link.candidate.statement:
            train = replace(train, commit=commits[-1]) if train else None
            stated.append(state(commit, replace(link.merged, tip=parent), record, train))
    return stated


def _with_verdict(landing: Landing, verdict: Verdict) -> Landing:
    gate, record = verdict
    cause = Cause.NONE if gate.passed else _cause_of(gate)
    return replace(landing, gate=gate, record=record, cause=cause)


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


def _with_judgement(landing: Landing, judgement: Judgement, *, refuses_weakened: bool) -> Landing:
    """``landing`` with the reason why the judge does not let it land, if there is one."""
    if again := judgement.gate:
        return replace(landing, gate=again, cause=_cause_of(again))
    if judgement.hidden:
        return replace(landing, hidden=judgement.hidden, cause=Cause.GATE)
    if judgement.weakened and refuses_weakened:
        refusals = tuple(Refusal(reason=line) for line in judgement.weakened)
        return replace(landing, refusals=refusals, cause=Cause.REFUSED)
    return replace(landing, notes=(*landing.notes, *judgement.weakened, *judgement.notes))
