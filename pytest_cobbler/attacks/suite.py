"""The suite: every attack, on one ground, in families; a few run at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from pytest_cobbler.attacks.attack import FAMILIES, Attack, Line, attacks_of
from pytest_cobbler.attacks.gate import try_gate
from pytest_cobbler.attacks.ground import Ground, Target, prepared
from pytest_cobbler.attacks.inside import try_inside, try_network
from pytest_cobbler.attacks.job import try_job
from pytest_cobbler.attacks.landing import try_landing
from pytest_cobbler.attacks.proxy import try_proxy
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation

__all__ = ["run_suite"]

_AT_ONCE: Final = 3
"""Containers at the same time; more are not faster on two processors."""

_TOGETHER: Final = {"inside": try_inside, "network": try_network, "proxy": try_proxy}
"""Families whose attacks share a job."""

_ALONE: Final = {"landing": try_landing, "gate": try_gate, "job": try_job}

Trial = Callable[[Ground, Cancellation], Sequence[Line]]


def run_suite(target: Target, cancellation: Cancellation) -> Iterator[Line]:
    """Try every attack on ``target``; the results in the order of the families, as they come.

    Raises:
        CobblerError: the ground could not be made.
    """
    with prepared(target) as ground, ThreadPoolExecutor(_AT_ONCE, "cobbler-attacks") as threads:
        futures: list[Future[Sequence[Line]]] = []
        try:
            for attacks, trial in _trials():
                futures.append(threads.submit(_guarded, attacks, trial, ground, cancellation))
            for future in futures:
                yield from future.result()
        finally:
            cancellation.cancel()


def _trials() -> Iterator[tuple[Sequence[Attack], Trial]]:
    for family in FAMILIES:
        attacks = attacks_of(family)
        if family in _TOGETHER:
            yield attacks, _trial_of_all(_TOGETHER[family], attacks)
        else:
            for attack in attacks:
                yield [attack], _trial_of_one(_ALONE[family], attack)


def _trial_of_all(
    function: Callable[[Ground, Sequence[Attack], Cancellation], Sequence[Line]], attacks: Sequence[Attack]
) -> Trial:
    return lambda ground, cancellation: function(ground, attacks, cancellation)


def _trial_of_one(function: Callable[[Ground, Attack, Cancellation], Line], attack: Attack) -> Trial:
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
