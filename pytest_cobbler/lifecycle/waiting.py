"""Kept work that needs no agent, only its gate."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from pytest_cobbler.causes import Cause
from pytest_cobbler.lifecycle.joining import joins_base
from pytest_cobbler.repository import trailers
from pytest_cobbler.repository.attempts import KeptAttempt, kept_attempts, last_numbers
from pytest_cobbler.repository.checks import Policy, Refusal, check_change
from pytest_cobbler.repository.generations import Generation, tip_of
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task

__all__ = ["finished_work", "refusals_of", "waiting_work"]


def finished_work(
    repository: Repository, generation: Generation, tasks: Iterable[Task]
) -> dict[str, KeptAttempt]:
    """Task id -> its last kept attempt, if the agent of that had ended well.

    Merges of the base are left out: they start from the base of the day.
    """
    tried = last_numbers(repository, generation.name)
    found: dict[str, KeptAttempt] = {}
    for task in tasks:
        if task.id in tried and not joins_base(task):
            for last in kept_attempts(repository, generation.name, task.id)[-1:]:
                if last.is_finished:
                    found[task.id] = last
    return found


def waiting_work(
    repository: Repository,
    generation: Generation,
    tasks: Iterable[Task],
    conditions: Callable[[], str],
    policy: Policy,
) -> dict[str, KeptAttempt]:
    """Of the finished work, what may land now.

    Its gate did not end, or the gate or the tip has changed since, or ``policy`` allows what was refused.

    Args:
        conditions: the digest of the conditions of the gate.
    """
    digest, tip = functools.cache(conditions), tip_of(repository, generation)

    def has_changed(kept: KeptAttempt) -> bool:
        values = kept.trailers
        return values.get(trailers.TIP) != tip or values.get(trailers.CONDITIONS) != digest()

    return {
        task_id: kept
        for task_id, kept in finished_work(repository, generation, tasks).items()
        if kept.waited
        or (kept.cause is Cause.GATE and has_changed(kept))
        or (kept.cause is Cause.REFUSED and not refusals_of(repository, kept, policy))
    }


def refusals_of(repository: Repository, kept: KeptAttempt, policy: Policy) -> tuple[Refusal, ...]:
    """Why kept work may not land by ``policy``, which may be another one than when it was kept."""
    return check_change(repository.objects, f"{kept.commit}^", repository.tree_of(kept.commit), policy)[1]
