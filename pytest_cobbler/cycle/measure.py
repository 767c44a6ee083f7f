"""One measure: an agent proposes tasks, what it wrote is checked, the tasks are created."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.cycle.asking import Question, prepare, request_of
from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.prompts import MeasureFacts, measure_prompt
from pytest_cobbler.cycle.proposals import Proposal, ProposalProblem, parse, select, to_new_tasks
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.cycle.stitch import STEPS_SHOWN
from pytest_cobbler.display import counted, shown_size
from pytest_cobbler.files import read_tail
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.report.evidence import informative
from pytest_cobbler.report.journal import timestamp
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.tracker.base import Task

LARGEST_ANSWER = 1024 * 1024

OUTPUT = "tasks.json"


class NoAnswer(Exception):
    """The agent left no file that could be read; the text says why. ``is_missing``: there was none."""

    def __init__(self, why: str, *, is_missing: bool = False) -> None:
        super().__init__(why)
        self.is_missing = is_missing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a measure came to: ``tasks`` were created, ``left`` are titles beyond the limit."""

    outcome: Outcome
    tasks: tuple[Task, ...] = ()
    left: tuple[str, ...] = ()


class Measuring:
    """One measure on its way. Call it once, in a thread that holds a slot; afterwards give the slot back."""

    def __init__(self, run: Run, cycle: int, on_step: Callable[[str], None] | None = None) -> None:
        self._run = run
        self._name = f"cycle-{cycle}"
        self._on_step = on_step
        self._record = Record(started_at=timestamp())
        self._steps: deque[str] = deque(maxlen=STEPS_SHOWN)

    def __call__(self) -> Measured:
        measured = self._work()
        outcome = replace(measured.outcome, record=self._record, transcript_tail="\n".join(self._steps))
        return replace(measured, outcome=outcome)

    @property
    def record(self) -> Record:
        """What it has used so far."""
        return self._record

    def give_slot(self) -> None:
        """Give the slot back."""
        self._run.slots.give()

    def _step(self, text: str) -> None:
        self._steps.append(text)
        if self._on_step:
            self._on_step(text)

    def _work(self) -> Measured:
        run = self._run
        run.look_around()
        existing = [task for task in run.tracker.tasks().result() if not run.is_past(task)]
        errors: list[str] = []
        earlier: list[str] = []
        previous = ""
        cause, summary, details = "agent", "", ""
        remaining = run.config.max_attempts
        while remaining:
            if run.cancellation.requested:
                return Measured(outcome=Outcome(verdict=Verdict.CANCELLED, summary="cancelled"))
            if summary:
                earlier.append(f"attempt {len(earlier) + 1}: {summary}")
            result, answer = self._attempt(existing, errors, previous)
            remaining = run.config.max_attempts if result.broken_off else remaining - 1
            errors, previous = [], ""
            if result.broken_off:
                continue
            if result.completed.cause == "cancelled":
                return Measured(outcome=Outcome(verdict=Verdict.CANCELLED, summary="cancelled"))
            if result.limited:
                outcome = Outcome(
                    verdict=Verdict.LIMITED, cause="limited", summary=result.error, until=result.limited_until
                )
                return Measured(outcome=outcome)
            if result.error:
                cause, summary, details = (
                    "agent",
                    result.error,
                    informative(result.text or result.completed.stderr),
                )
                if result.final:
                    break
                continue
            if isinstance(answer, NoAnswer):
                cause, summary, details = "output", str(answer), informative(result.text)
                errors = [str(answer)]
                continue
            try:
                proposals = parse(answer, existing)
            except ProposalProblem as problem:
                errors, previous = list(problem.errors), answer.decode("utf-8", "replace")
                cause, summary, details = "output", f"unusable answer: {errors[0]}", "\n".join(errors)
                continue
            return self._import(proposals)
        outcome = Outcome(
            verdict=Verdict.FAILED,
            cause=cause,
            summary=summary,
            details="\n".join(part for part in (details, *earlier, f"Kept in {self._kept()}") if part),
        )
        return Measured(outcome=outcome)

    def _attempt(
        self, existing: list[Task], errors: list[str], previous: str
    ) -> tuple[AgentResult, bytes | NoAnswer]:
        run = self._run
        number = run.next_number(self._name)
        directory = run.attempt_directory(self._name, number)
        tip = run.tip()
        worktree = run.worktrees.create(
            f"{self._name}-{number}",
            parent=tip,
            tree=run.repository.tree_of(tip),
            purpose={"measure": self._name, "number": str(number)},
        )
        try:
            attempt = self._record.attempts + 1
            prompt = self._prompt(worktree, existing, errors, previous)
            prompt = run.scrub(run.hooks.prompt("measure", None, attempt, prompt))
            question = Question(
                phase="measure",
                name=self._name,
                title=f"measure {self._name}",
                attempt=attempt,
                number=number,
                prompt=prompt,
                directory=directory,
                output=worktree.output / OUTPUT,
            )
            request = request_of(run, question, worktree, self._step)
            if run.recorder:
                run.recorder.begin(request)  # before the number is taken
            prepare(directory, prompt)
            run.journal.write("measure", item=self._name, attempt=number, worktree=worktree.tree)
            result = run.agent.run(request, run.sandbox, run.cancellation)
            self._note(result, directory / "transcript.jsonl")
            answer = read_answer(worktree)
        finally:
            run.worktrees.remove(worktree)
        if isinstance(answer, bytes):
            said = answer.decode("utf-8", "replace")
            clean = run.scrub(said)
            (directory / OUTPUT).write_text(clean, encoding="utf-8")
            if clean != said:  # titles and descriptions go into commits, the tracker and reports
                answer = NoAnswer("the tasks hold the agent's credential, which must not be written anywhere")
        if run.recorder:
            self._keep(run.recorder, request, result, answer)
        if result.final:
            run.forget(self._name, number)
        run.journal.write("measured", item=self._name, attempt=number, error=result.error)
        return result, answer

    def _keep(
        self, recorder: Recorder, request: AgentRequest, result: AgentResult, answer: bytes | NoAnswer
    ) -> None:
        if isinstance(answer, bytes):
            recorder.attempt(request, result, answer=answer)
        else:
            recorder.attempt(request, result, withheld="" if answer.is_missing else str(answer))

    def _note(self, result: AgentResult, transcript: Path) -> None:
        if not self._steps:
            self._steps.append(read_tail(transcript))
        self._record = self._record.with_attempt(result, transcript)

    def _prompt(self, worktree: Worktree, existing: list[Task], errors: list[str], previous: str) -> str:
        run, config = self._run, self._run.config
        tasks = [task for task in existing if task.type == "task"]
        finished = [task for task in tasks if task.status == "closed" or task.id in run.finished]
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
                output_path=str(worktree.output / OUTPUT),
                user_input=config.user_prompt,
                lines_min=config.estimated_lines_min,
                lines_max=config.estimated_lines_max,
                tried=run.tried(open_tasks),
                gate=run.gate.shown,
                gate_is_offline=run.gate.is_offline,
                protected=run.protected_shown,
                documents=run.surroundings.documents,
                files=run.surroundings.files,
                errors=errors,
                previous=previous,
            ),
        )

    def _import(self, proposals: tuple[Proposal, ...]) -> Measured:
        """Create the tasks, all or none."""
        run = self._run
        began = time.monotonic()
        lines = run.lines.at(run.tip())
        self._record = replace(self._record, lines_before=lines, lines_after=lines)
        taken, left = select(proposals, run.config.max_issues)
        tasks: tuple[Task, ...] = ()
        if taken:
            new = to_new_tasks(taken, run.generation.name, run.config.task_label)
            ids = run.tracker.create(new).result()
            created = {task.id: task for task in run.tracker.tasks().result()}
            run.known_ids |= created.keys()
            tasks = tuple(created[ids[one.key]] for one in new)
            first = tasks[0].id
            self._count_import(began)
            record = self._record.as_json(
                "measure", tasks=[task.id for task in tasks], generation=run.generation.name
            )
            run.tracker.comment(first, record)
        else:
            self._count_import(began)
        titles = tuple(proposal.title for proposal in left)
        run.journal.write("proposed", item=self._name, tasks=[task.id for task in tasks], left=titles)
        said = f"{counted(len(tasks), 'task')} proposed" if tasks else "nothing left to propose"
        return Measured(
            outcome=Outcome(verdict=Verdict.PROPOSED, summary=said, details="\n".join(titles)),
            tasks=tasks,
            left=titles,
        )

    def _count_import(self, began: float) -> None:
        seconds = self._record.landing_seconds + time.monotonic() - began
        self._record = replace(self._record, landing_seconds=seconds)

    def _kept(self) -> str:
        return str(self._run.directory / "attempts" / self._name)


def read_answer(worktree: Worktree) -> bytes | NoAnswer:
    """The file an agent was asked for, read as what it is: something an agent wrote."""
    path = worktree.output / OUTPUT
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return NoAnswer("the agent wrote no file of tasks", is_missing=True)
    except OSError as error:
        return NoAnswer(f"the file of tasks cannot be read: {error.strerror}")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return NoAnswer("the file of tasks is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST_ANSWER + 1)
    if len(content) > LARGEST_ANSWER:
        return NoAnswer(f"the file of tasks is larger than {shown_size(LARGEST_ANSWER)}")
    return content
