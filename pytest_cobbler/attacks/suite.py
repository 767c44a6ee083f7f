"""The suite: every attack, on one ground, in families; a few run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import MappingProxyType
from typing import Final

from pytest_cobbler.attacks.attack import FAMILIES, Attack, Line, every_attack
from pytest_cobbler.attacks.gate import try_gate
from pytest_cobbler.attacks.ground import Ground, Target, prepared
from pytest_cobbler.attacks.inside import try_inside, try_network
from pytest_cobbler.attacks.job import try_job
from pytest_cobbler.attacks.landing import try_landing
from pytest_cobbler.attacks.measure import try_measure
from pytest_cobbler.attacks.overlay import try_overlay
from pytest_cobbler.attacks.proxy import try_proxy
from pytest_cobbler.attacks.session import try_session
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation

__all__ = ["ON_NODES", "run_suite"]

ON_NODES: Final = ("inside", "network", "proxy")
"""Families that are tried where agents work, if that is on nodes."""

_AT_ONCE: Final = 3
"""Containers at the same time; more are not faster on two processors."""

Trial = Callable[[Ground, Cancellation], Sequence[Line]]
Together = Callable[[Ground, Sequence[Attack], Cancellation], Sequence[Line]]
Alone = Callable[[Ground, Attack, Cancellation], Line]

_TOGETHER: Final[Mapping[str, Together]] = MappingProxyType(
    {
        "inside": try_inside,
        "network": try_network,
        "proxy": try_proxy,
        "landing": try_landing,
        "overlay": try_overlay,
        "measure": try_measure,
        "session": try_session,
    }
)
"""Families whose attacks share a job."""

_ALONE: Final[Mapping[str, Alone]] = MappingProxyType({"gate": try_gate, "job": try_job})

_PARTS: Final = {"landing": _AT_ONCE}
"""In how many jobs attacks of a family are tried, if not in one."""


def run_suite(
    target: Target, cancellation: Cancellation, attacks: Sequence[Attack] | None = None
) -> Iterator[Line]:
    """Try attacks on ``target``, by default every one; the results in their order, as they come.

    Args:
        attacks: in the order of the families.

    Raises:
        CobblerError: the ground could not be made.
    """
    with prepared(target) as ground, ThreadPoolExecutor(_AT_ONCE, "cobbler-attacks") as threads:
        futures: list[Future[Sequence[Line]]] = []
        try:
            for part, trial in _trials(every_attack() if attacks is None else attacks):
                futures.append(threads.submit(_guarded, part, trial, ground, cancellation))
            for future in futures:
                yield from future.result()
        finally:
            cancellation.cancel()


def _trials(every: Sequence[Attack]) -> Iterator[tuple[Sequence[Attack], Trial]]:
    for family in FAMILIES:
        attacks = [attack for attack in every if attack.family == family]
        if family in _TOGETHER:
            size = -(-len(attacks) // _PARTS.get(family, 1)) or 1
            for begin in range(0, len(attacks), size):
                part = attacks[begin : begin + size]
                yield part, _trial_of_all(_TOGETHER[family], part)
        else:
            for attack in attacks:
                yield [attack], _trial_of_one(_ALONE[family], attack)


def _trial_of_all(function: Together, attacks: Sequence[Attack]) -> Trial:
    return lambda ground, cancellation: function(ground, attacks, cancellation)


def _trial_of_one(function: Alone, attack: Attack) -> Trial:
    return lambda ground, cancellation: [function(ground, attack, cancellation)]


def _guarded(
    attacks: Sequence[Attack], trial: Trial, ground: Ground, cancellation: Cancellation
) -> Sequence[Line]:
    """The results; if git, podman or the disk fails, nothing of the trial counts as held."""
    try:
        return trial(ground, cancellation)
    except (CobblerError, OSError) as error:
        why = error.cause if isinstance(error, CobblerError) else str(error)
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
