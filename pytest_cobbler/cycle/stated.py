"""What the statement on a landing says of the attempt."""

from __future__ import annotations

from importlib.metadata import version

from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.landing.statements import Work
from pytest_cobbler.tracker.base import Task

__all__ = ["work_of"]


def work_of(run: Run, task: Task, attempt: Attempt) -> Work:
    """The work of an attempt, as its statement names it."""
    return Work(
        task=task.id,
        title=task.title,
        generation=run.project.generation.name,
        base=run.base,
        run=run.ledger.claim.run,
        attempt=attempt.number,
        agent=run.parts.assistant(attempt.result.usage.model),
        prompt=attempt.prompt,
        gate=run.parts.gate.shown,
        by=str(run.project.identity.committer),
        version=version("pytest-cobbler"),
    )
