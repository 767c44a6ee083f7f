"""What a run needs to know of an agent's output: a reader for each format has these names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.prices import PriceList
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.usage import Usage

__all__ = ["LONGEST_TEXT", "Marks", "NewReader", "Reader"]

LONGEST_TEXT = 64 * 1024
"""Characters kept of the agent's last message."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """A line that reports a cost, an answer of the model or a trouble with the API has one of these words."""

    cost: tuple[bytes, ...] = ()
    answer: tuple[bytes, ...] = ()
    trouble: tuple[bytes, ...] = ()


class Reader(Protocol):
    """Takes the output of a run, and says what it means. No input makes a reader raise.

    ``is_thinking``: the model was asked, and nothing has come from it but thought; ``thought`` are the tokens
    of that, if the program reports them.
    """

    marks: Marks
    is_thinking: bool
    thought: int

    def feed(self, lines: bytes, looks: Sequence[Callable[[bytes], None]] = ()) -> None:
        """Take whole lines.

        Args:
            looks: each is called with a line after the line was taken, if it may be an event.
        """
        ...

    @property
    def session_id(self) -> str:
        """The id of the conversation, if the program reports it."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether the program has reported its start."""
        ...

    @property
    def has_result(self) -> bool:
        """Whether the program has reported its end, and what it used."""
        ...

    @property
    def answers(self) -> int:
        """The number of answers of the model so far."""
        ...

    @property
    def text(self) -> str:
        """The agent's last message."""
        ...

    @property
    def last_log(self) -> str:
        """The last line that was not an event."""
        ...

    @property
    def failure(self) -> str:
        """The error that the program reports, in one line; empty if it reports none."""
        ...

    @property
    def doubt(self) -> str:
        """Why the run may be incomplete although it reported no failure; empty if it is complete."""
        ...

    @property
    def is_done(self) -> bool:
        """Whether the program has reported its success, and nothing is running that could change files."""
        ...

    @property
    def waits_for_commands(self) -> bool:
        """As ``is_done``, but commands are running in the background, such as a server that never ends."""
        ...

    @property
    def trouble(self) -> Trouble | None:
        """Why the API does not serve the program, by its last report."""
        ...

    @property
    def usage(self) -> Usage:
        """What the program reports that it used; before its end, the least."""
        ...

    def spent(self, prices: PriceList) -> tuple[Literal["usd", "tokens"], int]:
        """What the run says that it spent so far, in picodollars; in tokens if there is no price."""
        ...


class NewReader(Protocol):
    """Makes the reader of one run; ``resumes``: the run goes on with a conversation of earlier ones."""

    def __call__(self, on_step: OnStep | None = None, *, resumes: bool = False) -> Reader: ...
