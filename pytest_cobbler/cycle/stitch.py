"""One task from claim to record: claim, attempts, landing, record. Runs in its own thread, without pytest."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pytest_cobbler.agents.base import AgentResult, OnStep
from pytest_cobbler.agents.claims import bounded
from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.attempt import Attempt, left_notes, run_attempt, scrubbed
from pytest_cobbler.cycle.evidence import evidence, place_of_work
from pytest_cobbler.cycle.kept import attempt_of
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.patience import Followers, stopped
from pytest_cobbler.cycle.releasing import release
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.signatures import note_fault
from pytest_cobbler.cycle.starts import Start, Starts, cut_off
from pytest_cobbler.cycle.stated import message_of, work_of
from pytest_cobbler.cycle.unlanded import failure_of, not_landed, write_ending
from pytest_cobbler.files import read_tail
from pytest_cobbler.landing.candidates import Candidate, Landing, Train
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.lifecycle.choices import Choice
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.lifecycle.waiting import refusals_of
from pytest_cobbler.recordings.files import place_of_task
from pytest_cobbler.recordings.turns import Point
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.report.journal import timestamp
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.attempts import KeptAttempt, drop_attempts, keep_attempt
from pytest_cobbler.repository.landing import Merge, size_of
from pytest_cobbler.repository.trailers import Landed
from pytest_cobbler.tracker.base import AlreadyClaimed, Task
from pytest_cobbler.usage import NOTHING, Usage

STEPS_SHOWN = 40
"""The agent's last steps, for a report; the transcript has all steps."""
_MOST_LOST = 3  # attempts of one task that are not counted


class Stitching:
    """The work on one task. Call it once, in a thread that holds a slot; afterwards give the slot back.

    Args:
        choice: the agents that may work on it.
        slot: the agent for which it holds one.
    """

    def __init__(
        self, run: Run, task: Task, choice: Choice, slot: str, on_step: OnStep | None = None
    ) -> None:
        self._run = run
        self._task = task
        self._on_step = on_step
        self._record = Record(started_at=timestamp())
        self._starts = Starts(run.project, task, run.sessions)
        self._choice, self._slot = choice, slot
        self._is_shared = False
        self._followers = Followers(run.healths, task.id, choice.agents)
        self._place = place_of_task(task.title)
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)
        self._earlier: list[Attempt] = []
        self._unsigned: tuple[str, ...] = ()

    def __call__(self) -> Outcome:
        """Do the task; return its outcome, which only has to be reported."""
        try:
            outcome = self._work()
        finally:
            self._run.turns.over(str(self._place))
            self._run.waiting.pop(self._task.id, None)
        return replace(outcome, record=self._record, transcript_tail="\n".join(self._steps))

    @property
    def record(self) -> Record:
        """What the task has used so far."""
        return self._record

    def give_slot(self) -> None:
        """Give the slot back, if it still has it."""
        if self._slot:
            self._run.slots.give(self._slot)
            self._slot = ""

    # -- the task

    def _work(self) -> Outcome:
        run, task, tracker = self._run, self._task, self._run.ledger.tracker
        began = time.monotonic()
        try:
            tracker.claim(task.id, run.ledger.claim).result()
        except AlreadyClaimed as error:
            return Outcome(verdict=Verdict.BLOCKED, cause=Cause.CLAIMED, summary=error.cause)
        self._record = self._record.counting(queue_seconds=time.monotonic() - began)
        run.listener.claimed(task.id)
        try:
            outcome = self._attempts()
        except BaseException as error:
            if landed := run.ledger.finished.get(task.id):
                self._close(Outcome(verdict=Verdict.LANDED, commit=landed.commit))
            else:
                tracker.release(task.id, run.ledger.scrub(f"cobbler failed: {error}"))
            raise
        if outcome.verdict is Verdict.LANDED:
            self._close(outcome)
        else:
            why = release(run, task.id, outcome, self._record, is_shared=self._is_shared)
            outcome = replace(outcome, details="\n".join(filter(None, [outcome.details, why])))
        return outcome

    def _attempts(self) -> Outcome:
        run = self._run
        make_start, remaining = self._starts.first, run.project.config.max_attempts
        if kept := run.waiting.get(self._task.id):
            outcome = self._land_kept(kept)
            if isinstance(outcome, Outcome):
                return outcome
            make_start = outcome
        while True:
            if run.cancellation.requested:
                return _cancelled()
            number = run.ledger.numbers.next(self._task.id)
            start = self._begin(number, make_start)
            if start is None:
                return self._not_begun()
            self._followers.begin(self._slot)
            again = any(not failed.result.limited for failed in self._earlier)
            by = run.parts.agents.of(self._slot, self._choice.model_for(self._slot, again=again))
            on_result = partial(self._spend, number, self._slot)
            attempt = run_attempt(run, self._task, number, start, by, on_step=self._step, on_result=on_result)
            if attempt.cause:
                self._is_shared = note_fault(run, self._task.id, attempt)
            else:
                self.give_slot()
                ended = self._ended(attempt, self._land(attempt))
                if isinstance(ended, Outcome):
                    return ended
                attempt = ended
            self._keep(attempt)
            is_free = self._is_free(attempt)
            remaining -= not is_free
            if not is_free and self._is_last(attempt, remaining):
                return self._failed(attempt)
            self._earlier.append(attempt)
            if run.turns.is_resumed(str(self._place), number):
                make_start, remaining = self._starts.first, run.project.config.max_attempts
            elif attempt.commit or not is_free:
                make_start = partial(self._start_after, attempt)
            else:
                make_start = partial(cut_off, make_start, attempt.number, attempt.summary)

    def _is_free(self, attempt: Attempt) -> bool:
        """Whether the API or its node cut the attempt short, and another agent goes on from its work."""
        if attempt.cause is Cause.LOST:
            return [one.cause for one in self._earlier].count(Cause.LOST) < _MOST_LOST
        if not attempt.result.limited:
            return False
        if self._run.turns.broken_off(self._place / str(attempt.number)):
            return True
        if not self._followers.goes_on(attempt.result):
            return False
        self.give_slot()
        self._show(f"waits for an API that serves: {attempt.summary}")
        return True

    def _is_last(self, attempt: Attempt, remaining: int) -> bool:
        """Whether no further attempt follows."""
        turns, number = self._run.turns, attempt.number
        is_followed = attempt.did_nothing and turns.is_followed(str(self._place), number)
        is_last = not remaining or (attempt.ends_the_item and not is_followed)
        return is_last and not turns.broken_off(self._place / str(number))

    def _not_begun(self) -> Outcome:
        """The end of a task whose next attempt does not begin, because the run ends."""
        run, last = self._run, self._earlier[-1] if self._earlier else None
        if run.cancellation.requested:
            return _cancelled()
        if last and (last.result.limited or run.faults.stop):
            return self._failed(last)
        stop = self._followers.stop
        return stopped(stop, "\n".join(self._headlines()), again=True) if stop else _cancelled()

    def _begin(self, number: int, make_start: Callable[[], Start]) -> Start | None:
        """The start of an attempt, once it has its turn and a slot; ``None``: the run is cancelled."""
        run, point = self._run, Point("begin", str(self._place), number)
        began = time.monotonic()
        if run.turns.must_wait(point):
            self.give_slot()
            run.turns.wait(point, run.cancellation)
        self._slot = self._slot or run.slots.wait(run.cancellation, self._followers.names)
        if not self._slot or run.faults.stop:
            return None
        self._record = self._record.counting(queue_seconds=time.monotonic() - began)
        with run.turns.passing(point):
            left, red = self._starts.left(), run.landing.red
            return replace(make_start(), left=left, surroundings=run.view.current, red=red)

    def _start_after(self, attempt: Attempt) -> Start:
        return self._starts.after(
            attempt.commit,
            attempt.base,
            cause=attempt.cause,
            summary=attempt.summary,
            details=attempt.details,
            number=attempt.number,
            paths=attempt.paths,
        )

    # -- landing

    def _land_kept(self, kept: KeptAttempt) -> Outcome | Callable[[], Start]:
        """Land finished work of an earlier run; no agent is asked, and no attempt is counted.

        Returns:
            the outcome, or the start of the agent that goes on from the work.
        """
        run = self._run
        self.give_slot()
        cost = replace(Usage.from_trailers(kept.trailers), attempts=1)
        if kept.cause is Cause.INTERRUPTED:  # its run died before it could write down the cost
            self._record = replace(self._record, usage=self._record.usage + cost)
        else:
            self._record = replace(self._record, kept=cost)
        attempt = attempt_of(kept)
        refusals = refusals_of(run.project.repository, kept, run.parts.protection.policy())
        landing = Landing(cause=Cause.REFUSED, refusals=refusals) if refusals else self._land(attempt)
        ended = self._ended(attempt, landing)
        run.waiting.pop(self._task.id, None)
        if isinstance(ended, Outcome):
            return ended
        self._keep(ended)
        self._record = replace(self._record, kept=NOTHING)
        if ended.cause in (Cause.CANCELLED, Cause.LANDING) or not run.asks_agents:
            return self._failed(ended)
        self._earlier.append(ended)
        return self._starts.first if ended.cause is Cause.NO_CHANGE else partial(self._start_after, ended)

    def _ended(self, attempt: Attempt, landing: Landing) -> Outcome | Attempt:
        """The outcome of work that landed; else the attempt with the reason."""
        run = self._run
        notes = map(run.ledger.scrub, (*landing.notes, *self._unsigned))
        tests = landing.record.summary if landing.record else ""
        flaky = landing.record.flaky_tests if landing.record else ""
        attempt = replace(attempt, notes=(*attempt.notes, *notes), tests=tests, flaky=flaky)
        if landing.commit:
            run.faults.landed()
            write_ending(run, self._task, attempt)
            return self._landed(attempt, landing)
        self._is_shared = note_fault(run, self._task.id, attempt, landing)
        attempt = scrubbed(run, not_landed(attempt, landing))
        write_ending(run, self._task, attempt)
        run.listener.not_landed(failure_of(self._task, attempt))
        facts = {trailers.TIP: landing.merged.tip if landing.merged else ""}
        if landing.record:
            facts[trailers.CONDITIONS] = landing.record.conditions.digest
        return replace(attempt, facts={**attempt.facts, **facts})

    def _land(self, attempt: Attempt) -> Landing:
        """Wait for the landing lane."""
        run = self._run
        point = Point("land", str(self._place), attempt.number)
        candidate = Candidate(
            task_id=self._task.id,
            commit=attempt.commit,
            base=attempt.base,
            policy=run.parts.protection.policy(),
            log=run.ledger.numbers.directory(self._task.id, attempt.number) / "gate.log",
            message=partial(self._message, attempt),
            statement=partial(self._statement, attempt),
            on_landed=self._note_landed,
            moving=partial(run.turns.passing, point),
            begins=partial(self._show, "in the gate"),
            decided=partial(run.turns.passed, point),
        )
        queued = time.monotonic()
        self._show("waits for the gate")
        run.listener.queued(self._task.id, attempt.number)
        run.turns.wait(point, run.cancellation)
        landing = run.landing.land(candidate)
        self._record = self._record.counting(
            gate_seconds=landing.gate_seconds,
            landing_seconds=landing.seconds - landing.gate_seconds,
            queue_seconds=max(0.0, time.monotonic() - queued - landing.seconds),
        )
        return landing

    def _note_landed(self, commit: str) -> None:
        task, ledger = self._task, self._run.ledger
        ledger.finished.add(Landed(commit=commit, task=task.id, title=task.title, run=ledger.claim.run))
        self._unsigned = self._run.notary.landed(task.id, commit)

    def _message(
        self, attempt: Attempt, notes: tuple[str, ...], record: TreeRecord | None, train: Train | None
    ) -> str:
        usage = self._record.kept + self._record.usage
        return message_of(self._run, self._task, attempt, usage, notes, record, train)

    def _statement(
        self,
        attempt: Attempt,
        commit: str,
        merged: Merge,
        record: TreeRecord | None,
        train: Train | None,
    ) -> bytes:
        return self._run.notary.state(work_of(self._run, self._task, attempt), commit, merged, record, train)

    # -- outcomes

    def _landed(self, attempt: Attempt, landing: Landing) -> Outcome:
        run, repository = self._run, self._run.project.repository
        assert landing.merged is not None
        size = size_of(repository, landing.merged.tip, landing.commit)
        self._record = replace(
            self._record,
            files=size.files,
            insertions=size.insertions,
            deletions=size.deletions,
            lines_before=run.lines.at(landing.merged.tip),
            lines_after=run.lines.at(landing.commit),
        )
        run.sessions.drop(self._task.id)
        moved = drop_attempts(repository, run.project.generation.name, self._task.id)
        moved += self._drop_task_branch(attempt)
        notes = self._notes(attempt)
        tests = [f"tests: {attempt.tests}"] if attempt.tests else []
        tests += [f"flaky: {attempt.flaky}"] if attempt.flaky else []
        train = landing.train
        with_others = f" (train of {train.size}, gated as {train.commit[:12]})" if train else ""
        return Outcome(
            verdict=Verdict.LANDED,
            summary=f"landed in {landing.commit[:12]}{with_others}",
            details="\n".join(
                [*tests, *notes, *(f"not deleted, because it was moved: {ref}" for ref in moved)]
            ),
            commit=landing.commit,
            train=train.size if train else 0,
            gated=train.commit if train else "",
            notes=notes,
            tests=attempt.tests,
            flaky=attempt.flaky,
        )

    def _close(self, outcome: Outcome) -> None:
        run, task = self._run, self._task
        generation = run.project.generation.name
        record = self._record.as_json("stitch", commit=outcome.commit, generation=generation)
        run.ledger.tracker.close_task(task.id, f"landed in {outcome.commit}", record)
        run.listener.closed(task.id, outcome.commit)

    def _keep(self, attempt: Attempt) -> None:
        """Keep work that did not land."""
        if not attempt.commit:
            return
        project = self._run.project
        ref = keep_attempt(
            project.repository,
            project.generation,
            self._task.id,
            attempt.number,
            commit=attempt.commit,
            title=self._task.title,
            cause=attempt.cause,
            details=f"{attempt.summary}\n\n{informative(attempt.details)}".strip(),
            identity=project.identity,
            facts=attempt.facts,
        )
        self._drop_task_branch(attempt)
        self._run.listener.kept(self._task.id, attempt.number, ref, attempt.cause)

    def _drop_task_branch(self, attempt: Attempt) -> tuple[str, ...]:
        """Delete the task branch, whose commit is kept; return its ref if another process moved it."""
        project = self._run.project
        ref = names.branch_ref(names.task_branch(project.generation.name, self._task.id))
        moved = project.repository.delete_refs({ref: attempt.commit})
        for name in moved:
            self._run.listener.ref_moved(self._task.id, name)
        return moved

    def _failed(self, attempt: Attempt) -> Outcome:
        run = self._run
        if not attempt.cause.continues:
            run.sessions.drop(self._task.id)
        earlier = self._headlines(attempt)
        notes = self._notes(attempt)
        shown = (
            *evidence(run, self._task.id, attempt),
            *earlier,
            *notes,
            place_of_work(run, self._task.id, attempt),
        )
        summary = attempt.headline
        if all(failed.did_nothing for failed in (*self._earlier, attempt)):
            hint = run.ledger.close_hint.format(self._task.id)
            summary = f"{summary}; if the task is already done: {hint}"
        stop = run.healths.stop if attempt.cause is Cause.PROMPT else None  # all prompts are too long
        return Outcome(
            verdict=Verdict.LIMITED if stop else attempt.verdict,
            cause=attempt.cause,
            summary=summary,
            details="\n".join(part for part in shown if part),
            notes=notes,
            tests=attempt.tests,
            flaky=attempt.flaky,
            until=bounded(attempt.result.limited_until),
            limit_is_claimed=attempt.result.limit_is_claimed,
        )

    def _headlines(self, last: Attempt | None = None) -> list[str]:
        """Why the attempts before the last one did not land."""
        earlier = (failed for failed in self._earlier if failed is not last)
        return [f"attempt {failed.number}: {failed.headline}" for failed in earlier]

    def _notes(self, attempt: Attempt) -> tuple[str, ...]:
        """The notes on an attempt, after those on the agents of the earlier ones."""
        scrub = self._run.ledger.scrub
        earlier = (
            f"attempt {failed.number}: {scrub(note)}"
            for failed in self._earlier
            for note in failed.result.notes
        )
        named = "\n".join(attempt.notes)
        left = [work for work in self._starts.left() if work.ref not in named]
        return (*earlier, *attempt.notes, *map(scrub, left_notes(left)))

    # -- bookkeeping

    def _step(self, text: str) -> bool | None:
        self._steps.append(text)
        return self._on_step(text) if self._on_step else False

    def _show(self, text: str) -> None:
        if self._on_step:
            self._on_step(text)

    def _spend(self, number: int, agent: str, result: AgentResult, node: str) -> None:
        transcript = self._run.ledger.numbers.directory(self._task.id, number) / "transcript.jsonl"
        if not self._steps:
            self._steps.append(read_tail(transcript))
        self._record = self._record.with_attempt(result, transcript, agent, node)


def _cancelled() -> Outcome:
    return Outcome(verdict=Verdict.CANCELLED, cause=Cause.CANCELLED, summary="cancelled")
