"""What happened in a generation: its runs, their items, the attempts at each.

Times are seconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_cobbler.causes import Cause
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["Attempt", "GateRun", "Item", "Phase", "Run", "Span", "Story"]


class Phase(StrEnum):
    """What an item is doing.

    ``WAITING``: it has not started; ``STARTING``: its task is claimed, and its worktree is made; ``AGENT``;
    ``CHECKING``: the work is taken out of the worktree; ``QUEUED``: the work waits for the landing lane;
    ``MERGING`` and ``GATE`` and ``LANDING``: the work is in the lane; ``BETWEEN``: an attempt has failed, and
    the next one has not begun, for example because no slot is free; ``ENDED``.
    """

    WAITING = "waiting"
    STARTING = "starting"
    AGENT = "agent"
    CHECKING = "checking"
    QUEUED = "waiting to land"
    MERGING = "merging"
    GATE = "gate"
    LANDING = "landing"
    BETWEEN = "between attempts"
    ENDED = "ended"

    @property
    def has_slot(self) -> bool:
        """Whether an item in this phase keeps another agent from starting."""
        return self in (Phase.STARTING, Phase.AGENT, Phase.CHECKING)

    @property
    def is_in_lane(self) -> bool:
        """Whether an item in this phase keeps another one from landing."""
        return self in (Phase.MERGING, Phase.GATE, Phase.LANDING)


@dataclass(kw_only=True)
class Span:
    """A time that an item spent in one phase; ``end`` is ``None`` while it is in it."""

    phase: Phase
    begin: float
    end: float | None = None
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class GateRun:
    """A gate on a merged tree. ``seconds`` are near zero if the result for that tree was known."""

    tree: str
    passed: bool
    summary: str
    seconds: float
    tests: str
    ended: float


@dataclass(kw_only=True)
class Attempt:
    """One run of an agent, and the result of its work. ``number`` counts over all runs of the generation.
    ``agent`` is the name that the configuration has for it, ``node`` is where it works; empty: here.

    ``seconds`` is ``None`` until the agent has ended. ``charged`` are the US dollars that the run counted
    while it worked. ``cause`` and ``summary`` say why the work did not
    land. ``commit`` is the landed commit, ``kept`` the reference of work that did not land.
    """

    number: int
    begin: float
    agent: str = ""
    node: str = ""
    worktree: str = ""
    seconds: float | None = None
    usage: Usage = NOTHING
    charged: float = 0.0
    error: str = ""
    cause: Cause = Cause.NONE
    summary: str = ""
    files: int | None = None
    notes: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    gates: list[GateRun] = field(default_factory=list)
    commit: str = ""
    kept: str = ""

    @property
    def spent(self) -> float:
        """US dollars, as far as they are known."""
        has_ended = self.usage.attempts and self.usage.cost_usd is not None
        return self.usage.cost_usd or 0.0 if has_ended else self.charged

    @property
    def is_spent_partial(self) -> bool:
        """Whether its agent has ended and a part of its cost is unknown."""
        return (NOTHING + self.usage).cost_is_partial


@dataclass(kw_only=True)
class Item:
    """A task or a measure in one run.

    ``key`` is ``stitch::ID`` or ``measure::NAME``. ``needs`` are the keys of items of the run. ``effort``
    are the seconds that it will probably take; ``None`` if that is unknown. ``outcome`` is a verdict; it is
    empty until the item has ended. ``spans`` follow one another without a gap. ``names_agents``: its run has
    several, so that it matters which one works.
    """

    key: str
    title: str = ""
    needs: tuple[str, ...] = ()
    effort: float | None = None
    spans: list[Span] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    outcome: str = ""
    cause: Cause = Cause.NONE
    summary: str = ""
    commit: str = ""
    ended: float | None = None
    proposed: tuple[str, ...] = ()
    names_agents: bool = False

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that worked on it, in the order of their first attempts, if the run has several."""
        agents = dict.fromkeys(attempt.agent for attempt in self.attempts if attempt.agent)
        return tuple(agents) if self.names_agents else ()

    @property
    def kind(self) -> str:
        """``stitch`` or ``measure``."""
        return self.key.partition("::")[0]

    @property
    def name(self) -> str:
        """The id of the task, or the name of the measure."""
        return self.key.partition("::")[2]

    @property
    def attempt_number(self) -> int:
        """That of its last attempt: of a task over all runs, of a measure in this run. 0 if there is none.

        Each run measures anew; an earlier measure of the same name need not have failed.
        """
        if self.attempt is None:
            return 0
        return self.attempt.number if self.kind == "stitch" else len(self.attempts)

    @property
    def phase(self) -> Phase:
        """What it is doing; in a run that was killed, what it was doing then."""
        if self.outcome:
            return Phase.ENDED
        return self.spans[-1].phase if self.spans else Phase.WAITING

    @property
    def since(self) -> float:
        """When its phase began."""
        if self.ended is not None:
            return self.ended
        return self.spans[-1].begin if self.spans else 0.0

    @property
    def began(self) -> float | None:
        """When its task was claimed, or its first agent started; ``None`` if it has not started."""
        return next((span.begin for span in self.spans if span.phase is not Phase.WAITING), None)

    @property
    def attempt(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def usage(self) -> Usage:
        """What its agents used, as far as they have ended."""
        return sum((attempt.usage for attempt in self.attempts), NOTHING)

    def divided(self) -> tuple[list[Attempt], list[Attempt]]:
        """The attempts that landed or proposed tasks, and those that came to nothing."""
        useful = [
            one for one in self.attempts if one.commit or (self.outcome == "proposed" and one is self.attempt)
        ]
        return useful, [one for one in self.attempts if one not in useful]

    @property
    def useful(self) -> Usage:
        """The part of ``usage`` that landed or proposed tasks."""
        return sum((one.usage for one in self.divided()[0]), NOTHING)

    @property
    def wasted(self) -> Usage:
        """The part of ``usage`` that came to nothing."""
        return sum((one.usage for one in self.divided()[1]), NOTHING)

    @property
    def spent(self) -> float:
        """US dollars that its agents have spent so far, as far as they are known."""
        return sum(attempt.spent for attempt in self.attempts)

    @property
    def is_spent_partial(self) -> bool:
        """Whether they spent more than that, or may have."""
        return any(attempt.is_spent_partial for attempt in self.attempts)

    def seconds_in(self, *phases: Phase, now: float) -> float:
        """The time that it spent in some phases until ``now``."""
        return sum((span.end or now) - span.begin for span in self.spans if span.phase in phases)


@dataclass(kw_only=True)
class Run:
    """One run. ``last`` is the time of its latest event; ``ended`` is ``None`` until it reached its end.

    ``facts`` are those of its first event. ``recovered``: what it took over from a dead run.
    """

    id: str
    began: float
    last: float
    tip: str = ""
    ended: float | None = None
    exit: int | None = None
    is_over: bool = False
    """Whether it has ended, or a later run began."""
    facts: Mapping[str, object] = field(default_factory=dict)
    recovered: list[str] = field(default_factory=list)
    api: str = ""
    """What new agents wait for, if the API does not serve them."""
    items: dict[str, Item] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """How many agents may work concurrently."""
        jobs = self.facts.get("jobs")
        return jobs if isinstance(jobs, int) and jobs > 0 else 1

    @property
    def has_agents(self) -> bool:
        """Whether it has several agents."""
        agents = self.facts.get("agents")
        return isinstance(agents, list | tuple) and len(agents) > 1

    @property
    def limits(self) -> Mapping[str, float]:
        """What it may spend, by the key of the configuration."""
        limits = self.facts.get("limits")
        pairs = limits.items() if isinstance(limits, Mapping) else ()
        return {str(key): float(limit) for key, limit in pairs if isinstance(limit, int | float)}

    @property
    def running(self) -> Iterator[Item]:
        """The items that have started and not ended."""
        return (item for item in self.items.values() if not item.outcome and item.began is not None)

    @property
    def waiting(self) -> Iterator[Item]:
        """The items that have not started."""
        return (item for item in self.items.values() if not item.outcome and item.began is None)

    @property
    def outcomes(self) -> Counter[str]:
        """Verdict -> the number of tasks that ended with it."""
        return Counter(item.outcome for item in self.items.values() if item.outcome and item.kind == "stitch")

    @property
    def usage(self) -> Usage:
        """What all agents used, as far as they have ended."""
        return sum((item.usage for item in self.items.values()), NOTHING)

    @property
    def spent(self) -> float:
        """US dollars that its agents have spent so far, as far as they are known."""
        return sum(item.spent for item in self.items.values())

    @property
    def is_spent_partial(self) -> bool:
        """Whether they spent more than that, or may have."""
        return any(item.is_spent_partial for item in self.items.values())


@dataclass(kw_only=True)
class Story:
    """The runs of a generation, oldest first."""

    runs: list[Run] = field(default_factory=list)

    @property
    def run(self) -> Run | None:
        """The latest run."""
        return self.runs[-1] if self.runs else None
