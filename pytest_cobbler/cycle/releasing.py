"""The end of a task that did not land, in the tracker: its comment, and a label if it is set aside."""

from __future__ import annotations

from pytest_cobbler.cycle.outcome import Outcome, Verdict
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.errors import TrackerError
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE, WHY_SET_ASIDE, counts, failed_runs

__all__ = ["release"]


def release(run: Run, task_id: str, outcome: Outcome, record: Record, *, is_shared: bool) -> str:
    """Release a task; return why it is set aside, if this run was one failure too many.

    Args:
        is_shared: what it failed of may lie with no task.
    """
    is_failure = outcome.verdict is Verdict.FAILED and counts(outcome.cause) and not is_shared
    is_failure = is_failure and run.asks_agents  # a landing that is tried again wastes nothing
    is_set_aside = is_failure and _is_last(run, task_id)
    facts = record.as_json(
        "stitch",
        outcome=outcome.verdict,
        cause=outcome.cause,
        summary=outcome.summary,
        generation=run.project.generation.name,
        **({"shared": True} if is_shared else {}),
        **({} if run.asks_agents else {"regated": True}),
        **({"set_aside": True} if is_set_aside else {}),
    )
    why = WHY_SET_ASIDE if is_set_aside else ""
    comment = "\n".join(filter(None, [f"{outcome.verdict}: {outcome.summary}", why, facts]))
    run.ledger.tracker.release(task_id, comment, SET_ASIDE if is_set_aside else "")
    run.listener.released(task_id, outcome.verdict, outcome.summary)
    return why


def _is_last(run: Run, task_id: str) -> bool:
    """Whether a task may not fail in further runs."""
    try:
        comments = run.ledger.tracker.comments().result().get(task_id, ())
    except TrackerError:  # the next failure is counted again
        return False
    return failed_runs(comments) + 1 >= run.project.config.max_failures
