"""Which prefix of the window is decided next, and which others may be in the gate meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Literal, Protocol

__all__ = ["LandEach", "LandTrains", "LandingPolicy", "make_policy"]

_LONGEST: Final = 256
"""Changes of a train."""


class LandingPolicy(Protocol):
    """The policy of a landing lane. A prefix is named by the number of its changes."""

    @property
    def gate_jobs(self) -> int:
        """How many gates may run beside each other."""

    @property
    def reach(self) -> int:
        """How many of the changes that wait are merged with each other."""

    @property
    def takes_arrivals(self) -> bool:
        """Whether changes that arrive while a prefix is in the gate are merged meanwhile."""

    @property
    def names_partners(self) -> bool:
        """Whether the gate is asked with which other change a change fails."""

    def prefixes(self, count: int, red: int) -> Iterable[int]:
        """The prefix to decide, and then those of which the verdict may be needed after it.

        Args:
            count: the changes that are merged with each other.
            red: the shortest prefix that is known not to pass as a whole; 0 if none is.
        """


class LandEach:
    """Each change lands by itself, as a tree that was gated. The gates of others run ahead."""

    takes_arrivals = True
    names_partners = False

    def __init__(self, gate_jobs: int) -> None:
        self.gate_jobs = self.reach = gate_jobs

    def prefixes(self, count: int, red: int) -> Iterable[int]:  # noqa: ARG002 (of one change only)
        return range(1, count + 1)


class LandTrains:
    """All changes that wait land together, if they pass together; else the longest prefix that passes."""

    takes_arrivals = False
    names_partners = True
    reach = _LONGEST

    def __init__(self, gate_jobs: int) -> None:
        self.gate_jobs = gate_jobs

    def prefixes(self, count: int, red: int) -> Iterable[int]:
        if not red:
            return [count]
        return [1] if red == 1 else _halves(red)


def make_policy(landing: Literal["each", "train"], gate_jobs: int) -> LandingPolicy:
    """The policy of a configuration."""
    return LandTrains(gate_jobs) if landing == "train" else LandEach(gate_jobs)


def _halves(red: int) -> Iterator[int]:
    """The prefixes shorter than ``red`` in the order of a bisection."""
    spans = deque([(0, red)])
    while spans:
        green, red = spans.popleft()
        if red - green > 1:
            middle = (green + red) // 2
            yield middle
            spans += [(green, middle), (middle, red)]
