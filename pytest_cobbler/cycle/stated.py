"""What the commit of a landing and the statement about it say of the attempt."""

from __future__ import annotations

from importlib.metadata import version

from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.landing.candidates import Train
from pytest_cobbler.landing.statements import Work
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.repository import trailers
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import Usage

__all__ = ["message_of", "trailers_of", "work_of"]


def message_of(
    run: Run,
    task: Task,
    attempt: Attempt,
    usage: Usage,
    notes: tuple[str, ...],
    record: TreeRecord | None,
    train: Train | None,
) -> str:
    """The message of the landed commit.

    Args:
        usage: that of all attempts at the task.
        record: that of the tree in the gate.
        train: with which it lands, if others land with it.
    """
    project = run.project
    values = trailers_of(run, task, attempt.number, record, train)
    values |= usage.to_trailers()
    values[trailers.ASSISTED] = run.parts.agents.assistant(attempt.agent, attempt.result.usage.model)
    if attempt.result.session_id:
        values[trailers.SESSION] = attempt.result.session_id
    message = trailers.message(project.repository, task.title, task.description, values, notes=notes)
    return run.ledger.scrub(message)


def trailers_of(
    run: Run, task: Task, number: int, record: TreeRecord | None, train: Train | None
) -> dict[str, object]:
    """The trailers of every landed commit: what landed where, and what the gate found."""
    generation = run.project.generation
    return {
        trailers.TASK: task.id,
        trailers.GENERATION: generation.name,
        trailers.DIRECTORY: generation.directory,
        trailers.TARGET: generation.base,
        trailers.ATTEMPT: number,
        trailers.RUN: run.ledger.claim.run,
        trailers.TESTS: record.summary if record else "",
        trailers.FLAKY: record.flaky_tests if record else "",
        trailers.GATED: train.tree if train and train.place < train.size else "",
    }


def work_of(run: Run, task: Task, attempt: Attempt) -> Work:
    """The work of an attempt, as its statement names it."""
    return Work(
        task=task.id,
        title=task.title,
        generation=run.project.generation.name,
        base=run.base,
        run=run.ledger.claim.run,
        attempt=attempt.number,
        agent=run.parts.agents.assistant(attempt.agent, attempt.result.usage.model),
        node=attempt.node,
        prompt=attempt.prompt,
        gate=run.parts.gate.shown,
        by=str(run.project.identity.committer),
        version=version("pytest-cobbler"),
    )
