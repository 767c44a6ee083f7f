"""The tasks and measures of a generation over all its runs, with their attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_cobbler.agents.values import event_of, number_of, text_of
from pytest_cobbler.causes import Cause
from pytest_cobbler.config import Config
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.landing.statements import LARGEST, StatementError, read_statement
from pytest_cobbler.lifecycle.numbers import UNCOUNTED
from pytest_cobbler.lifecycle.stats import collect_generations, landed_in
from pytest_cobbler.publishing.document import Amount, AttemptPart, GatePart, StatementPart, TaskPart
from pytest_cobbler.repository import names
from pytest_cobbler.repository.attempts import KeptAttempt, kept_attempts
from pytest_cobbler.repository.landed import LandedWork
from pytest_cobbler.repository.notes import read_note
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.story.model import Attempt, Item, Story
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["TaskParts", "Tracked"]


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What the tracker has: its tasks, and our comments by the id of their task.

    The report of a run at work has neither.
    """

    tasks: Sequence[Task] = ()
    comments: Mapping[str, Sequence[str]] = field(default_factory=dict)


class TaskParts:
    """Makes the part of each task.

    Args:
        outcomes: those of the items in their latest run, by their keys.
    """

    def __init__(
        self,
        config: Config,
        repository: Repository,
        generation: str,
        story: Story,
        tracked: Tracked,
        outcomes: Mapping[str, str],
    ) -> None:
        self._repository = repository
        self._generation = generation
        self._directory = config.cobbler_dir / generation
        self._outcomes = outcomes
        self._items: dict[str, list[tuple[str, Item]]] = {}
        for run in story.runs:
            for item in run.items.values():
                self._items.setdefault(item.key, []).append((run.id, item))
        work = landed_in(repository, config.gen_prefix)
        self._landed = {one.task: one for one in work if one.generation == generation}
        self._kept = self._kept_tasks()
        self._tracked = {task.id: task for task in tracked.tasks}
        # Without the tracker it has nothing that the landed commits have not.
        has_records = tracked.tasks or tracked.comments
        stats = (
            collect_generations(config, repository, tracked.tasks, tracked.comments) if has_records else ()
        )
        self._stats = {task.id: task for one in stats if one.name == generation for task in one.tasks}

    def all(self) -> Iterator[TaskPart]:
        """Measures and tasks of runs in the order in which they were planned, then those only git knows."""
        keys = [*self._items]
        known = [*self._landed, *self._stats, *self._kept]
        keys += [f"stitch::{name}" for name in known]
        for key in dict.fromkeys(keys):
            yield self._part(key)

    def _kept_tasks(self) -> list[str]:
        prefix = names.attempts_prefix(self._generation)
        refs = self._repository.list_refs(prefix.rstrip("/"))
        return [ref.removeprefix(prefix).rpartition("/")[0] for ref in refs]

    def _part(self, key: str) -> TaskPart:
        kind, _, name = key.partition("::")
        items = self._items.get(key, [])
        item = items[-1][1] if items else None
        is_task = kind == "stitch"
        landed = self._landed.get(name) if is_task else None
        task = self._tracked.get(name) if is_task else None
        attempts = list(self._attempts(name, items, landed, is_task=is_task))
        used, wasted = self._usage(name, kind, items, landed)
        outcome = self._outcomes.get(key, "")
        if landed and outcome != "running":
            outcome = "landed"
        titles = (item.title if item else "", landed.title if landed else "", task.title if task else "")
        return TaskPart(
            id=name,
            kind=kind,
            title=next(filter(None, titles), ""),
            outcome=outcome or (task.status if task else "") or "not landed",
            cause="" if landed or item is None else item.cause,
            summary="" if landed or item is None else item.summary,
            commit=landed.commit if landed else "",
            needs=task.needs if task else _needs(item),
            seconds=_seconds(items),
            landed=Amount.of(used),
            wasted=Amount.of(wasted),
            attempts=tuple(attempts),
            statement=self._statement(landed.commit) if landed else None,
        )

    def _usage(
        self, name: str, kind: str, items: Sequence[tuple[str, Item]], landed: LandedWork | None
    ) -> tuple[Usage, Usage]:
        """The usage of attempts that landed or proposed, and that of the others."""
        used = wasted = NOTHING
        number = landed.number if landed else 0
        for _, item in items:
            useful, others = item.divided()
            # Another run may have landed it, without an agent.
            late = [one for one in others if one.number == number]
            used += sum((one.usage for one in (*useful, *late)), NOTHING)
            wasted += sum((one.usage for one in others if one not in late), NOTHING)
        stats = self._stats.get(name) if kind == "stitch" else None
        if (used + wasted).attempts:
            return used, wasted
        if stats:
            return NOTHING + stats.landed, stats.wasted
        return (NOTHING + landed.usage, NOTHING) if landed else (used, wasted)

    # -- attempts

    def _attempts(
        self, name: str, items: Sequence[tuple[str, Item]], landed: LandedWork | None, *, is_task: bool
    ) -> Iterator[AttemptPart]:
        told = {attempt.number: (run, attempt) for run, item in items for attempt in item.attempts}
        kept = {}
        if is_task and name in self._kept:
            kept = {one.number: one for one in kept_attempts(self._repository, self._generation, name)}
        directories = {
            int(path.name): path
            for path in (self._directory / "attempts" / name).glob("*")
            if path.name.isdigit() and not (path / UNCOUNTED).exists()
        }
        number = landed.number if landed else 0
        for one in sorted({*told, *kept, *directories, *([number] if number else [])}):
            run, attempt = told.get(one, ("", None))
            yield self._attempt(
                one, run, attempt, kept.get(one), directories.get(one), landed if one == number else None
            )

    def _attempt(
        self,
        number: int,
        run: str,
        attempt: Attempt | None,
        kept: KeptAttempt | None,
        directory: Path | None,
        landed: LandedWork | None,
    ) -> AttemptPart:
        result = _result(directory) if directory else {}
        told = attempt or Attempt(number=number, begin=0.0)
        cause = told.cause or (kept.cause if kept else Cause.NONE)
        summary = (
            told.summary or text_of(result, "error") or (kept.details.partition("\n")[0] if kept else "")
        )
        usage = told.usage if told.usage.attempts else _usage_in(result)
        if landed:
            cause, summary = Cause.NONE, ""
            usage = usage if usage.attempts else replace(landed.usage, attempts=1)
        notes = result.get("notes")
        return AttemptPart(
            number=number,
            agent=told.agent or text_of(result, "agent"),
            node=told.node or text_of(result, "node"),
            run=run,
            began=told.begin or None,
            seconds=told.seconds if attempt else number_of(result, "seconds"),
            usage=Amount.of(usage),
            outcome="landed" if landed else "failed" if cause else "",
            cause=cause,
            summary=summary,
            files=landed.size.files if landed else told.files,
            insertions=landed.size.insertions if landed else None,
            deletions=landed.size.deletions if landed else None,
            notes=tuple(map(str, notes)) if isinstance(notes, list) else told.notes,
            conflicts=told.conflicts,
            gates=tuple(
                GatePart(
                    tree=gate.tree,
                    passed=gate.passed,
                    summary=gate.summary,
                    seconds=gate.seconds,
                    tests=gate.tests,
                    ended=gate.ended,
                )
                for gate in told.gates
            ),
            session=text_of(result, "session"),
            commit=landed.commit if landed else "",
            ref=kept.ref if kept else "",
            directory=str(directory.relative_to(self._directory)) if directory else "",
        )

    def _statement(self, commit: str) -> StatementPart | None:
        try:
            note = read_note(self._repository, commit, LARGEST)
            statement = read_statement(note) if note else None
        except (StatementError, RepositoryError):  # anyone may write a note: --cobbler-verify judges it
            return None
        if statement is None:
            return None
        tests = statement.tests
        return StatementPart(
            verdict=statement.verdict,
            tree=statement.tree,
            tip=statement.tip,
            base=statement.base,
            image=statement.gate.image,
            signed=statement.signed,
            passed=tests.passed if tests else None,
            failed=tests.failed if tests else None,
            skipped=tests.skipped if tests else None,
            results=dict(statement.results or {}),
        )


def _needs(item: Item | None) -> tuple[str, ...]:
    return tuple(need.partition("::")[2] for need in item.needs) if item else ()


def _seconds(items: Sequence[tuple[str, Item]]) -> float | None:
    """The time from the begin of an item to its end, in all runs; ``None`` if no run has it."""
    times = [
        (item.ended or item.spans[-1].end or item.spans[-1].begin) - item.began
        for _, item in items
        if item.began is not None
    ]
    return round(sum(times), 3) if times else None


def _result(directory: Path) -> Mapping[str, object]:
    """The facts that the end of an attempt left; empty if there are none."""
    try:
        return event_of((directory / "result.json").read_bytes())
    except OSError:
        return {}


def _usage_in(result: Mapping[str, object]) -> Usage:
    if "turns" not in result:
        return NOTHING
    return Usage(
        turns=int(number_of(result, "turns") or 0),
        cost_usd=number_of(result, "cost_usd"),
        cost_is_partial=result.get("cost_is_partial") is True,
        model=text_of(result, "model"),
    )
