"""How generations are abandoned: a tag keeps their commits, and their tasks are open again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.joining import end_joins, joins_base
from pytest_cobbler.lifecycle.recovery import recovery_without_agent
from pytest_cobbler.lifecycle.stopping import take_back_move
from pytest_cobbler.lifecycle.tagging import tag_merged
from pytest_cobbler.repository import names
from pytest_cobbler.repository.gate_checkout import GateCheckout
from pytest_cobbler.repository.generations import (
    Generation,
    active_generations,
    delete_generation,
    read_generation,
    refuse_checked_out,
    refuse_other_tags,
    tag_generation,
    tip_of,
)
from pytest_cobbler.repository.merging import merged_at
from pytest_cobbler.repository.moved import take_over_work
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.resolving import Resolution
from pytest_cobbler.repository.trailers import landed_tasks
from pytest_cobbler.sandbox.site import Unreached
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.project import Project


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """The result for one generation.

    ``tag`` holds its last commit; ``is_merged``: its base had all of it, so it was not abandoned but done
    with; ``landed`` counts its tasks; ``reopened`` are tasks; ``recovered`` is what a dead run left, a line
    each; ``unreached`` its work on nodes that cannot be reached; ``left`` is the worktree in which a person
    had begun to merge it, if there is one.
    """

    name: str
    tag: str
    is_merged: bool
    landed: int
    reopened: tuple[Task, ...]
    recovered: tuple[str, ...]
    unreached: tuple[Unreached, ...]
    left: Path | None


def abandon_all(
    config: Config, repository: Repository, lane: TrackerLane, hooks: Hooks = NO_HOOKS
) -> list[Abandoned]:
    """Abandon every active generation; call it under the run lock.

    The tag is the commit point of each. Nothing is lost before it, and the branch is deleted last, so that a
    further call completes an interrupted one.

    Raises:
        CobblerError: a branch must not be deleted, and nothing was changed; or git, podman or the tracker
            failed.
    """
    active = active_generations(repository, config.gen_prefix)
    generations = [read_generation(repository, name) for name in active]
    refuse_checked_out(repository, generations)
    for generation in generations:
        refuse_other_tags(repository, generation, "abandoned")
    for generation in generations:
        take_back_move(repository, generation)
    return [_abandon(config, repository, generation, lane, hooks) for generation in generations]


def _abandon(
    config: Config, repository: Repository, generation: Generation, lane: TrackerLane, hooks: Hooks
) -> Abandoned:
    tip = tip_of(repository, generation)
    finished = Finished(finished_tasks(repository, generation, tip))
    project = Project.of(config, repository, generation)
    recovery = recovery_without_agent(project, lane, hooks, finished)
    recovered = [*take_over_work(repository), *recovery.run()]
    recovery.site.close()
    base = repository.read_ref(names.branch_ref(generation.base)) if generation.base else None
    is_merged = base is not None and repository.reaches(base, tip)
    landed = landed_tasks(repository, f"{generation.first}..{tip}")
    reopened: tuple[Task, ...] = ()
    if base and is_merged:
        tag_merged(config, repository, generation, tip, merged_at(repository, base, tip))
    else:
        tag_generation(repository, generation, "abandoned", tip)
        merged = landed_tasks(repository, f"{generation.first}..{base}") if base else {}
        reopened = _reopen(lane, [task for task in landed if task not in merged], generation)
    end_joins(lane, generation, f"{generation.name} was abandoned")
    GateCheckout.remove_all(repository)
    recovery.sessions.remove_all()
    delete_generation(repository, generation, tip)
    resolution = Resolution(repository, generation)
    return Abandoned(
        name=generation.name,
        tag=f"{generation.name}-{'finished' if is_merged else 'abandoned'}",
        is_merged=is_merged,
        landed=len(landed),
        reopened=reopened,
        recovered=tuple(recovered),
        unreached=tuple(recovery.site.unreached()),
        left=resolution.path if resolution.path.exists() else None,
    )


def _reopen(lane: TrackerLane, landed: Sequence[str], generation: Generation) -> tuple[Task, ...]:
    """Reopen the tasks that landed only in this generation; return them."""
    tasks = lane.tasks().result()
    closed = {task.id: task for task in tasks if task.status == "closed" and not joins_base(task)}
    reopened = tuple(closed[task_id] for task_id in landed if task_id in closed)
    for task in reopened:
        lane.reopen(task.id, f"open again: {generation.name}, where it had landed, was abandoned").result()
    return reopened
