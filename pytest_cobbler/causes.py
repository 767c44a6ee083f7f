"""How things end, in one word each: a process or job (``Ending``), an attempt or an item (``Cause``)."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Cause", "Ending"]


class Ending(StrEnum):
    """How a process or a job ended. ``exited`` says nothing about its exit status.

    ``disk``: it wrote more than it may. ``killed``: by something other than its limits or a cancellation,
    such as a lack of memory. ``lost``: nothing is known of its end, because its node does not answer.
    """

    EXITED = "exited"
    TIMEOUT = "timeout"
    IDLE = "idle"
    DISK = "disk"
    KILLED = "killed"
    LOST = "lost"
    CANCELLED = "cancelled"

    @property
    def cause(self) -> Cause:
        """The cause of an attempt whose agent failed and ended like this."""
        return Cause.AGENT if self is Ending.EXITED else Cause(self.value)


class Cause(StrEnum):
    """Why an attempt did not land, or an item did not succeed.

    The words appear in reports, records and the commits of kept attempts. ``NONE`` is the cause of what did
    not fail: it is false.
    """

    # The work of the agent.
    AGENT = "agent"
    TIMEOUT = "timeout"
    IDLE = "idle"
    DISK = "disk"
    KILLED = "killed"
    LOST = "lost"
    LIMITED = "limited"
    BUDGET = "budget"
    ACCESS = "access"
    MODEL = "model"
    PROMPT = "prompt"
    NO_CHANGE = "no-change"
    HARVEST = "harvest"
    REFUSED = "refused"
    OUTPUT = "output"

    # The landing.
    CONFLICT = "conflict"
    GATE = "gate"
    LANDING = "landing"

    # The run.
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    CLAIMED = "claimed"
    NEEDS = "needs"
    NOT_ASKED = "not-asked"
    SANDBOX = "sandbox"
    HOOK = "hook"
    ERROR = "error"

    NONE = ""
    UNKNOWN = "unknown"

    @classmethod
    def parse(cls, word: str) -> Cause:
        """Read the cause of a kept attempt; a word of another version is ``UNKNOWN``."""
        try:
            return cls(word) or cls.UNKNOWN
        except ValueError:
            return cls.UNKNOWN

    @property
    def continues(self) -> bool:
        """Whether a new run goes on from the kept work instead of starting afresh."""
        return self in _CONTINUED

    @property
    def is_final(self) -> bool:
        """Whether a further attempt in the same run would not help."""
        return self in _FINAL

    @property
    def feedback(self) -> Cause:
        """The kind of feedback that the next prompt has: one of six causes."""
        return self if self in _EXPLAINED else Cause.AGENT


_CONTINUED = frozenset(
    {
        Cause.AGENT,
        Cause.GATE,
        Cause.CONFLICT,
        Cause.TIMEOUT,
        Cause.IDLE,
        Cause.KILLED,
        Cause.LOST,
        Cause.CANCELLED,
        Cause.LIMITED,
        Cause.BUDGET,
        Cause.ACCESS,
        Cause.MODEL,
        Cause.LANDING,
        Cause.INTERRUPTED,
    }
)
_FINAL = frozenset(
    {
        Cause.CANCELLED,
        Cause.LIMITED,
        Cause.BUDGET,
        Cause.ACCESS,
        Cause.MODEL,
        Cause.PROMPT,
        Cause.NO_CHANGE,
        Cause.LANDING,
    }
)
_EXPLAINED = frozenset({Cause.CONFLICT, Cause.GATE, Cause.REFUSED, Cause.HARVEST, Cause.NO_CHANGE})
