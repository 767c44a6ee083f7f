"""What is written down of how a landing ended, above all of work that did not land."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.landing.candidates import Landing
from pytest_cobbler.listeners import LandingFailure
from pytest_cobbler.report.evidence import telling_line
from pytest_cobbler.repository.checks import can_open
from pytest_cobbler.tracker.base import Task

__all__ = ["failure_of", "not_landed", "write_ending"]


_WITH_PARTNER = """\
This change passes the gate without {0}, which landed before it, and fails with it.
That change: git show {1}

"""


def write_ending(run: Run, task: Task, attempt: Attempt) -> None:
    """Add to the result of an attempt why it did not land, and the notes on its landing.

    The landing of a later one removes its ref, which has the reason, too.
    """
    path = run.ledger.numbers.directory(task.id, attempt.number) / "result.json"
    try:
        facts = json.loads(path.read_bytes())
        notes = [*dict.fromkeys([*facts.get("notes", ()), *attempt.notes])]
        facts |= {"cause": attempt.cause, "error": attempt.headline, "notes": notes}
        path.write_text(f"{json.dumps(facts, indent=2, ensure_ascii=False)}\n", "utf-8")
    except (OSError, ValueError):  # the directory of the history was deleted, or the disk is full
        return


def failure_of(task: Task, attempt: Attempt) -> LandingFailure:
    """The failed landing of an attempt, for those that keep a record of the run."""
    return LandingFailure(task=task, number=attempt.number, cause=attempt.cause, summary=attempt.summary)


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
        when = " after the merge" if merged and merged.is_needed else ""
        return replace(
            attempt,
            facts=attempt.facts if can_open(landing.refusals) else {},
            cause=Cause.REFUSED,
            summary=f"refused{when}: {landing.refusals[0]}",
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
        partner, why = landing.partner, ""
        if partner:
            named = f"{partner.commit[:12]} ({partner.title})"
            summary = f"{summary}; it passes without {named}"
            why = _WITH_PARTNER.format(named, partner.commit[:12])
        return replace(attempt, cause=Cause.GATE, summary=f"gate: {summary}", details=f"{why}{gate.output}")
    if landing.error:
        summary = f"landing: {landing.error.cause}"
        return replace(attempt, cause=Cause.LANDING, summary=summary, details=str(landing.error))
    if landing.cause == Cause.NO_CHANGE:
        return replace(attempt, cause=Cause.NO_CHANGE, summary="no change: the tip already has this change")
    return replace(attempt, cause=Cause.CANCELLED, summary="cancelled")
