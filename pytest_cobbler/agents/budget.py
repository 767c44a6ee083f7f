"""What a run may spend: an amount is reserved before a request is sent, for all agents together.

So what is spent and what is reserved never exceed a limit together. There is no input or output here and no
clock. Amounts are whole numbers: picodollars for models with a price, tokens for others.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from pytest_cobbler.agents.bounds import KnownPrompts
from pytest_cobbler.agents.prices import dollars

__all__ = [
    "ENOUGH",
    "LEAST",
    "Account",
    "Budget",
    "Lack",
    "Limits",
    "Need",
    "Past",
    "Purse",
    "Ticket",
    "Unpaid",
]

LEAST: Final = 4096
"""Tokens of output that a request gets at least, if it asks for as many; else it waits, or is refused."""

ENOUGH: Final = 16_384
"""Tokens of output beyond which a request gets no more than its share of what is left."""

Unit = Literal["usd", "tokens"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The keys of the configuration, as amounts; ``None``: no limit."""

    budget_usd: int | None = None
    generation_budget_usd: int | None = None
    task_budget_usd: int | None = None
    budget_tokens: int | None = None

    @property
    def of_money(self) -> bool:
        """Whether money is limited, so that a model without a price needs another limit."""
        return (self.budget_usd, self.generation_budget_usd, self.task_budget_usd) != (None, None, None)

    @property
    def any(self) -> bool:
        return self.of_money or self.budget_tokens is not None


@dataclass(frozen=True, kw_only=True)
class Past:
    """What earlier runs of the generation spent, in all and on each task."""

    generation: int = 0
    tasks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True)
class Need:
    """The most that a request may take: ``input``, and ``each`` of its tokens of output."""

    input: int
    each: int
    asked: int

    @property
    def least(self) -> int:
        """The tokens of output without which it is not sent."""
        return min(self.asked, LEAST)

    def amount(self, tokens: int) -> int:
        return self.input + tokens * self.each


@dataclass(kw_only=True)
class Purse:
    """One limit, which ``key`` names in the configuration."""

    key: str
    unit: Unit
    limit: int | None
    spent: int = 0
    reserved: int = 0

    @property
    def room(self) -> int | None:
        """What is neither spent nor reserved; ``None``: no limit."""
        return None if self.limit is None else self.limit - self.spent - self.reserved

    def tokens(self, need: Need, share: int = 1) -> int:
        """The tokens of output that a request can get out of a ``share``-th of the room."""
        if self.room is None:
            return need.asked
        left = self.room // share - need.input
        if left < 0:
            return -1
        return need.asked if not need.each else min(need.asked, left // need.each)


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Why a request was refused: of ``limit``, ``spent`` is gone, and it needs ``needed``."""

    key: str
    unit: Unit
    limit: int
    spent: int
    needed: int

    @property
    def unpaid(self) -> Unpaid:
        spent, limit, needed = (self._shown(amount) for amount in (self.spent, self.limit, self.needed))
        unit = "USD" if self.unit == "usd" else "tokens"
        reason = f"{self.key}: {spent} of {limit} {unit} are spent, and the next request may take {needed}"
        return Unpaid(reason=reason, is_of_task=self.key == "task_budget_usd")

    def _shown(self, amount: int) -> str:
        return f"{dollars(amount):.4f}" if self.unit == "usd" else str(amount)


@dataclass(frozen=True, kw_only=True)
class Unpaid:
    """Why the budget did not pay for an agent. ``is_of_task``: only its task has used up its own budget."""

    reason: str
    is_of_task: bool = False


class Ticket:
    """A request on its way. While it is neither granted nor refused, it waits.

    ``tokens`` are the tokens of output that it may have, ``reserved`` is the amount.
    """

    def __init__(self, need: Need, purses: tuple[Purse, ...], decided: Callable[[], None]) -> None:
        self.need = need
        self.purses = purses
        self.decided = decided
        self.is_granted = False
        self.is_settled = False
        self.tokens = 0
        self.reserved = 0
        self.lack: Lack | None = None


class Budget:
    """The limits of one run. Thread-safe; requests are served in the order in which they came.

    A request that has to wait for one limit holds up later ones for that limit, and no others.
    """

    def __init__(self, limits: Limits = Limits(), past: Past = Past()) -> None:
        self.limits = limits
        self.known = KnownPrompts()
        self._past = past
        self._lock = threading.Lock()
        self._run = Purse(key="budget_usd", unit="usd", limit=limits.budget_usd)
        self._generation = Purse(
            key="generation_budget_usd",
            unit="usd",
            limit=limits.generation_budget_usd,
            spent=past.generation,
        )
        self._tokens = Purse(key="budget_tokens", unit="tokens", limit=limits.budget_tokens)
        self._tasks: dict[str, Purse] = {}
        self._waiting: list[Ticket] = []
        self._agents = 0
        self.unpriced: dict[str, int] = {}
        """Model without a price -> its tokens."""

    @property
    def purses(self) -> tuple[Purse, Purse, Purse]:
        """Those of the run, the generation, and the tokens of models without a price."""
        return self._run, self._generation, self._tokens

    @property
    def waiting(self) -> int:
        """The number of requests that wait."""
        with self._lock:
            return len(self._waiting)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """An agent works; the remaining amount is shared among those that do."""
        with self._lock:
            self._agents += 1
        try:
            yield
        finally:
            with self._lock:
                self._agents -= 1

    def ask(self, task: str | None, unit: Unit, need: Need, decided: Callable[[], None]) -> Ticket:
        """Ask for an amount; ``decided`` is called, in any thread, when the ticket is granted or refused.

        Args:
            task: the task to whose budget the request counts; ``None`` for a measure.
        """
        with self._lock:
            ticket = Ticket(need, self._purses_of(task, unit), decided)
            self._waiting.append(ticket)
            done = self._serve()
        _tell(done)
        return ticket

    def settle(self, ticket: Ticket, amount: int) -> None:
        """Replace a reservation by what was spent. What an answer that was cut cost is the reservation."""
        with self._lock:
            if not ticket.is_granted or ticket.is_settled:
                return
            ticket.is_settled = True
            for purse in ticket.purses:
                purse.reserved -= ticket.reserved
                purse.spent += amount
            done = self._serve()
        _tell(done)

    def withdraw(self, ticket: Ticket) -> None:
        """The request will not be sent, whether it waits or was granted."""
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                done = self._serve()
            else:
                done = []
        _tell(done)
        self.settle(ticket, 0)

    def charge(self, task: str | None, unit: Unit, amount: int) -> None:
        """Count what an agent reports that no proxy serves."""
        with self._lock:
            for purse in self._purses_of(task, unit):
                purse.spent += amount
            done = self._serve()
        _tell(done)

    def note_unpriced(self, model: str, tokens: int) -> None:
        """Remember tokens whose price is unknown."""
        with self._lock:
            self.unpriced[model] = self.unpriced.get(model, 0) + tokens

    def lacking(self, task: str | None) -> Lack | None:
        """The limit that is used up; ``None`` if there is none."""
        with self._lock:
            for purse in (*self._purses_of(task, "usd"), self._tokens):
                if purse.limit is not None and purse.spent >= purse.limit:
                    return _lack(purse, 1)
        return None

    def left(self, task: str | None) -> int | None:
        """The money that is left for a task; ``None``: no limit."""
        with self._lock:
            rooms = [purse.room for purse in self._purses_of(task, "usd")]
        return min((max(0, room) for room in rooms if room is not None), default=None)

    def _purses_of(self, task: str | None, unit: Unit) -> tuple[Purse, ...]:
        if unit == "tokens":
            return (self._tokens,)
        if task is None:
            return self._run, self._generation
        if task not in self._tasks:
            spent = self._past.tasks.get(task, 0)
            limit = self.limits.task_budget_usd
            self._tasks[task] = Purse(key="task_budget_usd", unit="usd", limit=limit, spent=spent)
        return self._run, self._generation, self._tasks[task]

    def _serve(self) -> list[Ticket]:
        """Decide on all tickets that can be decided on; return them."""
        done: list[Ticket] = []
        held: list[Purse] = []
        for ticket in list(self._waiting):
            need = ticket.need
            short = [purse for purse in ticket.purses if purse.tokens(need) < need.least]
            final = next((purse for purse in short if not purse.reserved), None)
            if final is not None:
                ticket.lack = _lack(final, need.amount(need.least))
            elif short:
                held += short
                continue
            elif any(purse is one for purse in ticket.purses for one in held):
                continue
            else:
                self._grant(ticket)
            self._waiting.remove(ticket)
            done.append(ticket)
        return done

    def _grant(self, ticket: Ticket) -> None:
        need, agents = ticket.need, max(1, self._agents)
        most = min(purse.tokens(need) for purse in ticket.purses)
        share = min(purse.tokens(need, agents) for purse in ticket.purses)
        ticket.tokens = min(most, max(ENOUGH, share))
        ticket.reserved = need.amount(ticket.tokens)
        ticket.is_granted = True
        for purse in ticket.purses:
            purse.reserved += ticket.reserved


@dataclass(frozen=True, kw_only=True)
class Account:
    """The part of a run's budget that an agent draws on.

    ``task`` is ``None`` for a measure. ``streams`` is the number of answers that one agent gets concurrently.
    ``on_spent`` is called with each amount of money that was spent, in picodollars.
    """

    budget: Budget
    task: str | None = None
    streams: int = 8
    on_spent: Callable[[int], None] = lambda _amount: None

    def note(self, unit: Unit, amount: int) -> None:
        """Tell that an amount was spent, after the budget was charged with it."""
        if unit == "usd" and amount > 0:
            self.on_spent(amount)


def _lack(purse: Purse, needed: int) -> Lack:
    assert purse.limit is not None
    return Lack(key=purse.key, unit=purse.unit, limit=purse.limit, spent=purse.spent, needed=needed)


def _tell(tickets: Iterable[Ticket]) -> None:
    for ticket in tickets:
        ticket.decided()
