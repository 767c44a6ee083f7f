"""Whether an agent that the API did not serve is followed by another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.agents.claims import bounded
from pytest_cobbler.agents.health import ApiHealth, Stop
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.outcome import Outcome, Verdict

__all__ = ["MOST", "Followers", "Patience", "stopped"]

MOST: Final = 3
"""How often an item is tried that the API does not serve while it answers otherwise."""


class Patience:
    """For one item: an agent that follows one that the API did not serve is not counted.

    That goes on as long as the run waits for the API at all. But if the API answered in the meantime, it may
    be the item itself that it does not serve; and what only the agent reports may not be true.
    """

    def __init__(self, health: ApiHealth, item: str) -> None:
        self._health = health
        self._item = item
        self._answers = 0
        self._tried = 0

    def begin(self) -> None:
        """An agent starts."""
        self._answers = self._health.answers

    def goes_on(self, result: AgentResult) -> bool:
        """Whether another agent may follow after this end."""
        if not result.limited:
            return False
        if self._item not in self._health.watched:
            self._tell(result)
        self._tried += result.limit_is_claimed or self._health.answers > self._answers
        return result.limit_passes and self._tried < MOST and self._health.waits_for(result.limited_until)

    def _tell(self, result: AgentResult) -> None:
        """The end of an agent whose requests were not seen: that of a hook, or of a recording."""
        trouble = Trouble(
            cause=result.refused or Cause.LIMITED,
            passes=result.limit_passes,
            words=result.error.removeprefix("agent: "),
            until=result.limited_until,
        )
        is_claimed = result.limit_is_claimed
        self._health.met(trouble, self._item, is_sure=not is_claimed, is_claimed=is_claimed)


class Followers:
    """For one item: the agents that may make its next attempt, in the order in which they are asked.

    One that the API does not serve is followed by the next immediately. An attempt that failed for another
    reason is followed by one of the same agent, whose conversation goes on.

    Args:
        names: the agents that may work on the item.
    """

    def __init__(self, healths: Healths, item: str, names: Sequence[str]) -> None:
        self._healths = healths
        self._patiences = {name: Patience(healths[name], item) for name in names}
        self._last = ""
        self.names = tuple(names)

    @property
    def stop(self) -> Stop | None:
        """Why none of them may start any more."""
        return self._healths.stop_of(self.names)

    def begin(self, name: str) -> None:
        """An agent starts."""
        self._last = name
        self.names = (name, *(other for other in self._patiences if other != name))
        self._patiences[name].begin()

    def goes_on(self, result: AgentResult) -> bool:
        """Whether an attempt that the API cut short is followed by another one that is not counted."""
        if not result.limited:
            return False
        goes_on = self._patiences[self._last].goes_on(result)
        if not goes_on:
            del self._patiences[self._last]
        self.names = tuple(self._patiences)
        return goes_on or bool(self._healths.serving(self.names) and not self.stop)


def stopped(stop: Stop, details: str = "", *, again: bool = False) -> Outcome:
    """The end of an item of which no attempt begins any more, ``again`` or at all: no agents start."""
    return Outcome(
        verdict=Verdict.LIMITED,
        cause=stop.cause,
        summary=f"not tried{' again' if again else ''}: agent: {stop.trouble.shown}",
        details=details,
        until=bounded(stop.until),
        limit_is_claimed=stop.is_claimed,
    )
