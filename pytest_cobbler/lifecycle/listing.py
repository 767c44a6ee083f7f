"""A list of the generations, from refs, commits and the tracker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pytest_cobbler.config import Config
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.lifecycle.finished import Finished, finished_tasks
from pytest_cobbler.lifecycle.selection import choose
from pytest_cobbler.lifecycle.stats import collect_generations
from pytest_cobbler.repository.generations import (
    Generation,
    active_generations,
    chosen_generation,
    read_generation,
)
from pytest_cobbler.repository.left_work import left_counts
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import landed_tasks, usage_of
from pytest_cobbler.tracker.base import Task, Tracker
from pytest_cobbler.usage import Usage

_ENDS = (("merged", "finished"), ("abandoned", "abandoned"), ("finished", "finished"))
"""The state of a generation without a branch, by the tag that shows it, and the tag at its last commit."""

_UNREAD = Usage(attempts=0)
"""The usage of a generation whose commits cannot be read: nothing, of an unknown cost."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A generation in a list.

    ``state``: active (it has a branch), merged, abandoned, finished (it has only that tag), gone (only its
    start tag is left), or unreadable (it has the name of a generation, but pytest-cobbler did not make it).
    ``is_chosen``: the one that commands work on. ``landed`` counts tasks, ``open`` those that are not done;
    it is ``None`` if the branch is gone. ``left`` counts the works that agents left beside their files.
    ``age`` is in seconds, ``None`` if it is unknown; ``usage`` is that of the tasks that landed, ``paid``
    that of all agents, as far as it is known. ``agents`` are the names of those that worked on it.
    """

    name: str
    state: str
    is_chosen: bool = False
    base: str = ""
    tip: str = ""
    landed: int = 0
    open: int | None = None
    left: int = 0
    age: float | None = None
    usage: Usage = _UNREAD
    paid: Usage = _UNREAD
    agents: tuple[str, ...] = ()


def list_generations(config: Config, repository: Repository, tracker: Tracker) -> list[Listed]:
    """All generations, sorted by name. Changes nothing.

    Raises:
        CobblerError: git or the tracker failed.
    """
    tasks = tracker.tasks()
    left = left_counts(repository)
    generations = collect_generations(config, repository, tasks, tracker.comments())
    known = {one.name: one for one in generations}
    listed = []
    for one in _listed(config, repository, tasks):
        stats = known.get(one.name)
        paid = stats.paid if stats else one.usage
        agents = tuple(sorted(stats.agents)) if stats else ()
        listed.append(replace(one, left=left.get(one.name, 0), paid=paid, agents=agents))
    return listed


def _listed(config: Config, repository: Repository, tasks: list[Task]) -> Iterator[Listed]:
    active = active_generations(repository, config.gen_prefix)
    chosen = config.generation_branch or chosen_generation(repository, config.gen_prefix)
    if chosen not in active and len(active) == 1 and not config.generation_branch:
        chosen = next(iter(active))
    tags = repository.list_refs(f"refs/tags/{config.gen_prefix}*")
    commits = {ref.removeprefix("refs/tags/"): repository.commit_of(ref) for ref in tags}
    kinds = ("start", "merged", "abandoned", "finished")
    tagged = {
        name.removesuffix(f"-{kind}") for name in commits for kind in kinds if name.endswith(f"-{kind}")
    }
    for name in sorted(tagged | active.keys()):
        if name in active:
            yield _active(config, repository, tasks, name, active[name], is_chosen=name == chosen)
        else:
            yield _ended(repository, name, commits)


def _active(
    config: Config, repository: Repository, tasks: list[Task], name: str, tip: str, *, is_chosen: bool
) -> Listed:
    try:
        generation = read_generation(repository, name)
    except RepositoryError:
        return Listed(name=name, state="unreadable", is_chosen=is_chosen, tip=tip)
    finished = Finished(finished_tasks(repository, generation, tip))
    selection = choose(config, repository, tasks, generation, finished)
    left = len(selection.taken) + len(selection.left) + len(selection.waiting)
    return _facts(repository, generation, tip, "active", is_chosen=is_chosen, left=left)


def _ended(repository: Repository, name: str, commits: dict[str, str]) -> Listed:
    for state, last in _ENDS:
        commit = commits.get(f"{name}-{state}")
        if commit:
            tip = commits.get(f"{name}-{last}") or commit
            try:
                return _facts(repository, read_generation(repository, name, tip), tip, state)
            except RepositoryError:  # another tool made it: its tags are all the information there is
                return Listed(name=name, state=state, tip=tip)
    return Listed(name=name, state="gone")


def _facts(
    repository: Repository,
    generation: Generation,
    tip: str,
    state: str,
    *,
    is_chosen: bool = False,
    left: int | None = None,
) -> Listed:
    commits = f"{generation.first}..{tip}"
    return Listed(
        name=generation.name,
        state=state,
        is_chosen=is_chosen,
        base=generation.base,
        tip=tip,
        landed=len(landed_tasks(repository, commits)),
        open=left,
        age=max(0.0, time.time() - repository.time_of(generation.first)),
        usage=usage_of(repository, commits),
    )
