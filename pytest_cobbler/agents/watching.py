"""What the stream of an agent says that no proxy serves: what it spends, and how the API serves it."""

from __future__ import annotations

from pytest_cobbler.agents.budget import Account, Unit, Unpaid
from pytest_cobbler.agents.health import Caller
from pytest_cobbler.agents.prices import PriceList, dollars
from pytest_cobbler.agents.streams.base import Reader
from pytest_cobbler.process import Cancellation

__all__ = ["ApiWatch", "Watch"]


class ApiWatch:
    """Tells ``caller`` of the answers and the troubles that ``reader`` has read."""

    def __init__(self, reader: Reader, caller: Caller) -> None:
        self._reader = reader
        self._caller = caller
        self._answers = 0

    def look(self, line: bytes) -> None:
        """Tell what a line has told the reader."""
        reader, caller = self._reader, self._caller
        if any(name in line for name in reader.marks.answer):
            if reader.has_begun and not reader.answers:
                caller.begins()
            if reader.answers > self._answers:
                self._answers = reader.answers
                caller.answered()
        if any(name in line for name in reader.marks.trouble) and (trouble := reader.trouble):
            caller.met(trouble)


class Watch:
    """Charges ``account`` with the cost that ``reader`` has read; ends the agent through ``cancellation``.

    ``unpaid``: why it ended the agent, if it did.
    """

    def __init__(
        self, reader: Reader, account: Account, prices: PriceList, cancellation: Cancellation
    ) -> None:
        self._reader = reader
        self._account = account
        self._prices = prices
        self._charged: dict[Unit, int] = {"usd": 0, "tokens": 0}
        self._cancellation = cancellation
        self.unpaid: Unpaid | None = None

    def look(self, line: bytes) -> None:
        """Count what a line has told the reader."""
        if not any(name in line for name in self._reader.marks.cost):
            return
        unit, amount = self._reader.spent(self._prices)
        more = amount - self._charged[unit]
        if more > 0:
            self._charged[unit] = amount
            self._account.budget.charge(self._account.task, unit, more)
            self._account.note(unit, more)
            if unit == "tokens":
                self._account.budget.note_unpriced(self._reader.usage.model or "unknown model", more)
        lack = self._account.budget.lacking(self._account.task)
        if lack and not self._reader.is_done:
            self.unpaid = self.unpaid or lack.unpaid
            self._cancellation.cancel()

    @property
    def facts(self) -> dict[str, object]:
        """The cost in US dollars, for the log."""
        return {"charged_usd": dollars(self._charged["usd"])}
