"""How the items of a run ended: the rows of a table, and what they cost together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pytest_cobbler.causes import Cause
from pytest_cobbler.story.model import Item, Phase, Run
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["Row", "Totals", "counts_of", "rows_of", "totals_of"]

_WORK: Final = (Phase.STARTING, Phase.AGENT, Phase.CHECKING, Phase.MERGING, Phase.GATE, Phase.LANDING)
_ORDER: Final = ("landed", "proposed", "failed", "blocked", "limited", "cancelled", "skipped", "not ended")


@dataclass(frozen=True, kw_only=True)
class Row:
    """The end of an item. All texts may be those of agents.

    ``outcome`` is a verdict, ``skipped`` for an item that was not to run, or ``not ended``. ``seconds`` is
    the time of agent, gate and landing, ``None`` if it did not start. ``useful`` is the usage of the attempt
    that landed or proposed, ``wasted`` that of all others. ``began`` and ``ended`` are seconds since 1970.
    """

    key: str
    title: str
    outcome: str
    cause: Cause
    summary: str
    commit: str
    attempts: int
    seconds: float | None
    useful: Usage
    wasted: Usage
    began: float | None
    ended: float

    @property
    def name(self) -> str:
        """The id of the task, or the name of the measure."""
        return self.key.partition("::")[2]

    @property
    def is_measure(self) -> bool:
        return self.key.startswith("measure::")

    @property
    def is_success(self) -> bool:
        return self.outcome in ("landed", "proposed")

    @property
    def paid(self) -> Usage:
        """The usage of all attempts."""
        return self.useful + self.wasted


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a run cost: ``landed``, the attempts that landed; ``measures``, those that proposed tasks;
    ``unfinished``, those of items that were cancelled or limited, whose work goes on; ``wasted``, all others.
    """

    landed: Usage = NOTHING
    unfinished: Usage = NOTHING
    wasted: Usage = NOTHING
    measures: Usage = NOTHING

    @property
    def shown(self) -> str:
        """``landed 0.5000 USD, wasted 0.2500 USD``; empty if no cost is known."""
        parts = {
            "landed": self.landed,
            "unfinished": self.unfinished,
            "wasted": self.wasted,
            "measures": self.measures,
        }
        if not any(usage.cost_usd for usage in parts.values()):
            return ""
        return ", ".join(f"{name} {usage.cost_shown}" for name, usage in parts.items() if usage.cost_shown)


def rows_of(run: Run) -> list[Row]:
    """A row for each item, in the order in which they were planned."""
    return [_row(item, run.last) for item in run.items.values()]


def totals_of(rows: Iterable[Row]) -> Totals:
    """What the items cost together."""
    landed = unfinished = wasted = measures = NOTHING
    for row in rows:
        goes_on = row.outcome in ("cancelled", "limited")
        unfinished += row.wasted if goes_on else NOTHING
        wasted += NOTHING if goes_on else row.wasted
        measures += row.useful if row.is_measure else NOTHING
        landed += NOTHING if row.is_measure else row.useful
    return Totals(landed=landed, unfinished=unfinished, wasted=wasted, measures=measures)


def counts_of(rows: Iterable[Row]) -> Iterator[str]:
    """``2 landed``, ``1 failed``: the outcomes of the tasks among the items, and how many had each."""
    counts = Counter(row.outcome for row in rows if not row.is_measure)
    return (f"{counts[outcome]} {outcome}" for outcome in _ORDER if counts[outcome])


def _row(item: Item, last: float) -> Row:
    outcome = "skipped" if item.cause is Cause.NOT_ASKED else item.outcome or "not ended"
    return Row(
        key=item.key,
        title=item.title,
        outcome=outcome,
        cause=item.cause,
        summary=item.summary,
        commit=item.commit,
        attempts=len(item.attempts),
        seconds=None if item.began is None else item.seconds_in(*_WORK, now=last),
        useful=item.useful,
        wasted=item.wasted,
        began=item.began,
        ended=item.ended or last,
    )
