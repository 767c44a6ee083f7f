"""Agents without the proxy are counted by their stream, and stopped between turns; streams are made up."""

from __future__ import annotations

import itertools
import json

import pytest

from pytest_cobbler.agents.budget import Account, Budget, Limits
from pytest_cobbler.agents.prices import PriceList, picodollars
from pytest_cobbler.agents.streams.claude import ClaudeReader
from pytest_cobbler.agents.watching import Watch
from pytest_cobbler.process import Cancellation

OPUS = "claude-opus-5-5"
TOKENS = {"input_tokens": 1_000, "output_tokens": 2_000}
COST = picodollars(PriceList().cost_of(OPUS, TOKENS) or 0.0)
"""Of one turn of the priced model."""


class Watched:
    """An agent of the task ``t``, whose stream the test writes."""

    def __init__(self, limits: Limits, model: str = OPUS) -> None:
        self.budget = Budget(limits)
        self.ends = Cancellation()
        self._reader = ClaudeReader()
        account = Account(budget=self.budget, task="t")
        self.watch = Watch(self._reader, account, PriceList(), self.ends)
        self._names = (f"message {number}" for number in itertools.count())
        self.prints(type="system", subtype="init", model=model)

    def prints(self, **event: object) -> None:
        self._reader.feed(json.dumps(event).encode() + b"\n", [self.watch.look])

    def turn(self, name: str = "") -> None:
        content = [{"type": "text", "text": "I go on."}]
        message = {"id": name or next(self._names), "usage": TOKENS, "content": content}
        self.prints(type="assistant", message=message)

    def result(self, cost_usd: float) -> None:
        self.prints(
            type="result",
            subtype="success",
            terminal_reason="completed",
            result="Done.",
            total_cost_usd=cost_usd,
        )


@pytest.mark.parametrize("key", ["budget_usd", "generation_budget_usd", "task_budget_usd"])
def test_an_agent_is_stopped_after_the_turn_that_uses_up_a_limit(key: str) -> None:
    agent = Watched(Limits(**{key: 2 * COST}))
    agent.turn()
    assert (agent.ends.requested, agent.watch.unpaid) == (False, None)
    agent.turn()
    assert agent.ends.requested
    assert agent.watch.unpaid is not None
    assert agent.watch.unpaid.reason.startswith(f"{key}: ")
    assert agent.watch.unpaid.is_of_task is (key == "task_budget_usd")
    assert [purse.spent for purse in agent.budget.purses] == [2 * COST, 2 * COST, 0]


def test_an_agent_is_stopped_after_its_turn_when_others_have_used_up_the_limit() -> None:
    agent = Watched(Limits(budget_usd=100 * COST))
    agent.budget.charge("another", "usd", 99 * COST)
    agent.turn()
    assert agent.ends.requested


def test_a_model_without_a_price_is_stopped_by_its_tokens_and_remembered_once() -> None:
    """Before its end, claude does not tell how many tokens of output a turn took."""
    agent = Watched(Limits(budget_tokens=2_000), model="ours")
    agent.turn()
    assert not agent.ends.requested
    agent.turn()
    assert agent.ends.requested
    assert agent.watch.unpaid is not None
    assert agent.watch.unpaid.reason.startswith("budget_tokens: 2000 of 2000 tokens are spent")
    assert agent.budget.unpriced == {"ours": 2_000}


def test_what_an_agent_reports_at_its_end_replaces_the_sum_of_its_turns_and_ends_nothing() -> None:
    agent = Watched(Limits(budget_usd=picodollars(1)))
    agent.turn()
    agent.result(cost_usd=1.5)
    assert agent.budget.purses[0].spent == picodollars(1.5)
    assert agent.watch.facts == {"charged_usd": 1.5}
    assert (agent.ends.requested, agent.watch.unpaid) == (False, None)


def test_a_turn_that_is_printed_twice_is_counted_once() -> None:
    agent = Watched(Limits(budget_usd=100 * COST))
    agent.turn("same")
    agent.turn("same")
    assert agent.budget.purses[0].spent == COST
