"""How an item ends, and its cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pytest_cobbler.causes import Cause
from pytest_cobbler.lifecycle.records import Record


class Verdict(StrEnum):
    """How an item ended, in one word.

    A task that landed is ``landed``; a measure that ended well is ``proposed``.
    """

    LANDED = "landed"
    PROPOSED = "proposed"
    FAILED = "failed"
    BLOCKED = "blocked"
    LIMITED = "limited"
    CANCELLED = "cancelled"

    @property
    def is_success(self) -> bool:
        return self in (Verdict.LANDED, Verdict.PROPOSED)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an item ended.

    ``cause`` is ``Cause.NONE`` after a success. ``summary`` is one line for people, ``details`` the evidence.
    ``notes`` are the lines of ``details`` for people who review the work. ``until``: when a limit ends;
    ``limit_is_claimed``: only the agent reports the limit. ``tests`` are those that the last gate ran, for
    people, ``flaky`` those that have failed and passed on the same tree. ``train``: how many changes landed
    together, if they did; ``gated`` is the commit whose tree was in the gate then.
    """

    verdict: Verdict
    cause: Cause = Cause.NONE
    summary: str = ""
    details: str = ""
    commit: str = ""
    train: int = 0
    gated: str = ""
    notes: tuple[str, ...] = ()
    tests: str = ""
    flaky: str = ""
    until: datetime | None = None
    limit_is_claimed: bool = False
    record: Record = field(default_factory=Record)
    transcript_tail: str = ""
