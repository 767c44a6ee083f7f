"""Ends an agent that no proxy serves when the budget is used up, by what its stream says between turns."""

from __future__ import annotations

from pytest_cobbler.agents.budget import Account, Unit, Unpaid
from pytest_cobbler.agents.prices import PriceList, dollars
from pytest_cobbler.agents.stream import StreamReader
from pytest_cobbler.process import Cancellation

__all__ = ["Watch"]

_TELLING = (b'"usage"', b'"total_cost_usd"')
"""What a line of the stream has that reports a cost."""


class Watch:
    """Charges ``account`` with the cost that ``reader`` has read; ends the agent through ``cancellation``.

    ``unpaid``: why it ended the agent, if it did.
    """

    def __init__(
        self, reader: StreamReader, account: Account, prices: PriceList, cancellation: Cancellation
    ) -> None:
        self._reader = reader
        self._account = account
        self._prices = prices
        self._charged: dict[Unit, int] = {"usd": 0, "tokens": 0}
        self._cancellation = cancellation
        self.unpaid: Unpaid | None = None

    def look(self, line: bytes) -> None:
        """Count what a line has told the reader."""
        if not any(name in line for name in _TELLING):
            return
        unit, amount = self._reader.spent(self._prices)
        more = amount - self._charged[unit]
        if more > 0:
            self._charged[unit] = amount
            self._account.budget.charge(self._account.task, unit, more)
        lack = self._account.budget.lacking(self._account.task)
        if lack and not self._reader.is_done:
            self.unpaid = self.unpaid or lack.unpaid
            self._cancellation.cancel()

    @property
    def facts(self) -> dict[str, object]:
        """The cost in US dollars, for the log."""
        return {"charged_usd": dollars(self._charged["usd"])}
