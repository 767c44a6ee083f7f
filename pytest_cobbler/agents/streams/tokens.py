"""What the readers of programs have in common that report their end, and tokens without a price."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.streams.events import EventReader
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.agents.values import SNAKE
from pytest_cobbler.usage import Usage

__all__ = ["TokenReader"]


class TokenReader(EventReader):
    """A reader of a program whose output has tokens and an end.

    Args:
        model: the one that the program was told to use, if no event names it.
    """

    waits_for_commands = False

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False, model: str = "") -> None:
        super().__init__(on_step, resumes=resumes)
        self._model = model
        self.session_id = ""
        self.has_begun = False
        self.has_result = False
        self.text = ""
        self.failure = ""
        self.trouble: Trouble | None = None

    @property
    @abstractmethod
    def usage(self) -> Usage:
        """The usage of the run, without its cost."""

    @property
    def doubt(self) -> str:
        """Why the run may be incomplete although it reported no failure; empty if it is complete."""
        if not self.has_result:
            return "no result"
        return "" if self.text.strip() else "the last message is empty"

    @property
    def is_done(self) -> bool:
        """Whether the run was completed; nothing of it goes on."""
        return self.has_result and not self.failure

    def spent(self, prices: PriceList) -> tuple[Literal["usd", "tokens"], int]:
        """What the run says that it spent so far, in picodollars; in tokens if there is no price."""
        usage = self.usage
        if price := prices.find(self._model):
            return "usd", price.cost({theirs: getattr(usage, ours) for ours, theirs in SNAKE.items()})
        return "tokens", sum(usage.tokens.values())
