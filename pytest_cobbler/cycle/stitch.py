"""The way of one task: claim, attempts, landing, record. Runs in a thread of its own; knows no pytest."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.cycle.attempt import Attempt, Start, run_attempt, scrubbed
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.prompts import Feedback
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.files import read_tail
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.lifecycle.joining import joins_base
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.recordings.files import place_of_task
from pytest_cobbler.recordings.turns import Point
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.report.journal import timestamp
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import drop_attempts, keep_attempt, kept_attempts
from pytest_cobbler.repository.checks import Refusal, check_change
from pytest_cobbler.repository.landing import Merge, land, merge, size_of
from pytest_cobbler.repository.markers import marked_files
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.tracker.base import AlreadyClaimed, Task

STEPS_SHOWN = 40
"""Steps of the agent in a report; the transcript has all."""

CONTINUED = frozenset(
    {"gate", "conflict", "timeout", "idle", "killed", "cancelled", "limited", "landing", "interrupted"}
)
"""Causes after which a new run goes on from the kept work instead of afresh."""

FINAL = frozenset({"cancelled", "limited", "no-change", "landing"})
"""Causes that a further attempt would not mend."""

_KINDS = {"conflict": "conflict", "gate": "gate", "refused": "refused", "harvest": "harvest"}


@dataclass(frozen=True, kw_only=True)
class Landing:
    """What the landing lane made of a commit: ``commit`` is set exactly when the tip was moved to it."""

    commit: str = ""
    merged: Merge | None = None
    gate: GateResult | None = None
    gate_seconds: float = 0.0
    seconds: float = 0.0
    cause: str = ""
    error: CobblerError | None = None
    refusals: tuple[Refusal, ...] = ()


class Stitching:
    """One task on its way. Call it once, in a thread that holds a slot; afterwards give the slot back."""

    def __init__(self, run: Run, task: Task, on_step: Callable[[str], None] | None = None) -> None:
        self._run = run
        self._task = task
        self._on_step = on_step
        self._record = Record(started_at=timestamp())
        self._has_slot = True
        self._place = str(place_of_task(task.title))
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)
        self._earlier: list[Attempt] = []
        self._base = ""
        """The commit of the base that the task is to merge, if that is the task."""

    def __call__(self) -> Outcome:
        """The outcome, of which nothing is left to do but to report it."""
        try:
            outcome = self._work()
        finally:
            self._run.turns.over(self._place)
        return replace(outcome, record=self._record, transcript_tail="\n".join(self._steps))

    @property
    def record(self) -> Record:
        """What it has used so far."""
        return self._record

    def give_slot(self) -> None:
        """Give the slot back, if it still has it."""
        if self._has_slot:
            self._has_slot = False
            self._run.slots.give()

    def _step(self, text: str) -> None:
        self._steps.append(text)
        if self._on_step:
            self._on_step(text)

    # -- the task

    def _work(self) -> Outcome:
        run, task = self._run, self._task
        waited = time.monotonic()
        try:
            run.tracker.claim(task.id, run.claim).result()
        except AlreadyClaimed as error:
            return Outcome(verdict=Verdict.BLOCKED, cause="claimed", summary=error.cause)
        self._count(queue_seconds=time.monotonic() - waited)
        run.journal.write("claim", task=task.id)
        try:
            outcome = self._attempts()
        except BaseException as error:
            if landed := run.finished.get(task.id):
                self._close(Outcome(verdict=Verdict.LANDED, commit=landed.commit))
            else:
                run.tracker.release(task.id, run.scrub(f"cobbler failed: {error}"))
            raise
        if outcome.verdict is Verdict.LANDED:
            self._close(outcome)
        else:
            run.tracker.release(task.id, self._comment(outcome))
            run.journal.write("release", task=task.id, outcome=outcome.verdict, summary=outcome.summary)
        return outcome

    def _attempts(self) -> Outcome:
        run = self._run
        make_start, remaining = self._first_start, run.config.max_attempts
        while True:
            if run.cancellation.requested:
                return _cancelled()
            number = run.next_number(self._task.id)
            start = self._begin(number, make_start)
            if start is None:
                return _cancelled()
            attempt = self._attempt(number, start)
            if not attempt.cause:
                self.give_slot()
                landing = self._land(attempt)
                if landing.commit:
                    return self._landed(attempt, landing)
                attempt = scrubbed(run, self._not_landed(attempt, landing))
                self._note_broken_off(attempt)
            self._keep(attempt)
            remaining -= 1
            played = attempt.result
            if not played.broken_off and (not remaining or attempt.cause in FINAL or played.final):
                return self._failed(attempt)
            self._earlier.append(attempt)
            if run.turns.is_resumed(self._place, number):
                make_start, remaining = self._first_start, run.config.max_attempts
            else:
                make_start = partial(self._next_start, attempt)

    def _note_broken_off(self, attempt: Attempt) -> None:
        """For a recording, which has the agent's end, and not that of its landing."""
        if self._run.recorder and attempt.cause in ("cancelled", "landing"):
            self._run.recorder.break_off(PurePosixPath(self._place, str(attempt.number)), attempt.cause)

    def _begin(self, number: int, make_start: Callable[[], Start]) -> Start | None:
        """What an attempt starts from, once it has its turn and a slot; ``None``: the run is cancelled."""
        run, point = self._run, Point("begin", self._place, number)
        waited = time.monotonic()
        if run.turns.must_wait(point):
            self.give_slot()
            run.turns.wait(point, run.cancellation)
        if not self._has_slot and not run.slots.wait(run.cancellation):
            return None
        self._has_slot = True
        self._count(queue_seconds=time.monotonic() - waited)
        with run.turns.passing(point):
            return replace(make_start(), surroundings=run.surroundings)

    def _first_start(self) -> Start:
        """The tip; merged with what an earlier run kept, or with the base if that is the task."""
        if joins_base(self._task):
            return self._start_with_base()
        tip = self._run.tip()
        kept = kept_attempts(self._run.repository, self._run.generation.name, self._task.id)
        if kept and kept[-1].cause in CONTINUED:
            last = kept[-1]
            feedback = self._feedback(last.cause, f"an earlier attempt ended: {last.cause}", last.evidence)
            return self._start_from(last.commit, feedback)
        return Start(parent=tip, tree=self._run.repository.tree_of(tip))

    def _next_start(self, attempt: Attempt) -> Start:
        feedback = self._feedback(attempt.cause, attempt.error, attempt.evidence, attempt.paths)
        if attempt.commit:
            return self._start_from(attempt.commit, feedback)
        afresh = replace(feedback, continues=False)
        if self._base:
            return self._start_with_base(afresh)
        tip = self._run.tip()
        return Start(parent=tip, tree=self._run.repository.tree_of(tip), feedback=afresh)

    def _start_with_base(self, feedback: Feedback | None = None) -> Start:
        """The base of this moment, merged with the tip."""
        base = self._run.generation.base
        commit = self._run.repository.read_ref(names.branch_ref(base))
        if commit is None:
            raise RepositoryError(f"there is no branch {base} to merge")
        self._base = commit
        return self._start_from(commit, feedback)

    def _start_from(self, commit: str, feedback: Feedback | None) -> Start:
        """Earlier work, or the base, merged with the tip of this moment, conflict markers and all."""
        repository = self._run.repository
        merged = merge(repository, self._run.tip(), commit)
        parent = merged.tip
        if self._base:  # what an agent changes, and is refused for, is what differs from the merge
            parents, message = [merged.tip, self._base], "The merge that is to be resolved\n"
            parent = repository.commit(merged.tree, parents, message, self._run.identity)
        if merged.conflicts and feedback:
            theirs = self._titles_between(commit, merged)
            feedback = replace(feedback, files=merged.conflicts, theirs=theirs)
            if feedback.kind != "conflict":
                said = f"{feedback.summary}; since then the work conflicts with what landed"
                feedback = replace(feedback, kind="conflict", summary=said)
        # Not only of this merge: the work may have begun with markers and never cleared them.
        marked = {*merged.conflicts, *marked_files(repository.objects, merged.tip, merged.tree)}
        return Start(parent=parent, tree=merged.tree, marked=tuple(sorted(marked)), feedback=feedback)

    def _titles_between(self, commit: str, merged: Merge) -> tuple[str, ...]:
        landed = trailers.landed_tasks(self._run.repository, f"{commit}^..{merged.tip}")
        return tuple(one.title for one in landed.values())

    def _feedback(self, cause: str, summary: str, evidence: str, paths: tuple[str, ...] = ()) -> Feedback:
        kind = _KINDS.get(cause, "agent")
        return Feedback(kind=kind, summary=summary, evidence=informative(evidence), files=paths)  # type: ignore[arg-type]

    # -- one attempt

    def _attempt(self, number: int, start: Start) -> Attempt:
        transcript = self._run.attempt_directory(self._task.id, number) / "transcript.jsonl"

        def note(result: AgentResult) -> None:
            if not self._steps:
                self._steps.append(read_tail(transcript))
            self._record = self._record.with_attempt(result, transcript)

        return run_attempt(self._run, self._task, number, start, on_step=self._step, on_result=note)

    def _land(self, attempt: Attempt) -> Landing:
        """Wait for the landing lane."""
        asked = time.monotonic()
        point = Point("land", self._place, attempt.number)
        self._run.turns.wait(point, self._run.cancellation)
        landing = self._run.landing.submit(self._land_in_lane, attempt).result()
        self._count(
            gate_seconds=landing.gate_seconds,
            landing_seconds=landing.seconds - landing.gate_seconds,
            queue_seconds=max(0.0, time.monotonic() - asked - landing.seconds),
        )
        return landing

    def _land_in_lane(self, attempt: Attempt) -> Landing:
        point = Point("land", self._place, attempt.number)
        began = time.monotonic()
        try:
            landing = self._try_to_land(attempt, point)
            return replace(landing, seconds=time.monotonic() - began)
        except CobblerError as error:  # podman, git: not the work's fault, which is kept
            return Landing(cause="landing", error=error)
        except OSError as error:  # the disk
            said = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            return Landing(cause="landing", error=CobblerError(said))
        finally:
            self._run.turns.passed(point)

    def _try_to_land(self, attempt: Attempt, point: Point) -> Landing:
        """Merge, gate, compare-and-swap; again if another process has moved the tip meanwhile."""
        run, task = self._run, self._task
        gate_seconds = 0.0
        while not run.cancellation.requested:
            merged = merge(run.repository, run.tip(), attempt.commit)
            run.journal.write(
                "merge", task=task.id, tip=merged.tip, tree=merged.tree, conflicts=merged.conflicts
            )
            if merged.conflicts:
                return Landing(merged=merged, cause="conflict", gate_seconds=gate_seconds)
            # That the base is merged is a change, even where nothing of it stays.
            if not self._base and merged.tree == run.repository.tree_of(merged.tip):
                return Landing(merged=merged, cause="no-change", gate_seconds=gate_seconds)
            if refusals := self._merged_refusals(attempt, merged):
                return Landing(merged=merged, cause="refused", refusals=refusals, gate_seconds=gate_seconds)
            log = run.attempt_directory(task.id, attempt.number) / "gate.log"
            result = run.gate.run(run.checkout.move(merged.tree), log, run.cancellation)
            gate_seconds += result.seconds
            run.journal.write(
                "gate",
                task=task.id,
                tree=merged.tree,
                passed=result.passed,
                summary="" if result.passed else result.summary,
                seconds=round(result.seconds, 3),
            )
            if not result.passed:
                cause = "cancelled" if result.cause == "cancelled" else "gate"
                return Landing(merged=merged, gate=result, cause=cause, gate_seconds=gate_seconds)
            message = self._message(attempt)
            with run.turns.passing(point):
                commit = land(
                    run.repository, run.generation.ref, merged, message, run.identity, base=self._base
                )
            if commit:
                run.finished.add(Landed(commit=commit, task=task.id, title=task.title, run=run.claim.run))
                run.journal.write("land", task=task.id, commit=commit)
                return Landing(commit=commit, merged=merged, gate_seconds=gate_seconds)
        return Landing(cause="cancelled", gate_seconds=gate_seconds)

    def _merged_refusals(self, attempt: Attempt, merged: Merge) -> tuple[Refusal, ...]:
        """What the merge itself brings in: it follows renames, to paths where no check has looked."""
        repository = self._run.repository
        if merged.tree == repository.tree_of(attempt.commit):
            return ()
        # What the base has may be anything: it is trusted.
        before = merge(repository, merged.tip, f"{attempt.commit}^").tree if self._base else merged.tip
        return check_change(repository.objects, before, merged.tree, self._run.policy())[1]

    def _message(self, attempt: Attempt) -> str:
        said: dict[str, object] = {
            trailers.TASK: self._task.id,
            trailers.GENERATION: self._run.generation.name,
            trailers.ATTEMPT: attempt.number,
            trailers.RUN: self._run.claim.run,
        }
        said |= self._record.usage.to_trailers()
        if attempt.result.session_id:
            said["Cobbler-Session"] = attempt.result.session_id
        message = trailers.message(self._run.repository, self._task.title, self._task.description, said)
        return self._run.scrub(message)

    # -- the outcome

    def _landed(self, attempt: Attempt, landing: Landing) -> Outcome:
        run = self._run
        assert landing.merged is not None
        size = size_of(run.repository, landing.merged.tip, landing.commit)
        self._record = replace(
            self._record,
            files=size.files,
            insertions=size.insertions,
            deletions=size.deletions,
            lines_before=run.lines.at(landing.merged.tip),
            lines_after=run.lines.at(landing.commit),
        )
        moved = drop_attempts(run.repository, run.generation.name, self._task.id)
        moved += self._drop_task_branch(attempt)
        return Outcome(
            verdict=Verdict.LANDED,
            summary=f"landed in {landing.commit[:12]}",
            details="\n".join(
                [*attempt.notes, *(f"not deleted, because it was moved: {ref}" for ref in moved)]
            ),
            commit=landing.commit,
        )

    def _close(self, outcome: Outcome) -> None:
        run, task = self._run, self._task
        record = self._record.as_json("stitch", commit=outcome.commit, generation=run.generation.name)
        run.tracker.comment(task.id, record)
        run.tracker.close_task(task.id, f"landed in {outcome.commit}")
        run.journal.write("close", task=task.id, commit=outcome.commit)

    def _not_landed(self, attempt: Attempt, landing: Landing) -> Attempt:
        merged, gate = landing.merged, landing.gate
        if landing.cause == "conflict" and merged:
            files = ", ".join(merged.conflicts)
            return replace(
                attempt,
                cause="conflict",
                error=f"conflict with the tip in {files}",
                evidence=merged.messages,
                paths=merged.conflicts,
            )
        if landing.refusals:
            return replace(
                attempt,
                cause="refused",
                error=f"refused after the merge: {landing.refusals[0]}",
                evidence="\n".join(map(str, landing.refusals)),
                paths=tuple(refusal.path for refusal in landing.refusals if refusal.path),
            )
        if landing.cause == "gate" and gate:
            return replace(attempt, cause="gate", error=f"gate: {gate.summary}", evidence=gate.output)
        if landing.error:
            said = f"landing: {landing.error.cause}"
            return replace(attempt, cause="landing", error=said, evidence=str(landing.error))
        if landing.cause == "no-change":
            return replace(attempt, cause="no-change", error="no change: the tip has all of it already")
        return replace(attempt, cause="cancelled", error="cancelled")

    def _keep(self, attempt: Attempt) -> None:
        """Keep work that did not land."""
        if not attempt.commit:
            return
        run = self._run
        ref = keep_attempt(
            run.repository,
            run.generation.name,
            self._task.id,
            attempt.number,
            commit=attempt.commit,
            title=self._task.title,
            cause=attempt.cause,
            evidence=f"{attempt.error}\n\n{informative(attempt.evidence)}".strip(),
            identity=run.identity,
        )
        self._drop_task_branch(attempt)
        run.journal.write("keep", task=self._task.id, attempt=attempt.number, ref=ref, cause=attempt.cause)

    def _drop_task_branch(self, attempt: Attempt) -> tuple[str, ...]:
        """Delete the task branch, whose commit is safe elsewhere; its ref if another process moved it."""
        ref = names.branch_ref(names.task_branch(self._run.generation.name, self._task.id))
        moved = self._run.repository.delete_refs({ref: attempt.commit})
        for name in moved:
            self._run.journal.write("moved", task=self._task.id, ref=name)
        return moved

    def _failed(self, attempt: Attempt) -> Outcome:
        where = self._where(attempt)
        earlier = [f"attempt {one.number}: {one.error}" for one in self._earlier]
        parts = (informative(attempt.evidence), *earlier, *attempt.notes, where)
        details = "\n".join(part for part in parts if part)
        verdicts = {"cancelled": Verdict.CANCELLED, "limited": Verdict.LIMITED}
        summary = attempt.error
        if all(one.cause == "no-change" for one in (*self._earlier, attempt)):
            hint = self._run.close_hint.format(self._task.id)
            summary = f"{attempt.error}; if it is done already: {hint}"
        return Outcome(
            verdict=verdicts.get(attempt.cause, Verdict.FAILED),
            cause=attempt.cause,
            summary=summary,
            details=details,
            until=attempt.result.limited_until,
        )

    def _where(self, attempt: Attempt) -> str:
        """Where the work can be found."""
        if attempt.kept_at:
            return f"The work is kept in {attempt.kept_at}"
        if attempt.commit:
            ref = names.attempt_ref(self._run.generation.name, self._task.id, attempt.number)
            return f"The work is kept as {ref}"
        return ""

    def _comment(self, outcome: Outcome) -> str:
        record = self._record.as_json(
            "stitch",
            outcome=outcome.verdict,
            cause=outcome.cause,
            summary=outcome.summary,
            generation=self._run.generation.name,
        )
        return f"{outcome.verdict}: {outcome.summary}\n{record}"

    # -- bookkeeping

    def _count(self, **seconds: float) -> None:
        record = self._record
        more = {name: getattr(record, name) + value for name, value in seconds.items()}
        self._record = replace(record, **more)


def _cancelled() -> Outcome:
    return Outcome(verdict=Verdict.CANCELLED, cause="cancelled", summary="cancelled")
