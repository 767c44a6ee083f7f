"""What the tasks of a plan may cost and take, by what earlier tasks of the repository did."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cobbler.lifecycle.stats import GenerationStats
from pytest_cobbler.usage import Usage

__all__ = ["Estimate", "Range", "estimate"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """An amount for all tasks of a plan: if each is like the median, the least or the most."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, amounts: Sequence[float], tasks: int) -> Range | None:
        """For as many ``tasks``; ``None`` without earlier amounts."""
        if not amounts:
            return None
        middle = statistics.median(amounts)
        return cls(middle=middle * tasks, least=min(amounts) * tasks, most=max(amounts) * tasks)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """For ``tasks`` open tasks, by ``earlier`` landed ones. ``seconds`` are those of all agents and gates."""

    tasks: int
    earlier: int
    cost_usd: Range | None
    seconds: Range | None


def estimate(generations: Sequence[GenerationStats], tasks: int) -> Estimate | None:
    """The estimate; ``None`` if there are no open tasks or no earlier ones. Attempts that failed count."""
    landed = [task.landed + task.wasted for one in generations for task in one.landed]
    if not landed or not tasks:
        return None
    return Estimate(
        tasks=tasks,
        earlier=len(landed),
        cost_usd=Range.of(_costs(landed), tasks),
        seconds=Range.of([usage.seconds for usage in landed if usage.seconds is not None], tasks),
    )


def _costs(usages: Sequence[Usage]) -> list[float]:
    """The costs that are known as a whole."""
    known = (usage.cost_usd for usage in usages if not usage.cost_is_partial)
    return [cost for cost in known if cost is not None]
