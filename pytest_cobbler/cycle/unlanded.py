"""What is written down of work that did not land."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.landing.lane import Landing
from pytest_cobbler.report.evidence import telling_line
from pytest_cobbler.repository.checks import can_open
from pytest_cobbler.tracker.base import Task

__all__ = ["not_landed", "write_ending"]


def write_ending(run: Run, task: Task, attempt: Attempt) -> None:
    """Add to the result of an attempt why it did not land; the landing of a later one removes its ref."""
    path = run.ledger.numbers.directory(task.id, attempt.number) / "result.json"
    try:
        facts = json.loads(path.read_bytes())
    except (OSError, ValueError):  # the directory of the history was deleted
        return
    facts |= {"cause": attempt.cause, "error": attempt.headline}
    path.write_text(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n", "utf-8")


def not_landed(attempt: Attempt, landing: Landing) -> Attempt:
    """The attempt with the reason why its landing failed."""
    merged = landing.merged
    if landing.cause == Cause.CONFLICT and merged:
        return replace(
            attempt,
            cause=Cause.CONFLICT,
            summary=f"conflict with the tip in {', '.join(merged.conflicts)}",
            details=merged.messages,
            paths=merged.conflicts,
        )
    if landing.refusals:
        return replace(
            attempt,
            facts=attempt.facts if can_open(landing.refusals) else {},
            cause=Cause.REFUSED,
            summary=f"refused{' after the merge' if merged else ''}: {landing.refusals[0]}",
            details="\n".join(map(str, landing.refusals)),
            paths=tuple(refusal.path for refusal in landing.refusals if refusal.path),
        )
    if landing.hidden:
        how = "passed" if landing.gate and landing.gate.passed else "failed as before, but"
        summary = f"gate: {how} without tests of the tip: {landing.hidden[0]}"
        return replace(attempt, cause=Cause.GATE, summary=summary, details="\n".join(landing.hidden))
    if landing.cause == Cause.GATE and landing.gate:
        gate = landing.gate
        summary = "; ".join(filter(None, [telling_line(gate.output), gate.summary]))
        return replace(attempt, cause=Cause.GATE, summary=f"gate: {summary}", details=gate.output)
    if landing.error:
        summary = f"landing: {landing.error.cause}"
        return replace(attempt, cause=Cause.LANDING, summary=summary, details=str(landing.error))
    if landing.cause == Cause.NO_CHANGE:
        return replace(attempt, cause=Cause.NO_CHANGE, summary="no change: the tip already has this change")
    return replace(attempt, cause=Cause.CANCELLED, summary="cancelled")
