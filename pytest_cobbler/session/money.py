"""The lines of header and summary that say what a run may spend, and what it spent."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_cobbler.agents.budget import Purse
from pytest_cobbler.agents.prices import dollars
from pytest_cobbler.config import Config
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.display import counted, escaped
from pytest_cobbler.lifecycle.estimate import Estimate
from pytest_cobbler.wiring.api import asks_api, credentials_of

__all__ = ["estimate_lines", "money_lines", "spending_lines"]


def money_lines(run: Run, config: Config) -> Iterator[str]:
    """The budget of a run that begins, and how it is held."""
    if not run.asks_agents or config.agent == "replay":
        return
    budget = run.budget
    parts = [_shown(purse) for purse in budget.purses if purse.limit is not None]
    if budget.limits.task_budget_usd is not None:
        parts.append(f"{dollars(budget.limits.task_budget_usd):.2f} USD a task")
    yield f"budget: {', '.join(parts)}" if parts else "budget: none (budget_usd, --cobbler-budget)"
    is_proxied = run.parts.agents.proxied
    if parts and not is_proxied:
        yield (
            "budget: not behind the proxy, agents are stopped between turns, by what they report: "
            "they may spend more"
        )
    credentials = credentials_of(config) if is_proxied or asks_api(config) else ()
    if any(credential.kind == "oauth" for credential in credentials):
        yield "budget: a login by subscription is counted at list price"


def spending_lines(run: Run) -> Iterator[str]:
    """The part of the budget that was spent, and the models whose price is unknown."""
    for purse in run.budget.purses:
        if purse.limit is not None:
            yield f"budget: {_spent(purse)} spent ({purse.key})"
    for model, tokens in sorted(run.budget.unpriced.items()):
        yield f"price unknown: {escaped(model)}, {tokens} tokens; name its price in a file (prices)"


def estimate_lines(estimate: Estimate | None) -> Iterator[str]:
    """What the tasks of a plan may cost and take."""
    if estimate is None:
        return
    parts = []
    if cost := estimate.cost_usd:
        parts.append(f"{cost.middle:.2f} USD ({cost.least:.2f} to {cost.most:.2f})")
    if time := estimate.seconds:
        middle, least, most = (_minutes(seconds) for seconds in (time.middle, time.least, time.most))
        parts.append(f"{middle} of agents and gates ({least} to {most})")
    if parts:
        of = counted(estimate.earlier, "landed task")
        yield f"estimate: {counted(estimate.tasks, 'task')}, {', '.join(parts)}, by {of}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _shown(purse: Purse) -> str:
    of = "the generation" if purse.key == "generation_budget_usd" else "this run"
    limit = purse.limit or 0
    if purse.unit == "tokens":
        return f"{limit} tokens without a price"
    spent = f", {dollars(purse.spent):.4f} of it spent" if purse.spent else ""
    return f"{dollars(limit):.2f} USD for {of}{spent}"


def _spent(purse: Purse) -> str:
    limit = purse.limit or 0
    if purse.unit == "tokens":
        return f"{purse.spent} of {limit} tokens"
    return f"{dollars(purse.spent):.4f} of {dollars(limit):.2f} USD"
