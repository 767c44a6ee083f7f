"""Pays for the requests of one job out of the budget of its run."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, replace

from pytest_cobbler.agents.bounds import Prompt, Unbounded
from pytest_cobbler.agents.budget import Account, Need, Ticket, Unit, Unpaid
from pytest_cobbler.agents.metering import Answer
from pytest_cobbler.agents.prices import Price, PriceList, dollars, with_geography
from pytest_cobbler.agents.wires.base import Asked, Wire
from pytest_cobbler.display import one_line

__all__ = ["Order", "Spender", "TooDear"]


class TooDear(Exception):
    """The budget cannot pay for a request; the text says why, for people."""


@dataclass(kw_only=True)
class Order:
    """A request to the model: the ``body`` to send, and the reservation for it.

    Without a ``ticket``, nothing is reserved: the most that the request may cost is not known, and no limit
    depends on it.
    """

    body: bytes
    model: str = ""
    prompt: Prompt | None = None
    ticket: Ticket | None = None
    unit: Unit = "usd"

    @classmethod
    def free(cls, asked: Asked) -> Order:
        """A request for which nothing is reserved."""
        return cls(body=asked.body, model=asked.model)

    @property
    def facts(self) -> dict[str, object]:
        """What the log says of the reservation."""
        if self.ticket is None:
            return {}
        return self.amount("reserved", self.ticket.reserved)

    def amount(self, name: str, amount: int) -> dict[str, object]:
        """An amount, with its unit in its name."""
        return {f"{name}_{self.unit}": dollars(amount) if self.unit == "usd" else amount}


class Spender:
    """Asks for money before each request of a job, and settles when its answer has ended.

    ``unpaid``: why a request was refused, if one was.
    """

    def __init__(self, account: Account, prices: PriceList, wire: Wire) -> None:
        self._account = account
        self._wire = wire
        self._prices = prices
        self._known = account.budget.known
        self.unpaid: Unpaid | None = None

    async def afford(self, asked: Asked) -> Order:
        """Wait until the request can be paid for. Its output may be lowered to the remaining amount.

        Raises:
            TooDear: it cannot, and no request under way will change that.
        """
        limits = self._account.budget.limits
        try:
            order, need, price = self._order(asked)
        except Unbounded as reason:
            if limits.any:
                raise TooDear(f"a run with a budget does not allow it: {reason}") from None
            order = Order.free(asked)
            order.body = self._prepared(asked, None)
            return order
        if price is None and limits.of_money and limits.budget_tokens is None:
            self.unpaid = self.unpaid or Unpaid(reason=_no_price(order.model))
            raise TooDear(self.unpaid.reason)
        order.ticket = await self._reserve(order.unit, need)
        order.body = self._prepared(asked, order.ticket.tokens if limits.any else None)
        return order

    def _prepared(self, asked: Asked, tokens: int | None) -> bytes:
        """The body to send; as it was, byte by byte, if nothing in it has to change."""
        content = self._wire.prepared(asked.content, tokens)
        if tokens is None and content == asked.content:
            return asked.body
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def settle(self, order: Order, answer: Answer) -> dict[str, object]:
        """Count what an answer cost, for the log. One that was cut costs what was reserved."""
        if answer.counted and order.prompt is not None and not answer.is_shortened:
            self._known.learn(order.model, order.prompt, answer.prompt_tokens)
        if order.ticket is None:
            return {}
        amount = self._cost(order, answer)
        if order.unit == "tokens":
            self._account.budget.note_unpriced(order.model, amount)
        self._account.budget.settle(order.ticket, amount)
        self._account.note(order.unit, amount)
        return order.amount("charged", amount)

    def _cost(self, order: Order, answer: Answer) -> int:
        assert order.ticket is not None
        reserved = order.ticket.reserved
        known = answer.tokens if order.unit == "tokens" else answer.cost
        if not answer.is_whole:
            return max(reserved, known or 0)
        if not answer.counted:
            return 0 if answer.is_free else reserved
        return reserved if known is None else known

    def _order(self, asked: Asked) -> tuple[Order, Need, Price | None]:
        output = self._wire.output(asked.content)
        if not output or not asked.model:
            raise Unbounded("it names no model or no limit of its output")
        prompt = self._wire.prompt(asked.content)
        price = self._prices.find(asked.model)
        tokens = self._known.bound(asked.model, prompt)
        order = Order(body=asked.body, model=asked.model, prompt=prompt)
        if price is None:
            order.unit = "tokens"
            return order, Need(input=tokens, each=1, asked=output), None
        return order, self._need(asked, price, tokens, output), price

    def _need(self, asked: Asked, price: Price, tokens: int, output: int) -> Need:
        """The most that a request may cost whose prompt has at most so many ``tokens``."""
        terms = self._wire.terms(asked.content)
        tokens = min(tokens, price.window or tokens)
        rates = price.rates(tokens, fast=terms.is_fast)
        need = Need(
            input=tokens * rates.dearest_input(terms.writes_cache, terms.for_an_hour),
            each=rates.output,
            asked=output,
        )
        if not terms.is_regional:
            return need
        return replace(need, input=with_geography(need.input), each=with_geography(need.each))

    async def _reserve(self, unit: Unit, need: Need) -> Ticket:
        loop, decided = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the job has ended, and its loop with it
                loop.call_soon_threadsafe(decided.set)

        budget = self._account.budget
        ticket = budget.ask(self._account.task, unit, need, tell)
        try:
            await decided.wait()
        except asyncio.CancelledError:
            budget.withdraw(ticket)
            raise
        if ticket.lack:
            self.unpaid = self.unpaid or ticket.lack.unpaid
            raise TooDear(f"the budget is used up ({ticket.lack.unpaid.reason})")
        return ticket


def _no_price(model: str) -> str:
    return f"no price is known for {one_line(model)} (prices), and budget_tokens is not set"
