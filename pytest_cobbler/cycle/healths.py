"""The APIs of the agents of a run, together: which agent may start, what the run waits for, when it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from pytest_cobbler.agents.health import ApiHealth, Stop

__all__ = ["Healths"]


class Healths:
    """The state of the API of each agent, by the agent's name, in the order in which they are asked."""

    def __init__(self, healths: Mapping[str, ApiHealth]) -> None:
        self._healths = dict(healths)

    def __getitem__(self, name: str) -> ApiHealth:
        return self._healths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._healths)

    def __len__(self) -> int:
        return len(self._healths)

    def all(self) -> Iterable[ApiHealth]:
        return self._healths.values()

    @property
    def stop(self) -> Stop | None:
        """Why no more agents start in the run; ``None`` if one may, now or later."""
        return self.stop_of(tuple(self))

    def stop_of(self, names: Sequence[str]) -> Stop | None:
        """Why none of some agents starts any more.

        A refusal of a credential ends the whole run: another agent would only hide it.
        """
        stops = [health.stop for health in self.all()]
        if refusal := next((stop for stop in stops if stop and stop.at_once), None):
            return refusal
        of_names = [self._healths[name].stop for name in names]
        return next(iter(of_names), None) if all(of_names) else None

    def serving(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of some agents that may start, now or later."""
        return tuple(name for name in names if self._healths[name].stop is None)

    @property
    def waiting_for(self) -> ApiHealth | None:
        """The one that new agents wait for, which ends first; ``None`` if an agent may start."""
        waits: list[tuple[datetime, ApiHealth]] = []
        for health in self.all():
            if health.stop is not None:
                continue
            until = health.waits_until
            if until is None:
                return None
            waits.append((until, health))
        return min(waits, key=lambda one: one[0])[1] if waits else None

    @property
    def passed_over(self) -> tuple[str, str]:
        """The first agent, if it starts no work now, and the one that works instead; empty if it may work."""
        first, *rest = self
        if _serves(self._healths[first]):
            return "", ""
        instead = next((name for name in rest if _serves(self._healths[name])), "")
        return (first, instead) if instead else ("", "")


def _serves(health: ApiHealth) -> bool:
    return health.stop is None and health.waits_until is None
