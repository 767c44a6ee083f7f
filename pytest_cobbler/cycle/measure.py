"""One measure: an agent proposes tasks, what it wrote is checked, the tasks are created."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_cobbler.agents.base import AgentError, AgentRequest, AgentResult, OnStep
from pytest_cobbler.agents.claims import bounded
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.asking import Question, prepare, request_of, result_of
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.patience import Followers
from pytest_cobbler.cycle.prompts import MeasureFacts, measure_prompt
from pytest_cobbler.cycle.proposals import Proposal, ProposalProblem, parse, select, to_new_tasks
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.stitch import STEPS_SHOWN
from pytest_cobbler.display import counted, quoted
from pytest_cobbler.files import read_tail
from pytest_cobbler.lifecycle.choices import Choice
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.listeners import MeasureEnd
from pytest_cobbler.recordings.files import place_of_measure
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.report.journal import keep_in_history, timestamp
from pytest_cobbler.sandbox.collecting import NotTaken
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.agents import NamedAgent

LARGEST_ANSWER = 8 * 1024 * 1024

OUTPUT = "tasks.json"


class NoAnswer(Exception):
    """The agent left no readable file; the text is the reason. ``is_missing``: there was no file."""

    def __init__(self, why: str, *, is_missing: bool = False) -> None:
        super().__init__(why)
        self.is_missing = is_missing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The result of a measure: ``tasks`` were created; ``omitted`` are the titles beyond the limit."""

    outcome: Outcome
    tasks: tuple[Task, ...] = ()
    omitted: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """Why an attempt gave no tasks. ``errors`` and ``previous`` are for the next attempt's prompt."""

    cause: Cause = Cause.NONE
    summary: str = ""
    details: str = ""
    errors: tuple[str, ...] = ()
    previous: str = ""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """One agent run of a measure, and its answer."""

    result: AgentResult
    answer: bytes | NoAnswer
    is_last: bool = False
    broken_off: bool = False


class Measuring:
    """One measure. Call it once, in a thread that holds a slot; afterwards give the slot back.

    Args:
        choice: the agents that may propose tasks.
        slot: the agent for which it holds one.
    """

    def __init__(
        self, run: Run, cycle: int, choice: Choice, slot: str, on_step: OnStep | None = None
    ) -> None:
        self._run = run
        self._config = run.project.config
        self._name = f"cycle-{cycle}"
        self._on_step = on_step
        self._record = Record(started_at=timestamp())
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)
        self._notes: list[str] = []
        self._has_failed = False
        self._choice, self._slot = choice, slot
        self._followers = Followers(run.healths, self._name, choice.agents)

    def __call__(self) -> Measured:
        measured = self._work()
        outcome = replace(
            measured.outcome,
            details="\n".join(filter(None, [measured.outcome.details, *self._notes])),
            notes=tuple(self._notes),
            record=self._record,
            transcript_tail="\n".join(self._steps),
        )
        return replace(measured, outcome=outcome)

    @property
    def record(self) -> Record:
        """What the measure has used so far."""
        return self._record

    def give_slot(self) -> None:
        """Give the slot back, if it still has it."""
        if self._slot:
            self._run.slots.give(self._slot)
            self._slot = ""

    def _step(self, text: str) -> bool | None:
        self._steps.append(text)
        return self._on_step(text) if self._on_step else False

    def _work(self) -> Measured:
        run = self._run
        run.view.refresh()
        existing = [task for task in run.ledger.tracker.tasks().result() if not self._is_past(task)]
        earlier: list[str] = []
        failure = _Failure(cause=Cause.AGENT)
        remaining = self._config.max_attempts
        while remaining:
            if run.cancellation.requested:
                return _cancelled()
            if failure.summary:
                earlier.append(f"attempt {len(earlier) + 1}: {failure.summary}")
            self._followers.begin(self._slot)
            attempt = self._attempt(existing, failure)
            if attempt.broken_off:  # the recording continues with another run
                remaining, failure = self._config.max_attempts, replace(failure, errors=(), previous="")
                continue
            if self._followers.goes_on(attempt.result) and self._waits():
                continue
            remaining -= 1
            ended = self._judge(attempt, existing)
            if isinstance(ended, Measured):
                return ended
            failure, self._has_failed = ended, True
            if attempt.is_last or failure.cause.is_final:
                break
        parts = (failure.details, *earlier, f"Kept in {run.ledger.numbers.directories(self._name)}")
        outcome = Outcome(
            verdict=Verdict.FAILED,
            cause=failure.cause,
            summary=failure.summary,
            details="\n".join(part for part in parts if part),
        )
        return Measured(outcome=outcome)

    def _waits(self) -> bool:
        """Wait until the API serves agents again; return whether it does."""
        self.give_slot()
        self._slot = self._run.slots.wait(self._run.cancellation, self._followers.names)
        return bool(self._slot)

    def _judge(self, attempt: _Attempt, existing: list[Task]) -> Measured | _Failure:
        """The end of the measure, or why another attempt is needed."""
        result, answer = attempt.result, attempt.answer
        if result.completed.cause == Ending.CANCELLED:
            return _cancelled()
        is_over = result.limited or (result.refused and self._run.healths.stop)
        if is_over or result.unpaid:
            return Measured(
                outcome=Outcome(
                    verdict=Verdict.LIMITED,
                    cause=Cause.BUDGET if result.unpaid else result.refused or Cause.LIMITED,
                    summary=result.error,
                    until=bounded(result.limited_until),
                    limit_is_claimed=result.limit_is_claimed,
                )
            )
        if error := result.error or (result.doubt if isinstance(answer, NoAnswer) else ""):
            details = quoted(informative(result.text or result.completed.stderr))
            return _Failure(cause=result.refused or Cause.AGENT, summary=error, details=details)
        if isinstance(answer, NoAnswer):
            details = quoted(informative(result.text))
            return _Failure(cause=Cause.OUTPUT, summary=str(answer), details=details, errors=(str(answer),))
        try:
            proposals = parse(answer, existing)
        except ProposalProblem as problem:
            errors = tuple(problem.errors)
            return _Failure(
                cause=Cause.OUTPUT,
                summary=f"unusable answer: {errors[0]}",
                details=quoted("\n".join(errors)),
                errors=errors,
                previous=answer.decode("utf-8", "replace"),
            )
        return self._import(proposals)

    def _is_past(self, task: Task) -> bool:
        """Whether a task was closed for sources that this generation does not have."""
        generation = self._run.project.generation
        if not generation.reset or task.status != "closed":
            return False
        return task.id not in self._run.ledger.finished and generation.name not in task.labels

    def _attempt(self, existing: list[Task], failure: _Failure) -> _Attempt:
        run = self._run
        number = run.ledger.numbers.next(self._name)
        directory = run.ledger.numbers.directory(self._name, number)
        tip = run.project.tip()
        place = run.site.open(
            f"{self._name}-{number}",
            parent=tip,
            tree=run.project.repository.tree_of(tip),
            purpose={"measure": self._name, "number": str(number)},
            packs_early=False,
        )
        try:
            again = self._has_failed
            by = run.parts.agents.of(self._slot, self._choice.model_for(self._slot, again=again))
            request = self._request(place, existing, failure, directory, by)
            run.listener.attempt_begins(request)  # before the directory uses up the number
            prepare(directory, request.prompt)
            run.listener.agent_starts(request, number, tip)
            try:
                result, is_last = by.agent.run(request, place.sandbox, run.cancellation), False
            except AgentError as error:
                result, is_last = result_of(error), True
            self._note(result, directory / "transcript.jsonl", place.node)
            answer = read_answer(place)
        finally:
            place.remove()
        if isinstance(answer, bytes):
            answer = self._scrubbed(answer, directory)
        self._tell_answer(request, number, result, answer)
        if is_last:
            run.ledger.numbers.forget(self._name, number)
        broken_off = run.turns.broken_off(place_of_measure(self._name) / str(number))
        return _Attempt(result=result, answer=answer, is_last=is_last, broken_off=bool(broken_off))

    def _request(
        self, place: Place, existing: list[Task], failure: _Failure, directory: Path, by: NamedAgent
    ) -> AgentRequest:
        attempt = self._record.attempts + 1
        prompt = self._prompt(place, existing, failure)
        question = Question(
            phase="measure",
            name=self._name,
            title=f"measure {self._name}",
            attempt=attempt,
            by=by,
            prompt=self._run.ledger.scrub(self._run.parts.hooks.prompt("measure", None, attempt, prompt)),
            directory=directory,
            output=place.output / OUTPUT,
        )
        return request_of(self._run, question, place, self._step)

    def _scrubbed(self, answer: bytes, directory: Path) -> bytes | NoAnswer:
        """Keep the answer for people to read. Refuse it if it contains the credential."""
        text = answer.decode("utf-8", "replace")
        clean = self._run.ledger.scrub(text)
        keep_in_history(directory / OUTPUT, clean.encode())
        if clean != text:  # titles and descriptions go into commits, the tracker and reports
            return NoAnswer("the tasks hold the agent's credential, which must not be written anywhere")
        return answer

    def _tell_answer(
        self, request: AgentRequest, number: int, result: AgentResult, answer: bytes | NoAnswer
    ) -> None:
        end = MeasureEnd(request=request, number=number, result=result)
        if isinstance(answer, bytes):
            end = replace(end, answer=answer)
        elif not answer.is_missing:
            end = replace(end, withheld=str(answer))
        self._run.listener.measure_ended(end)

    def _note(self, result: AgentResult, transcript: Path, node: str) -> None:
        if not self._steps:
            self._steps.append(read_tail(transcript))
        self._record = self._record.with_attempt(result, transcript, self._slot, node)
        self._notes += map(self._run.ledger.scrub, result.notes)

    def _prompt(self, place: Place, existing: list[Task], failure: _Failure) -> str:
        run, config = self._run, self._config
        tasks = [task for task in existing if task.type == "task"]
        finished = [task for task in tasks if task.status == "closed" or task.id in run.ledger.finished]
        open_tasks = [
            task for task in tasks if task not in finished and task.status in ("open", "in_progress")
        ]
        others = [task for task in tasks if task not in finished and task not in open_tasks]
        template = config.measure_prompt
        return measure_prompt(
            template.read_text(encoding="utf-8") if template else None,
            MeasureFacts(
                open_tasks=open_tasks,
                finished_tasks=finished,
                other_tasks=others,
                limit=config.max_issues,
                output_path=str(place.output / OUTPUT),
                user_input=config.user_prompt,
                lines_min=config.estimated_lines_min,
                lines_max=config.estimated_lines_max,
                tried=run.view.tried(open_tasks),
                gate=run.parts.gate.shown,
                gate_is_offline=run.parts.gate.is_offline,
                red=run.landing.red,
                protected=run.parts.protection.shown,
                directory=run.project.repository.directory.path,
                outside=run.parts.protection.outside,
                documents=run.view.current.documents,
                files=run.view.current.files,
                errors=failure.errors,
                previous=failure.previous,
            ),
        )

    def _import(self, proposals: tuple[Proposal, ...]) -> Measured:
        """Create the tasks, all or none."""
        run = self._run
        generation, tracker = run.project.generation.name, run.ledger.tracker
        started = time.monotonic()
        lines = run.lines.at(run.project.tip())
        self._record = replace(self._record, lines_before=lines, lines_after=lines)
        selected, omitted = select(proposals, self._config.max_issues)
        tasks: tuple[Task, ...] = ()
        if selected:
            new = to_new_tasks(selected, generation, self._config.task_label)
            ids = tracker.create(new).result()
            created = {task.id: task for task in tracker.tasks().result()}
            run.names.learn(created)
            tasks = tuple(created[ids[task.key]] for task in new)
        self._count_import(started)
        task_ids = [task.id for task in tasks]
        if tasks:
            record = self._record.as_json("measure", tasks=task_ids, generation=generation)
            tracker.comment(task_ids[0], record)
        titles = tuple(proposal.title for proposal in omitted)
        run.listener.proposed(self._name, task_ids, titles)
        return Measured(
            outcome=Outcome(
                verdict=Verdict.PROPOSED,
                summary=f"{counted(len(tasks), 'task')} proposed" if tasks else "0 proposed",
                details=quoted("\n".join(titles)),
            ),
            tasks=tasks,
            omitted=titles,
        )

    def _count_import(self, started: float) -> None:
        seconds = self._record.landing_seconds + time.monotonic() - started
        self._record = replace(self._record, landing_seconds=seconds)


def _cancelled() -> Measured:
    return Measured(outcome=Outcome(verdict=Verdict.CANCELLED, summary="cancelled"))


def read_answer(place: Place) -> bytes | NoAnswer:
    """The content of the file that an agent was asked to write. It is not trusted."""
    try:
        return place.take(f"output/{OUTPUT}", LARGEST_ANSWER)
    except NotTaken as problem:
        why = "the agent wrote no task file" if problem.is_missing else f"the task file {problem}"
        return NoAnswer(why, is_missing=problem.is_missing)
