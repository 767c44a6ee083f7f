"""The budget of a run: pure logic, driven by drawn requests."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cobbler.agents.budget import ENOUGH, LEAST, Budget, Limits, Need, Past, Ticket

AMOUNTS = st.integers(0, 50)
LIMITS = st.none() | st.integers(0, 300_000)


def nothing() -> None:
    pass


def need(input: int = 0, asked: int = 100, each: int = 1) -> Need:
    return Need(input=input, each=each, asked=asked)


class Simulated:
    """Requests of tasks that come and end in a drawn order."""

    def __init__(self, budget: Budget, seed: int) -> None:
        self.budget = budget
        self.chance = random.Random(seed)
        self.order: list[Ticket] = []
        self.decided: list[Ticket] = []
        self.early: list[int] = []
        self.spent = 0

    def open(self) -> list[Ticket]:
        return [ticket for ticket in self.order if ticket.is_granted and not ticket.is_settled]

    def waiting(self) -> list[Ticket]:
        return [ticket for ticket in self.order if ticket not in self.decided]

    def step(self) -> None:
        kind = self.chance.choice(["ask", "ask", "settle", "cut", "withdraw"])
        if kind == "ask" or not self.order:
            self.ask()
        elif kind == "withdraw":
            ticket = self.chance.choice(self.order)
            if not ticket.is_settled:
                self.budget.withdraw(ticket)
                if ticket not in self.decided:
                    self.decided.append(ticket)
        elif granted := self.open():
            ticket = self.chance.choice(granted)
            cost = ticket.reserved if kind == "cut" else self.chance.randint(0, ticket.reserved)
            self.spent += cost
            self.budget.settle(ticket, cost)

    def ask(self) -> None:
        chance = self.chance
        asked = chance.choice([1, 100, LEAST, 128_000])
        wanted = Need(input=chance.randint(0, 60_000), each=chance.randint(0, 5), asked=asked)
        place = len(self.order)
        task = chance.choice([None, "a", "b", "c"])
        ticket = self.budget.ask(task, "usd", wanted, lambda: self.note(place))
        self.order.append(ticket)
        self.settle_note()

    def note(self, place: int) -> None:
        self.early = [*self.early, place]
        self.settle_note()

    def settle_note(self) -> None:
        """Tickets may be decided before ``ask`` has returned them."""
        for place in [place for place in self.early if place < len(self.order)]:
            self.early = [one for one in self.early if one != place]
            self.decided.append(self.order[place])


@settings(max_examples=150, deadline=None)
@given(LIMITS, LIMITS, LIMITS, st.integers(0, 2**32), st.integers(1, 60))
def test_a_limit_is_never_exceeded_and_no_request_waits_for_ever(
    run: int | None, generation: int | None, task: int | None, seed: int, steps: int
) -> None:
    limits = Limits(budget_usd=run, generation_budget_usd=generation, task_budget_usd=task)
    budget = Budget(limits, Past(generation=10, tasks={"a": 5}))
    simulated = Simulated(budget, seed)
    for _ in range(steps):
        simulated.step()
        for ticket in simulated.order:
            for purse in ticket.purses:
                assert purse.reserved >= 0
                if purse.limit is not None and purse.limit >= 10:
                    assert purse.spent + purse.reserved <= purse.limit
        if not simulated.open():
            assert not simulated.waiting(), "a request waits, and no other will ever end"
    assert budget.purses[0].spent == simulated.spent
    assert budget.purses[1].spent == simulated.spent + 10
    while granted := simulated.open():
        budget.settle(granted[0], granted[0].reserved)
    assert not simulated.waiting()
    assert all(ticket.is_granted != bool(ticket.lack) for ticket in simulated.decided if ticket.tokens)


def test_requests_are_served_in_their_order() -> None:
    budget = Budget(Limits(budget_usd=10_000))
    first = budget.ask("a", "usd", need(9_000, 500), nothing)
    large = budget.ask("b", "usd", need(5_000, 500), nothing)
    small = budget.ask("c", "usd", need(1, 1), nothing)
    assert (first.is_granted, large.is_granted, small.is_granted) == (True, False, False)
    budget.settle(first, 1_000)
    assert (large.is_granted, small.is_granted) == (True, True)


def test_a_task_that_waits_for_its_own_budget_holds_up_no_other() -> None:
    budget = Budget(Limits(budget_usd=100_000, task_budget_usd=1_000))
    first = budget.ask("a", "usd", need(0, 800), nothing)
    second = budget.ask("a", "usd", need(0, 800), nothing)
    other = budget.ask("b", "usd", need(0, 800), nothing)
    assert (first.is_granted, second.is_granted, other.is_granted) == (True, False, True)
    budget.settle(first, 800)
    assert second.lack
    assert second.lack.unpaid.is_of_task
    assert (second.lack.spent, second.lack.needed) == (800, 800)


def test_output_is_lowered_to_what_is_left_and_not_below_the_least() -> None:
    budget = Budget(Limits(budget_usd=20_000))
    assert budget.ask("a", "usd", need(5_000, 128_000), nothing).tokens == 15_000
    waits = budget.ask("a", "usd", need(0, LEAST), nothing)
    assert not waits.is_granted
    assert waits.lack is None
    budget = Budget(Limits(budget_usd=LEAST + 99))
    assert budget.ask("a", "usd", need(100, 128_000), nothing).lack
    assert budget.ask("a", "usd", need(99, 128_000), nothing).tokens == LEAST


def test_one_agent_does_not_take_everything_from_the_others() -> None:
    budget = Budget(Limits(budget_usd=800_000))
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(budget.working())
        tickets = [budget.ask(f"t{place}", "usd", need(1_000, 128_000), nothing) for place in range(8)]
    assert all(ticket.is_granted for ticket in tickets)
    assert tickets[0].tokens == 99_000
    assert min(ticket.tokens for ticket in tickets) >= ENOUGH


def test_a_run_without_limits_refuses_nothing() -> None:
    ticket = Budget().ask("a", "usd", need(10**15, 128_000, 10**6), nothing)
    assert (ticket.is_granted, ticket.tokens) == (True, 128_000)


def test_what_earlier_runs_spent_counts_for_generation_and_task_only() -> None:
    limits = Limits(budget_usd=1_000, generation_budget_usd=1_000, task_budget_usd=1_000)
    budget = Budget(limits, Past(generation=600, tasks={"a": 500}))
    assert budget.left("a") == 400
    budget = Budget(Limits(budget_usd=1_000, task_budget_usd=1_000), Past(generation=600, tasks={"a": 500}))
    assert (budget.left("a"), budget.left("b"), budget.left(None)) == (500, 1_000, 1_000)
    assert Budget().left("a") is None


@pytest.mark.parametrize("amount", [1_000, 5_000])
def test_what_an_agent_reports_uses_the_budget_up(amount: int) -> None:
    budget = Budget(Limits(budget_usd=1_000))
    assert budget.lacking("a") is None
    budget.charge("a", "usd", amount)
    assert (lack := budget.lacking(None))
    assert (lack.key, lack.limit, lack.spent, lack.unpaid.is_of_task) == ("budget_usd", 1_000, amount, False)


def test_tokens_of_models_without_a_price_have_a_limit_of_their_own() -> None:
    budget = Budget(Limits(budget_usd=1, budget_tokens=10_000))
    assert budget.ask("a", "usd", need(1, 1), nothing).lack
    ticket = budget.ask("a", "tokens", need(1_000, 128_000), nothing)
    assert ticket.tokens == 9_000
    assert budget.ask("a", "tokens", need(1, 1), nothing).lack is None
    budget.settle(ticket, 10_000)
    assert (lack := budget.lacking("a"))
    assert lack.key == "budget_tokens"
