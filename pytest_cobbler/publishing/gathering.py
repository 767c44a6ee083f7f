"""Gathers what is known of a generation: from its journal and files, from git, and from the tracker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from importlib.metadata import version
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.lifecycle.stats import collect_generations
from pytest_cobbler.publishing.document import (
    Amount,
    Document,
    GenerationPart,
    ItemPart,
    PathPart,
    RunPart,
    SpanPart,
    WaitPart,
)
from pytest_cobbler.publishing.tasks import TaskParts, Tracked
from pytest_cobbler.repository import names
from pytest_cobbler.repository.generations import read_generation
from pytest_cobbler.repository.lock import is_locked
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.story.fold import read_story
from pytest_cobbler.story.model import Item, Run, Story
from pytest_cobbler.story.waits import Waits

__all__ = ["gather", "generations_known"]

_ENDS = ("merged", "finished", "abandoned")
"""The tags at the last commit of a generation without a branch."""


def generations_known(config: Config, repository: Repository, tracked: Tracked) -> list[str]:
    """The names of the generations of which anything is left, oldest first."""
    stats = collect_generations(config, repository, tracked.tasks, tracked.comments)
    journals = (path.parent.name for path in config.cobbler_dir.glob("*/journal.jsonl"))
    return sorted({*(one.name for one in stats), *journals})


def gather(config: Config, repository: Repository, generation: str, tracked: Tracked, now: float) -> Document:
    """Everything that is known of a generation. Changes nothing and takes no lock.

    Raises:
        CobblerError: git failed.
    """
    directory = config.cobbler_dir / generation
    story = read_story(directory / "journal.jsonl")
    is_running = is_locked(repository.common_dir)
    states = {id(run): _state(run, is_running=is_running and run is story.run) for run in story.runs}
    runs = tuple(_run(run, states[id(run)], now) for run in story.runs)
    outcomes = {
        item.key: _outcome(item, states[id(run)]) for run in story.runs for item in run.items.values()
    }
    tasks = tuple(TaskParts(config, repository, generation, story, tracked, outcomes).all())
    stitches = [task for task in tasks if task.kind == "stitch"]
    measures = [task for task in tasks if task.kind == "measure"]
    return Document(
        made=round(now, 3),
        program=version("pytest-cobbler"),
        project=config.root.name,
        configuration=config.path.name,
        generation=_generation(repository, generation),
        tasks=tasks,
        runs=runs,
        landed=_sum(task.landed for task in stitches),
        wasted=_sum(task.wasted for task in tasks),
        measures=_sum(task.landed for task in measures),
        lacks=tuple(_lacks(directory, story, tracked)),
    )


def _generation(repository: Repository, name: str) -> GenerationPart:
    tip = repository.read_ref(names.branch_ref(name)) or ""
    for kind in _ENDS:
        tip = tip or repository.commit_of(f"refs/tags/{name}-{kind}")
    try:
        base = read_generation(repository, name, tip).base if tip else ""
    except RepositoryError:  # it is not ours, or damaged: the report goes without
        base = ""
    return GenerationPart(name=name, base=base, tip=tip)


def _lacks(directory: Path, story: Story, tracked: Tracked) -> Iterator[str]:
    """What the report cannot have."""
    if not story.runs:
        yield f"no journal in {directory.name}: times, runs and attempts that left nothing in git are unknown"
    if not (directory / "attempts").is_dir():
        yield "no prompts, transcripts and logs: their directory is gone"
    if not story.runs and not tracked.tasks:
        yield "the tracker has no tasks"


def _sum(amounts: Iterable[Amount]) -> Amount:
    return reduce(Amount.plus, amounts, Amount())


# -- runs


def _state(run: Run, *, is_running: bool) -> str:
    if run.ended is not None:
        return "ended"
    return "running" if is_running and not run.is_over else "killed"


def _outcome(item: Item, state: str) -> str:
    """The outcome of an item, or what it was doing when its run was looked at, or ended without it."""
    if item.outcome:
        return item.outcome
    if state == "running":
        return "waiting" if item.began is None else "running"
    return "not started" if item.began is None else "killed"


def _run(run: Run, state: str, now: float) -> RunPart:
    until = now if state == "running" else run.last
    waits = Waits(run, until)
    unblocked = waits.unblocked()
    items = [
        ItemPart(
            key=item.key,
            title=item.title,
            outcome=_outcome(item, state),
            cause=item.cause,
            summary=item.summary,
            needs=item.needs,
            spans=_spans(item, None if state == "running" else until),
            waits=tuple(
                WaitPart(kind=wait.kind, begin=round(wait.begin, 3), end=round(wait.end, 3), on=wait.on)
                for wait in waits.of(item.key)
            ),
            unblocked=tuple(unblocked.get(item.key, ())),
            usage=Amount.of(item.usage),
        )
        for item in run.items.values()
    ]
    return RunPart(
        id=run.id,
        state=state,
        began=run.began,
        last=run.last,
        ended=run.ended,
        exit=run.exit,
        tip=run.tip,
        facts=dict(run.facts),
        recovered=tuple(run.recovered),
        items=tuple(items),
        critical_path=tuple(
            PathPart(key=step.key, begin=round(step.begin, 3), end=round(step.end, 3))
            for step in waits.critical_path()
        ),
    )


def _spans(item: Item, until: float | None) -> tuple[SpanPart, ...]:
    """The phases of an item that took any time."""
    return tuple(
        SpanPart(
            phase=span.phase,
            begin=round(span.begin, 3),
            end=None if end is None else round(end, 3),
            attempt=span.attempt,
        )
        for span in item.spans
        for end in [span.end if span.end is not None else until]
        if end is None or end > span.begin
    )
