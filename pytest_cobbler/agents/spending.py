"""Pays for the requests of one job out of the budget of its run."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_cobbler.agents.bounds import Prompt, Unbounded
from pytest_cobbler.agents.budget import Account, Need, Ticket, Unit, Unpaid
from pytest_cobbler.agents.metering import Answer
from pytest_cobbler.agents.prices import Price, PriceList, dollars, with_geography
from pytest_cobbler.agents.values import event_of, number_of, object_of, text_of
from pytest_cobbler.display import one_line

__all__ = ["Order", "Spender", "TooDear"]

_LEAST_THINKING: Final = 1024
"""The fewest tokens that the API accepts as a budget for thinking."""


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
    def free(cls, body: bytes) -> Order:
        """A request for which nothing is reserved."""
        return cls(body=body, model=one_line(text_of(event_of(body), "model")))

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

    def __init__(self, account: Account, prices: PriceList) -> None:
        self._account = account
        self._prices = prices
        self._known = account.budget.known
        self.unpaid: Unpaid | None = None

    async def afford(self, body: bytes) -> Order:
        """Wait until the request can be paid for. Its output may be lowered to the remaining amount.

        Raises:
            TooDear: it cannot, and no request under way will change that.
        """
        asked = event_of(body)
        limits = self._account.budget.limits
        try:
            order, need, price = self._order(body, asked)
        except Unbounded as reason:
            if limits.any:
                raise TooDear(f"a run with a budget does not allow it: {reason}") from None
            return Order.free(body)
        if price is None and limits.of_money and limits.budget_tokens is None:
            self.unpaid = self.unpaid or Unpaid(reason=_no_price(order.model))
            raise TooDear(self.unpaid.reason)
        order.ticket = await self._reserve(order.unit, need)
        if limits.any:
            order.body = _with_output(asked, order.ticket.tokens)
        return order

    def settle(self, order: Order, answer: Answer) -> dict[str, object]:
        """Count what an answer cost, for the log. One that was cut costs what was reserved."""
        if answer.counted and order.prompt is not None:
            self._known.learn(order.model, order.prompt, answer.prompt_tokens)
        if order.ticket is None:
            return {}
        amount = self._cost(order, answer)
        if order.unit == "tokens":
            self._account.budget.note_unpriced(order.model, amount)
        self._account.budget.settle(order.ticket, amount)
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

    def _order(self, body: bytes, asked: Mapping[str, Any]) -> tuple[Order, Need, Price | None]:
        output, model = number_of(asked, "max_tokens"), text_of(asked, "model")
        if not output or not model:
            raise Unbounded("it names no model or no max_tokens")
        prompt = Prompt(asked)
        price = self._prices.find(model)
        tokens = self._known.bound(one_line(model), prompt)
        if price is None:
            need = Need(input=tokens, each=1, asked=int(output))
            return Order(body=body, model=one_line(model), prompt=prompt, unit="tokens"), need, None
        tokens = min(tokens, price.window or tokens)
        rates = price.rates(tokens, fast=text_of(asked, "speed") == "fast")
        # Where an answer is computed may be a setting of the account.
        need = Need(
            input=with_geography(tokens * rates.dearest_input(*_caching(asked))),
            each=with_geography(rates.output),
            asked=int(output),
        )
        return Order(body=body, model=one_line(model), prompt=prompt), need, price

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


def _caching(asked: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the prompt may be written to the cache, and whether for an hour."""
    text = json.dumps(asked)
    return '"cache_control"' in text, '"1h"' in text


def _no_price(model: str) -> str:
    return f"no price is known for {one_line(model)} (prices), and budget_tokens is not set"


def _with_output(asked: Mapping[str, Any], tokens: int) -> bytes:
    """The request with at most ``tokens`` of output; thinking has to stay below that."""
    body = {**asked, "max_tokens": tokens}
    thinking = object_of(asked.get("thinking"))
    budget = number_of(thinking, "budget_tokens")
    if budget is not None and budget >= tokens:
        body["thinking"] = {**thinking, "budget_tokens": max(_LEAST_THINKING, tokens - _LEAST_THINKING)}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
