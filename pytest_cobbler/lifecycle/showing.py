"""What is known of the attempts at one task or measure: from their directories, from git and the tracker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.config import Config
from pytest_cobbler.display import below
from pytest_cobbler.lifecycle.numbers import UNCOUNTED
from pytest_cobbler.lifecycle.stats import landed_in
from pytest_cobbler.repository import names
from pytest_cobbler.repository.attempts import KeptAttempt, kept_attempts
from pytest_cobbler.repository.landed import LandedWork
from pytest_cobbler.repository.landing import patch_of
from pytest_cobbler.repository.lock import is_locked
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task

__all__ = ["Part", "ShownAttempt", "ShownItem", "show"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of an attempt: ``text``, or the reason why it is ``missing``. ``source`` is a path or a ref."""

    name: str
    source: str = ""
    text: str = ""
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class ShownAttempt:
    """One attempt. ``ending`` says how it ended, ``facts`` are time, money and notes, one line for each."""

    generation: str
    number: int
    ending: str
    facts: tuple[str, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class ShownItem:
    """A task, or a measure, which has neither title nor status."""

    id: str
    title: str = ""
    status: str = ""
    attempts: tuple[ShownAttempt, ...] = ()


def show(config: Config, repository: Repository, tasks: Sequence[Task], item: str) -> ShownItem | None:
    """Everything that is known of the attempts at ``item``, oldest first; ``None`` if it is unknown.

    Changes nothing and takes no lock.
    """
    task = next((task for task in tasks if task.id == item), None)
    gathered = _Gathered(config, repository, item)
    attempts = tuple(gathered.attempts())
    if task is None and not attempts:
        return None
    title = task.title if task else gathered.title
    return ShownItem(id=item, title=title, status=task.status if task else "", attempts=attempts)


class _Gathered:
    """The places at which something of an item's attempts is kept."""

    def __init__(self, config: Config, repository: Repository, item: str) -> None:
        self._config = config
        self._repository = repository
        self._item = item
        self._landed = {
            (work.generation, work.number): work
            for work in landed_in(repository, config.gen_prefix)
            if work.task == item
        }
        self._kept = {
            (generation, kept.number): kept
            for generation in self._generations_with_refs()
            for kept in kept_attempts(repository, generation, item)
        }
        self._directories = {
            (path.parents[2].name, int(path.name)): path
            for path in config.cobbler_dir.glob(f"*/attempts/{item}/*")
            if path.name.isdigit()
        }

    @property
    def title(self) -> str:
        """The title of the task, if the tracker does not know it."""
        titles = [work.title for work in self._landed.values()]
        titles += [str(_result(path).get("title", "")) for path in self._directories.values()]
        return next(filter(None, titles), "")

    def _generations_with_refs(self) -> set[str]:
        refs = self._repository.list_refs(names.ATTEMPTS.rstrip("/"))
        return {ref.removeprefix(names.ATTEMPTS).rpartition("/")[0].rpartition("/")[0] for ref in refs}

    def attempts(self) -> Iterator[ShownAttempt]:
        for place in sorted({*self._landed, *self._kept, *self._directories}):
            generation, number = place
            landed, kept = self._landed.get(place), self._kept.get(place)
            directory = self._config.cobbler_dir / generation / "attempts" / self._item / str(number)
            result = _result(directory)
            yield ShownAttempt(
                generation=generation,
                number=number,
                ending=self._ending(landed, kept, result, directory),
                facts=tuple(_facts(result, landed)),
                parts=tuple(self._parts(directory, landed, kept)),
            )

    def _ending(
        self,
        landed: LandedWork | None,
        kept: KeptAttempt | None,
        result: Mapping[str, object],
        directory: Path,
    ) -> str:
        if landed:
            return f"landed in {landed.commit[:12]}"
        if kept:
            first = kept.details.partition("\n")[0]
            return first if first.startswith(kept.cause) else f"{kept.cause}: {first}"
        if error := result.get("error"):
            return str(error)
        if result:  # its work could have landed, and its ref went when a later attempt did
            return "did not land" if (directory / "gate.log").exists() else "waits to land, or did not land"
        if (directory / "tasks.json").exists():
            return "gave an answer"
        if (directory / UNCOUNTED).exists():
            return "the agent was not run"
        if is_locked(self._repository.common_dir):
            return "not ended yet: a run is under way"
        return "gave no answer" if self._item.startswith("cycle-") else "broken off"

    def _parts(self, directory: Path, landed: LandedWork | None, kept: KeptAttempt | None) -> Iterator[Part]:
        yield self._file("prompt", directory / "prompt.md")
        transcript = self._file("steps", directory / "transcript.jsonl")
        yield transcript if transcript.missing else _steps(transcript)
        if (directory / "tasks.json").exists():  # of a measure
            yield self._file("answer", directory / "tasks.json")
            return
        commit = landed.commit if landed else kept.commit if kept else ""
        if commit:
            patch = patch_of(self._repository, f"{commit}^", commit).decode("utf-8", "replace")
            yield Part(name="diff", source=kept.ref if kept else commit, text=patch)
        else:
            yield self._file("diff", directory / "change.patch")
        yield self._file("gate log", directory / "gate.log")

    def _file(self, name: str, path: Path) -> Part:
        source = below(path, self._config.root)
        try:
            return Part(name=name, source=source, text=path.read_bytes().decode("utf-8", "replace"))
        except FileNotFoundError:
            if path.parent.exists():
                return Part(name=name, source=source, missing="none")
            return Part(name=name, source=source, missing=f"{below(path.parent, self._config.root)} is gone")


def _result(directory: Path) -> Mapping[str, object]:
    """The facts that the end of an attempt left; empty if there are none."""
    try:
        result = json.loads((directory / "result.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def _facts(result: Mapping[str, object], landed: LandedWork | None) -> Iterator[str]:
    if "seconds" in result:
        model = f", {result['model']}" if result.get("model") else ""
        name = f"{result['agent']}, " if result.get("agent") else ""
        node = f" on {result['node']}" if result.get("node") else ""
        yield f"agent: {name}{result['seconds']} s, {result.get('turns')} turns{model}{node}"
    cost = result.get("cost_usd")
    if isinstance(cost, int | float):
        yield f"cost: {'at least ' if result.get('cost_is_partial') else ''}{cost:.4f} USD"
    elif landed and landed.usage.cost_shown:
        yield f"cost: {landed.usage.cost_shown}"
    if place := result.get("kept_at"):
        yield f"files: {place}"
    notes = result.get("notes")
    for note in notes if isinstance(notes, list) else ():
        yield f"note: {note}"


def _steps(transcript: Part) -> Part:
    """The steps of an agent, one line for each, as the run showed them."""
    steps: list[str] = []
    lines = transcript.text.encode("utf-8", "replace")
    reader_for(lines)(steps.append).feed(lines)
    return Part(name=transcript.name, source=transcript.source, text="\n".join(steps))
