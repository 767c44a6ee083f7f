"""What an agent reports of itself, beside what the proxy saw: the proxy's view counts, the rest are notes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from pytest_cobbler.usage import Usage

__all__ = ["LONGEST_LIMIT", "bounded", "disagreements"]

LONGEST_LIMIT: Final = timedelta(days=8)
"""The longest limit of the API lasts a week. A later end is a mistake or a lie."""

_TOLERANCE: Final = 0.01
"""The part by which two counts of the same run may differ."""


def bounded(end: datetime | None, now: datetime | None = None) -> datetime | None:
    """The end of a limit, at most :data:`LONGEST_LIMIT` after ``now``; ``None`` if it is unknown or past."""
    if end is None:
        return None
    now = now or datetime.now(UTC)
    try:
        end = end.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return min(end, now + LONGEST_LIMIT) if end > now else None


def disagreements(reported: Usage, metered: Usage) -> Iterator[str]:
    """The notes on a ``reported`` usage that differs from the one that the proxy ``metered``.

    A metered cost that is partial is a lower bound, so only a lower report differs from it.
    """
    if reported.cost_usd is not None and metered.cost_usd is None:
        models = f" for {metered.model}" if metered.model else ""
        yield f"cost: unknown, because there is no price{models}; the agent reports {_money(reported)}"
    elif reported.cost_usd is not None and _differ(reported.cost_usd, metered.cost_usd or 0.0, metered):
        yield f"cost: the proxy counted {_money(metered)}, the agent reports {_money(reported)}"
    if any(reported.tokens.values()) and _differ(reported.tokens_output, metered.tokens_output, metered):
        yield (
            f"output tokens: the proxy counted {metered.tokens_output}, "
            f"the agent reports {reported.tokens_output}"
        )


def _differ(reported: float, metered: float, usage: Usage) -> bool:
    difference = metered - reported if usage.cost_is_partial else abs(metered - reported)
    return difference > _TOLERANCE * max(reported, metered)


def _money(usage: Usage) -> str:
    return f"{'at least ' if usage.cost_is_partial else ''}{usage.cost_usd:.6f} USD"
