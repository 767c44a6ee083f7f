"""The choice of the tracker's tasks that a session does."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from pytest_cobbler.config import Config
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.lifecycle.choices import refused_labels
from pytest_cobbler.lifecycle.effort import Efforts
from pytest_cobbler.lifecycle.estimate import Estimate, estimate
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.forgotten import forgotten_landings
from pytest_cobbler.lifecycle.named_places import checked_language, missing_documents
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE, WHY_SET_ASIDE
from pytest_cobbler.lifecycle.starting import find_base, removed_sources, sources_to_remove, unseen_paths
from pytest_cobbler.lifecycle.stats import collect_generations
from pytest_cobbler.lifecycle.waiting import finished_work
from pytest_cobbler.repository.elsewhere import refuse_other_start
from pytest_cobbler.repository.generations import Generation, active_generations, find_generation, tip_of
from pytest_cobbler.repository.names import is_usable_task_id
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import landed_tasks
from pytest_cobbler.tracker.base import ACTOR, Task
from pytest_cobbler.tracker.needs import put_off, with_all_needs
from pytest_cobbler.wiring.hooks import NO_HOOKS, Hooks
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository

LEFT_OUT = "left out by a hook"
"""The reason why a task waits that the project's hook excludes."""

_UNKNOWN = Efforts()

NO_WORK = "no finished work is kept"
"""The reason why a task waits in a session that asks no agent."""

UNUSABLE = "an id that cannot be part of a branch name: rename the task"
"""The reason why a task waits that no branch can be named after. A run with such a task does not pass."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The tracker's open tasks, divided by what the session does with them.

    ``taken``: does them, in this order; ``left``: beyond the limit; ``waiting``: id -> why this session
    cannot do it; ``foreign``: id -> the other generation that it belongs to.
    """

    taken: tuple[Task, ...] = ()
    left: tuple[Task, ...] = ()
    waiting: Mapping[str, str] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)


def select_tasks(
    tasks: Iterable[Task],
    *,
    finished: Iterable[str],
    foreign_labels: frozenset[str],
    task_label: str | None,
    limit: int,
    efforts: Efforts = _UNKNOWN,
    left_out: Collection[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
    asks_agents: bool = True,
) -> Selection:
    """Choose the open tasks of a session: those of this generation, at most ``limit``, needs first.

    ``finished``: ids of tasks that landed. If such a task is open, a person reopened it, and it is done
    again. ``efforts``: what tasks will probably take.
    ``foreign_labels``: those of other active generations; ``left_out``: ids that a hook of the
    project excludes; ``refused``: id -> why its labels do.
    ``asks_agents``: without agents, which nothing is spent on, tasks that were set aside
    are done, too.
    """
    by_id = {task.id: task for task in tasks}
    open_again = {task.id for task in by_id.values() if task.status == "open"}
    finished_ids = set(finished) - open_again | {
        task.id for task in by_id.values() if task.status == "closed"
    }
    ours = {
        task.id: task
        for task in by_id.values()
        if _is_ours(task, foreign_labels, task_label) and task.id not in finished_ids
    }
    set_aside = {task.id for task in ours.values() if asks_agents and SET_ASIDE in task.labels}
    waiting = _outside(ours, by_id, finished_ids, left_out, set_aside, refused if asks_agents else {})
    foreign = {
        task.id: label
        for task in by_id.values()
        if task.type == "task" and task.id not in finished_ids
        for label in sorted(foreign_labels & set(task.labels))
    }
    ordered, circles = _ordered([task for task in ours.values() if task.id not in waiting], efforts)
    return Selection(
        taken=tuple(ordered[:limit]), left=tuple(ordered[limit:]), waiting=waiting | circles, foreign=foreign
    )


def _is_ours(task: Task, foreign_labels: frozenset[str], task_label: str | None) -> bool:
    if task.type != "task" or foreign_labels & set(task.labels):
        return False
    return task_label is None or task_label in task.labels


def _outside(
    ours: Mapping[str, Task],
    by_id: Mapping[str, Task],
    finished_ids: set[str],
    left_out: Collection[str],
    set_aside: Collection[str],
    refused: Mapping[str, str],
) -> dict[str, str]:
    """Task id -> why it cannot be done in this session."""
    now = datetime.now(UTC)
    waiting: dict[str, str] = {}
    dependants: defaultdict[str, list[str]] = defaultdict(list)
    for task in ours.values():
        outer = [need for need in task.needs if need not in finished_ids and need not in ours]
        if why := _held(task) or put_off(task, by_id, now):
            waiting[task.id] = why
        elif not is_usable_task_id(task.id):
            waiting[task.id] = UNUSABLE
        elif task.id in set_aside:
            waiting[task.id] = WHY_SET_ASIDE
        elif task.id in left_out:
            waiting[task.id] = LEFT_OUT
        elif why := refused.get(task.id, ""):
            waiting[task.id] = why
        elif outer:
            waiting[task.id] = f"waits for {outer[0]}"
        for need in task.needs:
            dependants[need].append(task.id)
    queue = deque(waiting)
    while queue:
        need = queue.popleft()
        for task_id in dependants[need]:
            if task_id not in waiting:
                waiting[task_id] = f"waits for {need}"
                queue.append(task_id)
    return waiting


def _held(task: Task) -> str:
    """Why this session may not begin the task; empty if it may."""
    if task.status == "in_progress":
        return f"in progress, held by {task.assignee or 'another user'}"
    if task.status != "open":
        return task.status
    # A task that was reopened may still have our name as its assignee.
    return f"assigned to {task.assignee}" if task.assignee not in ("", ACTOR) else ""


def _ordered(tasks: list[Task], efforts: Efforts) -> tuple[list[Task], dict[str, str]]:
    """The tasks in the order of ``Plan.ready``, needs first; and id -> why it can never start."""
    plan = Plan()
    by_id = {task.id: task for task in tasks}
    for task in tasks:
        needs = by_id.keys() & set(task.needs)
        plan.add(task.id, needs=needs, priority=task.priority, effort=efforts.of(task), age=task.age)
    ordered: list[Task] = []
    while ready := plan.ready():
        for key in ready:
            plan.mark(key, State.DONE)
            ordered.append(by_id[key])
    never: dict[str, str] = {}
    while circle := plan.stuck():
        for key in circle:
            never[key] = f"waits for itself: {_shown([*circle, circle[0]])}"
            plan.mark(key, State.FAILED)
        while blocked := plan.blocked():
            for key, lost in blocked.items():
                never[key] = f"waits for {lost[0]}"
                plan.mark(key, State.FAILED)
    return ordered, never


def _shown(circle: list[str]) -> str:
    return " -> ".join(circle if len(circle) <= 10 else [*circle[:8], "...", circle[-1]])


def only_with_work(selection: Selection, finished: Collection[str]) -> Selection:
    """The selection of a session that asks no agent: all tasks whose ids are in ``finished``."""
    taken: list[Task] = []
    left_out: dict[str, str] = {}
    for task in (*selection.taken, *selection.left):  # needs come first
        lacking = next((need for need in task.needs if need in left_out), "")
        if lacking or task.id not in finished:
            left_out[task.id] = f"waits for {lacking}" if lacking else NO_WORK
        else:
            taken.append(task)
    waiting = {**selection.waiting, **left_out}
    return Selection(taken=tuple(taken), waiting=waiting, foreign=selection.foreign)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a run would do.

    ``generation`` is the active one, if any; ``sources``: see ``removed_sources``, ``unseen``: see
    ``unseen_paths``. ``warnings`` are for display.
    ``estimate``: what the tasks may cost and take, if that was asked for and is known.
    """

    generation: Generation | None
    selection: Selection
    sources: str
    unseen: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    estimate: Estimate | None = None


def look(
    config: Config,
    hooks: Hooks = NO_HOOKS,
    *,
    start_new: bool = True,
    asks_agents: bool = True,
    estimates: bool = False,
) -> Outlook:
    """The generation and the tasks of the next run, if wanted with an estimate. Changes nothing.

    Raises:
        CobblerError: a run would fail; with ``start_new=False`` also because no generation is active.
    """
    repository = open_repository(config)
    generation = find_generation(repository, config.gen_prefix, config.generation_branch)
    if generation is None:
        refuse_other_start(repository, config.gen_prefix)
        if not start_new:
            raise no_generation()
    tracker = make_tracker(config, hooks)
    tasks, comments = tracker.tasks(), tracker.comments()
    landed = {}
    if generation:
        revision = tip_of(repository, generation)
        checked_language(config, repository, (generation.start, revision))
        landed = finished_tasks(repository, generation, revision)
        own = landed_tasks(repository, f"{generation.first}..{revision}")
        closed = {one.task for one in forgotten_landings(tasks, own, lambda: comments)}
        tasks = [replace(task, status="closed") if task.id in closed else task for task in tasks]
        sources = removed_sources(repository, generation)
    else:
        base = find_base(config, repository)
        revision = base.commit
        language = checked_language(config, repository, (base.commit,))
        sources = sources_to_remove(config, repository, language, base)
    left_out = hooks.left_out(tasks)
    finished = Finished(landed)
    efforts = Efforts(tasks, comments)
    selection = choose(
        config, repository, tasks, generation, finished, left_out, efforts=efforts, asks_agents=asks_agents
    )
    if generation and not asks_agents:
        open_tasks = (*selection.taken, *selection.left)
        selection = only_with_work(selection, finished_work(repository, generation, open_tasks))
    unseen = tuple(unseen_paths(config, repository, generation))
    warnings = tuple(filter(None, [missing_documents(config, repository, revision)]))
    outlook = Outlook(
        generation=generation, selection=selection, sources=sources, unseen=unseen, warnings=warnings
    )
    if estimates and asks_agents and selection.taken:
        done = collect_generations(config, repository, tasks, comments)
        outlook = replace(outlook, estimate=estimate(done, len(selection.taken)))
    return outlook


def choose(
    config: Config,
    repository: Repository,
    tasks: list[Task],
    generation: Generation | None,
    finished: Finished,
    left_out: frozenset[str] = frozenset(),
    *,
    efforts: Efforts = _UNKNOWN,
    asks_agents: bool = True,
) -> Selection:
    """The open tasks that a session does."""
    active = frozenset(active_generations(repository, config.gen_prefix))
    return select_tasks(
        with_all_needs(tasks),
        finished={landed.task for landed in finished.all()},
        foreign_labels=active - {generation.name if generation else ""},
        task_label=config.task_label or None,
        left_out=left_out,
        refused=refused_labels(config, tasks),
        efforts=efforts,
        limit=config.max_issues,
        asks_agents=asks_agents,
    )


def no_generation() -> RepositoryError:
    return RepositoryError("no generation is active", "Start one: pytest --cobbler-start")
