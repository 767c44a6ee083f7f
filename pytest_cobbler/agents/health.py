"""The state of the API as all agents of a run share it: whether it serves, when, and how many of them.

Rate limits and faults concern all agents alike. So after one of them, new agents wait, and fewer work in
parallel: half as many after each trouble, and one more after each answer. There is no input or output here.
The clock is passed in; it is that of the wall, because the API names times of day, and a machine may sleep.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pytest_cobbler.agents.claims import bounded
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.causes import Cause

__all__ = ["ApiHealth", "Caller", "Stop", "utc_now"]

FIRST_WAIT: Final = timedelta(seconds=2)
"""The wait after a trouble that names no time. It doubles until an answer comes."""

LONGEST_WAIT: Final = timedelta(minutes=2)

WITNESSES: Final = 2
"""Tasks that have to say the same where one of them may be wrong."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Why no more agents start in a run. ``at_once``: those that work cannot go on either.

    ``until``: when the API serves again, if that is known. ``is_claimed``: only agents report it.
    """

    trouble: Trouble
    until: datetime | None = None
    at_once: bool = False
    is_claimed: bool = False

    @property
    def cause(self) -> Cause:
        return self.trouble.cause


class ApiHealth:
    """What the agents of one run have seen of the API. Thread-safe.

    Args:
        agents: the number that may work in parallel.
        patience: seconds that are waited for the API at most; ``None``: for ever.
        clock: the time of day.
        changed: called, in any thread, when agents may start or the run has to end.
    """

    def __init__(
        self,
        agents: int = 1,
        patience: float | None = None,
        clock: Callable[[], datetime] = utc_now,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.agents = agents
        self._patience = None if patience is None else timedelta(seconds=patience)
        self._clock = clock
        self._changed = changed
        self._lock = threading.Lock()
        self._began: datetime | None = None
        self._last: datetime | None = None
        self._until: datetime | None = None
        self._is_guess = False
        self._delay = FIRST_WAIT
        self._witnesses: dict[tuple[Cause, bool], set[str]] = {}
        self.allowed = agents
        """Agents that may work in parallel now."""
        self.least = agents
        """The smallest number of them so far."""
        self.stop: Stop | None = None
        self.last: Trouble | None = None
        """The last trouble that agents waited for."""
        self.seen: Counter[int] = Counter()
        """Status -> how often the API answered so; 0: not at all."""
        self.answers = 0
        self.watched: set[str] = set()
        """Items whose agents have a caller."""
        self.waited = timedelta()
        """The time for which no agent could start, with what is left of the current wait."""

    @property
    def now(self) -> datetime:
        return self._clock()

    @property
    def waits_until(self) -> datetime | None:
        """When agents may start again; ``None`` if they may."""
        with self._lock:
            return self._until if self._until is not None and self._clock() < self._until else None

    def may_start(self, working: int) -> bool:
        """Whether one more agent may start beside ``working`` ones."""
        if self.stop is not None or self.waits_until is not None:
            return False
        return working < self.allowed

    def waits_for(self, until: datetime | None) -> bool:
        """Whether the run waits for the end of a trouble."""
        with self._lock:
            if self.stop is not None:
                return False
            now = self._clock()
            return self._patience is None or until is None or until - now <= self._patience

    def answered(self, asked: datetime | None = None) -> None:
        """The API has served a request that was sent at ``asked``; by default, after the last trouble."""
        with self._lock:
            self.answers += 1
            self._witnesses.clear()
            if self._last is not None and asked is not None and asked <= self._last:
                return  # it was under way already
            self._began, self._delay = None, FIRST_WAIT
            now = self._clock()
            if self._is_guess and self._until is not None and now < self._until:
                self._set_until(now)
            may_grow = self.allowed < self.agents
            self.allowed += may_grow
        if may_grow:
            self._changed()

    def met(self, trouble: Trouble, item: str, *, is_sure: bool, is_claimed: bool = False) -> None:
        """An agent that works on ``item`` has met with a trouble.

        Args:
            is_sure: it can only concern all agents; else two items have to meet with it.
            is_claimed: only the agent reports it.
        """
        trouble = replace(trouble, until=bounded(trouble.until, self._clock()))
        with self._lock:
            self.seen[trouble.status] += 1
            if self.stop is not None and (self.stop.at_once or not trouble.is_refusal):
                return  # a refusal ends the whole run, where another agent could take over from a limit
            items = self._witnesses.setdefault((trouble.cause, trouble.passes), set())
            items.add(item)
            is_certain = is_sure or len(items) >= WITNESSES
            if trouble.passes and (not is_claimed or self._is_short(trouble)):
                self._back_off(trouble, may_end=is_certain or not is_claimed, is_claimed=is_claimed)
            elif is_certain:
                self.stop = Stop(
                    trouble=trouble,
                    until=trouble.until,
                    at_once=trouble.is_refusal,
                    is_claimed=is_claimed,
                )
            is_over = self.stop is not None
        if is_over:
            self._changed()

    def _is_short(self, trouble: Trouble) -> bool:
        if self._patience is None or trouble.until is None:
            return True
        return trouble.until - self._clock() <= self._patience

    def _back_off(self, trouble: Trouble, *, may_end: bool, is_claimed: bool) -> None:
        now = self._clock()
        self._began = self._began or now
        self._last, self.last = now, trouble
        if self._until is None or now >= self._until:  # the requests of one moment count once
            self.allowed = max(1, self.allowed // 2)
            self.least = min(self.least, self.allowed)
            self._is_guess = True
            guess, self._delay = now + self._delay, min(2 * self._delay, LONGEST_WAIT)
            self._until = now
        else:
            guess = self._until
        named = trouble.until if trouble.until is not None and trouble.until > now else None
        self._is_guess = self._is_guess and named is None
        until = max(self._until, named or guess)
        if may_end and self._patience is not None and until - self._began > self._patience:
            self.stop = Stop(trouble=trouble, until=named, is_claimed=is_claimed)
        else:
            self._set_until(until)

    def _set_until(self, until: datetime) -> None:
        """Move the end of the wait, and count the time."""
        assert self._until is not None
        self.waited += until - self._until
        self._until = until


class Caller:
    """One agent as a client of the API: what it meets with concerns all others.

    An agent is steered by what the model answers, and may bring a refusal about for itself. So a refusal is
    one of the whole run only if it came before the first answer, or if no agent can bring it about. Of an
    agent that is not seen, the beginning is certain: after that it may print anything.

    Args:
        item: the task or measure that it works on.
        is_seen: the proxy sees its requests; else there is only its word.
        resumes: it goes on with an earlier conversation, which may be too long for the API.
        refused: called, in any thread, when the API refuses all agents.
    """

    def __init__(
        self,
        health: ApiHealth,
        item: str,
        *,
        is_seen: bool,
        resumes: bool = False,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self.health = health
        self._item = item
        self._is_seen = is_seen
        self._resumes = resumes
        self._refused = refused
        health.watched.add(item)
        self._has_begun = is_seen
        self.was_answered = not is_seen
        self.was_refused = False
        self._unknown_model: Trouble | None = None

    def begins(self) -> None:
        """The program has reported its start."""
        if not self._has_begun:
            self._has_begun, self.was_answered = True, False

    def answered(self, asked: datetime | None = None) -> None:
        self._has_begun = self.was_answered = True
        self._unknown_model = None
        self.health.answered(asked)

    def met(self, trouble: Trouble) -> None:
        if trouble.cause is Cause.PROMPT:
            # A conversation grows; the first request is that of the run.
            if not (self.was_answered or self._resumes):
                self.health.met(trouble, self._item, is_sure=False, is_claimed=not self._is_seen)
            return
        if trouble.cause is Cause.MODEL:  # a program may have several, and do without one of them
            self._unknown_model = trouble
            return
        self._tell(trouble)

    def ended(self) -> None:
        """The agent has ended."""
        if self._unknown_model:
            self._tell(self._unknown_model)

    def _tell(self, trouble: Trouble) -> None:
        is_sure = self.is_sure(trouble)
        self.health.met(trouble, self._item, is_sure=is_sure, is_claimed=not self._is_seen)
        if trouble.is_refusal and is_sure:
            self.was_refused = True
            self._refused()

    def is_sure(self, trouble: Trouble) -> bool:
        """Whether a trouble can only be one of all agents."""
        if not self.was_answered:
            return True
        is_credential = trouble.status == 401 or trouble.cause is Cause.LIMITED
        return self._is_seen and is_credential
