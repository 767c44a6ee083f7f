"""Landings that a person took off their branch: the tracker has their tasks as closed."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from pytest_cobbler.display import named
from pytest_cobbler.lifecycle.ledger import Ledger
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.generations import Generation, active_generations
from pytest_cobbler.repository.landing_refs import newest_of, pinned_landings
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.project import Project

_ENDS = ("finished", "merged", "abandoned")


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Landings of a generation that neither its branch nor its base has: task id -> the landed commit.

    ``tip`` is that of the branch; empty if the branch is gone.
    """

    generation: str
    base: str
    tip: str
    commits: dict[str, str]


class LandingWatch:
    """Looks for lost landings at the start and at the end of a run.

    Args:
        active: the generation, if the run did not start it.
        tasks: of the tracker, as the run found them.
    """

    def __init__(
        self, project: Project, ledger: Ledger, active: Generation | None, tasks: Iterable[Task]
    ) -> None:
        self._project = project
        self._ledger = ledger
        self._active = active
        self._closed = {task.id for task in tasks if task.status == "closed"}

    def lines(self) -> list[str]:
        """The lost landings of this moment, as ``lost_lines``.

        Raises:
            RepositoryError: git failed.
        """
        project = self._project
        closed = self._closed | {landed.task for landed in self._ledger.finished.all()}
        found = lost_landings(project.repository, self._active, project.config.gen_prefix, closed)
        if self._active is None:
            found += lost_landings(project.repository, project.generation, "", closed)
        hint = self._ledger.open_hint
        return [line for lost in found for line in lost_lines(project.repository, lost, hint)]


def lost_landings(
    repository: Repository, generation: Generation | None, prefix: str, closed: Collection[str]
) -> list[Lost]:
    """The lost landings of the active generation; without one, those of generations whose branch was deleted.

    A shallow history does not tell, so there is none then.

    Args:
        closed: ids of tasks that are closed.
    """
    if repository.is_shallow:
        return []
    if generation:
        found = [_lost(repository, generation.name, generation.base, closed)]
    else:
        found = [_lost(repository, name, "", closed) for name in _deleted(repository, prefix)]
    return [lost for lost in found if lost.commits]


def lost_lines(repository: Repository, lost: Lost, open_hint: str) -> list[str]:
    """The landings, and the commands that bring them back, open their tasks again, or leave it so."""
    tasks = named(lost.commits)
    ref = names.branch_ref(lost.generation)
    lines = [
        f"LOST: closed as landed, but neither {lost.generation} nor {lost.base} has the commit: {tasks}",
    ]
    newest = newest_of(repository, lost.commits.values())
    if newest and (not lost.tip or repository.reaches(newest, lost.tip)):
        words = ["git", "update-ref", ref, newest, *([lost.tip] if lost.tip else [])]
        lines.append(f"To restore the branch: {shlex.join(words)}")
    elif newest:
        lines.append(
            f"The branch went on without it. To see the work: git log -p {lost.tip[:12]}..{newest[:12]}"
        )
    lines.append(f"To do it again: {open_hint.format('ID' if len(lost.commits) > 1 else tasks)}")
    pins = [names.landed_ref(lost.generation, task) for task in lost.commits]
    pins_shown = " ".join(pins) if len(pins) == 1 else f"{names.landed_prefix(lost.generation)}ID"
    lines.append(f"To leave it out for good: git update-ref -d {pins_shown}")
    return lines


def _lost(repository: Repository, name: str, base: str, closed: Collection[str]) -> Lost:
    pinned = {task: commit for task, commit in pinned_landings(repository, name).items() if task in closed}
    tip = repository.read_ref(names.branch_ref(name)) or ""
    reached = _reached(repository, tip) if tip and pinned else set()
    lost = {task: commit for task, commit in pinned.items() if commit not in reached}
    there = {task: commit for task, commit in lost.items() if repository.resolve(f"{commit}^{{commit}}")}
    if lost and not base and there:
        values = trailers.read_trailers(repository, next(iter(there.values())))
        base = values.get(trailers.TARGET, "")
    held = set(_held(repository, name, base, tip)) if lost else set()
    return Lost(
        generation=name,
        base=base or "its base",
        tip=tip,
        commits={
            task: commit
            for task, commit in lost.items()
            if (task, _run_of(repository, commit) if task in there else "") not in held
        },
    )


def _held(repository: Repository, name: str, base: str, tip: str) -> Iterator[tuple[str, str]]:
    """Task and run of all landings on branch and base, also of copies that a rebase or a squash made.

    The message of a squash has the trailers of all its commits, but most of them are not at its end.
    """
    begin = repository.commit_of(names.tag_ref(name, "start"))
    base_tip = repository.read_ref(names.branch_ref(base)) if base else None
    for end in filter(None, (tip, base_tip)):
        words = ("log", "-z", "--format=%B", f"--grep=^{trailers.TASK}: ", "--end-of-options")
        for message in repository.objects.fields(*words, f"{begin}..{end}" if begin else end):
            lines = message.decode("utf-8", "replace").splitlines()
            runs = ["", *_values(lines, trailers.RUN)]
            yield from itertools.product(_values(lines, trailers.TASK), runs)


def _values(lines: Iterable[str], name: str) -> list[str]:
    return [line.partition(": ")[2].strip() for line in lines if line.startswith(f"{name}: ")]


def _run_of(repository: Repository, commit: str) -> str:
    return trailers.read_trailers(repository, commit).get(trailers.RUN, "")


def _reached(repository: Repository, tip: str) -> set[str]:
    return set(repository.objects.text("rev-list", tip).split())


def _deleted(repository: Repository, prefix: str) -> list[str]:
    """The generations with landings that have neither a branch nor the tag of an end."""
    pinned = {ref.removeprefix(names.LANDED).partition("/")[0] for ref in repository.list_refs(names.LANDED)}
    active = active_generations(repository, prefix)
    return [
        name
        for name in sorted(pinned)
        if name.startswith(prefix)
        and name not in active
        and not repository.list_refs(*(names.tag_ref(name, end) for end in _ENDS))
    ]
