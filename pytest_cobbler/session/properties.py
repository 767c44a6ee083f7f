"""What the end of an item leaves in reports: its JUnit properties, and its record in the journal."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.cycle.outcome import Outcome
from pytest_cobbler.display import below, escaped
from pytest_cobbler.listeners import ItemEnd


def end_of(key: str, outcome: Outcome) -> ItemEnd:
    """The end of the item ``key``, for those that keep a record of the run."""
    return ItemEnd(
        key=key,
        outcome=outcome.verdict,
        cause=outcome.cause,
        summary=outcome.summary,
        commit=outcome.commit,
    )


def properties_of(
    outcome: Outcome, *, task_id: str, title: str, cycle: int, generation: str, root: Path
) -> list[tuple[str, object]]:
    """The ``cobbler_*`` properties of an item. A property without a value is left out.

    Args:
        root: paths in the report are relative to it, because a report is read on other machines.
    """
    record, usage = outcome.record, outcome.record.usage
    properties: list[tuple[str, object]] = [
        ("cobbler_task", task_id),
        ("cobbler_title", title),
        ("cobbler_generation", generation),
        ("cobbler_cycle", cycle),
        ("cobbler_outcome", str(outcome.verdict)),
        ("cobbler_cause", outcome.cause),
        ("cobbler_attempts", usage.attempts),
        ("cobbler_commit", outcome.commit),
        ("cobbler_train", outcome.train or ""),
        ("cobbler_gated", outcome.gated),
        ("cobbler_agent_seconds", round(record.agent_seconds, 3)),
        ("cobbler_gate_seconds", round(record.gate_seconds, 3)),
        ("cobbler_queue_seconds", round(record.queue_seconds, 3)),
        ("cobbler_tokens_input", usage.tokens_input),
        ("cobbler_tokens_output", usage.tokens_output),
        ("cobbler_tokens_cache_read", usage.tokens_cache_read),
        ("cobbler_tokens_cache_write", usage.tokens_cache_write),
        ("cobbler_cost_usd", "" if usage.cost_usd is None else round(usage.cost_usd, 6)),
        ("cobbler_cost_is_partial", "true" if usage.cost_is_partial else ""),
        ("cobbler_model", usage.model),
        ("cobbler_agents", ", ".join(record.agents)),
        ("cobbler_nodes", ", ".join(map(escaped, record.nodes))),
        ("cobbler_insertions", record.insertions if task_id else ""),
        ("cobbler_deletions", record.deletions if task_id else ""),
        ("cobbler_tests", outcome.tests),
        ("cobbler_flaky", outcome.flaky),
        ("cobbler_notes", "\n".join(map(escaped, outcome.notes))),
        ("cobbler_transcript", below(record.transcript, root)),
    ]
    return [(name, value) for name, value in properties if value != ""]
