"""What a report shows of an attempt that failed."""

from __future__ import annotations

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.display import below, quoted
from pytest_cobbler.report.evidence import excerpt, informative
from pytest_cobbler.repository import names, trailers

__all__ = ["evidence", "place_of_work"]


def evidence(run: Run, task_id: str, attempt: Attempt) -> tuple[str, ...]:
    """The output that shows why an attempt failed; for the gate the lines that matter, and its log."""
    if attempt.cause is not Cause.GATE:
        can_open = attempt.cause is Cause.REFUSED and trailers.READY in attempt.facts
        return quoted(informative(attempt.details)), _way_in(run) if can_open else ""
    log = run.ledger.numbers.directory(task_id, attempt.number) / "gate.log"
    return quoted(excerpt(attempt.details)), f"The whole output: {below(log, run.project.repository.root)}"


def place_of_work(run: Run, task_id: str, attempt: Attempt) -> str:
    """A line that names the place of the work; empty if there is none."""
    if attempt.kept_at:
        return f"The work is kept in {attempt.kept_at}"
    if attempt.commit:
        ref = names.attempt_ref(run.project.generation.name, task_id, attempt.number)
        return f"The work is kept as {ref}"
    return ""


def _way_in(run: Run) -> str:
    """How a person lets refused paths land."""
    name = run.project.repository.directory.name
    outside = f" (outside of {name} with / in front)" if name else ""
    return (
        f"If tasks may change it: allow_paths in {run.project.config.path.name}{outside}, and "
        "pytest --cobbler-regate lands this work without an agent"
    )
