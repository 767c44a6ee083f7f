"""The answer of a measure: read, checked as a whole, and turned into tasks."""

from __future__ import annotations

import graphlib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pytest_cobbler.config.model import MOST_TASKS
from pytest_cobbler.tracker.base import TITLE_LIMIT, NewTask, Task

__all__ = [
    "Limits",
    "Proposal",
    "ProposalProblem",
    "Proposals",
    "check",
    "duplicate_errors",
    "normalised",
    "parse",
    "read",
    "select",
    "to_new_tasks",
]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one answer: ``size`` in bytes, ``title`` and ``description`` in characters."""

    size: int = 8_000_000
    tasks: int = MOST_TASKS
    title: int = 200
    description: int = 20_000
    items: int = 100
    """Entries of ``files`` and of ``acceptance``, and needs."""
    item: int = 1_000
    """Characters of such an entry."""


class ProposalProblem(Exception):
    """An answer that cannot be used; ``errors`` are sentences for the agent that gave it."""

    def __init__(self, errors: Sequence[str]) -> None:
        more = len(errors) - _MOST_ERRORS
        self.errors = [*errors[:_MOST_ERRORS], *([f"There are {more} more such errors."] if more > 0 else [])]
        super().__init__("\n".join(self.errors))


class Proposal(BaseModel):
    """One entry of the answer; unknown keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    index: int = Field(ge=0, le=1_000_000)
    title: str
    description: str
    dependency: int | None = None
    dependencies: Annotated[tuple[int, ...], BeforeValidator(lambda value: _listed(value))] = ()
    files: Annotated[tuple[str, ...], BeforeValidator(lambda value: _listed(value))] = ()
    acceptance: Annotated[tuple[str, ...], BeforeValidator(lambda value: _listed(value))] = ()
    estimated_minutes: Annotated[int, BeforeValidator(lambda value: _minutes(value))] = 0

    @property
    def needs(self) -> tuple[int, ...]:
        """The indexes that it depends on, each once; -1 means none."""
        first = () if self.dependency is None else (self.dependency,)
        return tuple(index for index in dict.fromkeys((*first, *self.dependencies)) if index != -1)

    @property
    def name(self) -> str:
        """For messages about it."""
        return _name_of({"index": self.index, "title": self.title}, 0)


Proposals = tuple[Proposal, ...]


def parse(raw: bytes, existing: Iterable[Task] = (), limits: Limits = Limits()) -> Proposals:
    """The proposals in an answer, in its order; a Markdown fence around the JSON is tolerated.

    Args:
        existing: tasks, of whatever status, that must not be proposed again.

    Raises:
        ProposalProblem: with all errors.
    """
    proposals = read(raw, limits)
    if errors := [*check(proposals, limits), *duplicate_errors(proposals, existing)]:
        raise ProposalProblem(errors)
    return proposals


def check(proposals: Sequence[Proposal], limits: Limits = Limits()) -> Iterator[str]:
    """The errors of proposals by themselves: in their indexes, texts and needs."""
    yield from _index_errors(proposals)
    for proposal in proposals:
        yield from _text_errors(proposal, limits)
    yield from _need_errors(proposals, limits)


def select(proposals: Sequence[Proposal], limit: int) -> tuple[Proposals, Proposals]:
    """At most ``limit`` proposals, each with all of its needs; and the remaining proposals.

    Both keep the order of the answer. A proposal that does not fit with its needs is skipped for later ones.
    """
    by_index = {proposal.index: proposal for proposal in proposals}
    selected: set[int] = set()
    for proposal in proposals:
        selected |= _missing(proposal.index, by_index, selected, limit - len(selected))
    return (
        tuple(proposal for proposal in proposals if proposal.index in selected),
        tuple(proposal for proposal in proposals if proposal.index not in selected),
    )


def to_new_tasks(
    proposals: Sequence[Proposal], generation: str, task_label: str | None = None
) -> list[NewTask]:
    """Tasks for the tracker; their keys are the indexes.

    Expected files and acceptance criteria become part of the description, which is all that an agent sees.
    """
    labels = tuple(label for label in (generation, task_label) if label)
    return [
        NewTask(
            key=str(proposal.index),
            title=proposal.title.strip(),
            description=_whole_description(proposal),
            needs=tuple(str(index) for index in proposal.needs),
            minutes=proposal.estimated_minutes,
            labels=labels,
        )
        for proposal in proposals
    ]


def normalised(title: str) -> str:
    """The part of a title that is compared: letters and digits, case folded."""
    folded = unicodedata.normalize("NFKC", title).casefold()
    words = "".join(character if character.isalnum() else " " for character in folded).split()
    return " ".join(words) or " ".join(folded.split())


# Reading

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_MINUTES = 10_000
_MOST_CYCLES = 10
"""Cycles that are named: to find the next one takes as long as to find the first."""
_LONGEST_CHAIN = 20
"""Tasks of a cycle, or with the same index, that are named."""
_MOST_ERRORS = 50
_FENCE = re.compile(r"\A\s*```[\w-]*[ \t]*\r?\n(.*?)\n?[ \t]*```\s*\Z", re.DOTALL)


def read(
    raw: bytes, limits: Limits = Limits(), where: Callable[[int], str] = lambda _position: ""
) -> Proposals:
    """The proposals in an answer, each checked by itself.

    Args:
        where: the place of an entry of the array, put in front of its name in an error.

    Raises:
        ProposalProblem: the answer is not an array of tasks, with all errors.
    """
    entries = _entries(raw, limits)
    proposals: list[Proposal] = []
    errors: list[str] = []
    for position, entry in enumerate(entries):
        try:
            proposals.append(Proposal.model_validate(entry))
        except ValidationError as error:
            errors += _type_errors(error, f"{where(position)}{_name_of(entry, position)}")
    if errors:
        raise ProposalProblem(errors)
    return tuple(proposals)


def _entries(raw: bytes, limits: Limits) -> list[Any]:
    if len(raw) > limits.size:
        raise ProposalProblem(
            [
                f"The file has {len(raw):,} bytes, more than {limits.size:,}. "
                "Propose fewer tasks, with shorter descriptions."
            ]
        )
    try:
        text = raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise ProposalProblem([f"The file is not UTF-8 (byte {error.start}). Write it as UTF-8."]) from error
    if not text.strip():
        raise ProposalProblem(["The file is empty. Write a JSON array; `[]` if there is nothing to propose."])
    fenced = _FENCE.match(text)
    entries = _json(fenced[1] if fenced else text)
    if not isinstance(entries, list):
        raise ProposalProblem(
            [f"The file holds {_kind(entries)}. Write a JSON array of objects, one for each task."]
        )
    if len(entries) > limits.tasks:
        raise ProposalProblem(
            [f"The array has {len(entries)} tasks, more than {limits.tasks}. Propose fewer."]
        )
    return entries


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ProposalProblem(
            [f"The file is not JSON: {error.msg} ({where}). Write one JSON array and nothing else."]
        ) from error
    except (ValueError, RecursionError) as error:  # thousands of digits, or of brackets
        raise ProposalProblem(["The file is not readable JSON. Write one plain JSON array."]) from error


def _listed(value: Any) -> Any:
    """A list as a tuple, which strict validation requires; ``null`` is the empty tuple."""
    return () if value is None else tuple(value) if isinstance(value, list) else value


def _minutes(value: Any) -> int:
    """An estimate; 0 if there is none that can be used, because a hint is not worth another attempt."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return math.ceil(value) if is_number and 0 < value <= _MOST_MINUTES else 0


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case Mapping():
            return "an object"
    return "a list"


# Checking

_EXPECTED = {
    "index": "a whole number from 0 to 1,000,000",
    "title": "a string",
    "description": "a string",
    "dependency": "the index of another task, -1 or null",
    "dependencies": "a list of indexes of other tasks",
    "files": "a list of paths",
    "acceptance": "a list of strings",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, other line separators, characters that change the text direction, lone surrogates."""
_CONTROL_IN_TEXT = re.compile(_CONTROL.pattern.replace(r"\x00-\x1f", r"\x00-\x08\x0b\x0c\x0e-\x1f"))


def _name_of(entry: object, position: int) -> str:
    if not isinstance(entry, Mapping):
        return f"Entry {position + 1} of the array"
    index, title = entry.get("index"), entry.get("title")
    is_valid = type(index) is int and 0 <= index <= 1_000_000
    name = f"Task {index}" if is_valid else f"Entry {position + 1} of the array"
    return f'{name} ("{_shown(title)}")' if isinstance(title, str) and title.strip() else name


def _shown(text: str) -> str:
    plain = " ".join(_CONTROL.sub(" ", text).split())
    return plain if len(plain) <= 80 else f"{plain[:77]}..."


def _type_errors(error: ValidationError, name: str) -> Iterator[str]:
    reported = set()
    for problem in error.errors(include_url=False, include_context=False):
        where = problem["loc"]
        if not where:
            yield f"{name} is {_kind(problem['input'])}. Write an object with index, title and description."
            continue
        key = str(where[0])
        if key in reported:
            continue
        reported.add(key)
        fault = f'has no "{key}"' if problem["type"] == "missing" else f'has a wrong "{key}"'
        yield f"{name} {fault}. Give {_EXPECTED[key]}."


def _index_errors(proposals: Sequence[Proposal]) -> Iterator[str]:
    by_index: dict[int, list[Proposal]] = {}
    for proposal in proposals:
        by_index.setdefault(proposal.index, []).append(proposal)
    for index, group in by_index.items():
        if len(group) > 1:
            titles = ", ".join(f'"{_shown(proposal.title)}"' for proposal in group[:_LONGEST_CHAIN])
            yield f"The index {index} belongs to {len(group)} tasks: {titles}. Give each an index of its own."


def _text_errors(proposal: Proposal, limits: Limits) -> Iterator[str]:
    name = proposal.name
    yield from _size_errors(name, "title", proposal.title, limits.title)
    size = len(proposal.title.strip().encode("utf-8", "replace"))
    if len(proposal.title) <= limits.title and size > TITLE_LIMIT:
        yield f"{name} has a title of {size} bytes in UTF-8, more than {TITLE_LIMIT}. Shorten it."
    yield from _size_errors(name, "description", proposal.description, limits.description)
    if _CONTROL.search(proposal.title.strip()):
        yield f"{name} has a line break or a control character in its title. Write the title in one line."
    if _CONTROL_IN_TEXT.search(proposal.description):
        yield f"{name} has control characters in its description. Leave them out."
    for key, values in (("files", proposal.files), ("acceptance", proposal.acceptance)):
        if len(values) > limits.items:
            yield f'{name} has {len(values)} entries in "{key}", more than {limits.items}. Split the task.'
        if any(not value.strip() or len(value) > limits.item for value in values):
            yield f'{name} has an entry in "{key}" that is empty or over {limits.item:,} characters. Fix it.'
        if any(_CONTROL.search(value) for value in values):
            yield f'{name} has a line break or a control character in "{key}". Write one line for each entry.'
    for path in proposal.files:
        if path.startswith("/") or ".." in PurePosixPath(path).parts:
            yield f'{name} names the file "{_shown(path)}". Give paths from the top of the repository.'


def _size_errors(name: str, key: str, text: str, limit: int) -> Iterator[str]:
    if not text.strip():
        yield f"{name} has an empty {key}. Give 1 to {limit:,} characters."
    elif len(text) > limit:
        yield f"{name} has a {key} of {len(text):,} characters, more than {limit:,}. Shorten it."


def _need_errors(proposals: Sequence[Proposal], limits: Limits) -> Iterator[str]:
    many = [proposal for proposal in proposals if len(proposal.needs) > limits.items]
    for proposal in many:
        yield (
            f"{proposal.name} depends on {len(proposal.needs)} tasks, more than {limits.items}. "
            "Leave out those that the others depend on."
        )
    if not many:
        yield from _wrong_needs(proposals)


def _wrong_needs(proposals: Sequence[Proposal]) -> Iterator[str]:
    names = {proposal.index: proposal.name for proposal in proposals}
    needs: dict[int, set[int]] = {}
    for proposal in proposals:
        valid_needs = needs.setdefault(proposal.index, set())
        for index in proposal.needs:
            if index == proposal.index:
                yield f"{names[index]} depends on itself. Leave that out."
            elif index in names:
                valid_needs.add(index)
            else:
                yield (
                    f"{names[proposal.index]} depends on {index}, which is the index of no other task. "
                    "Depend on tasks of this answer only, or leave it out."
                )
    for cycle in itertools.islice(_cycles(needs), _MOST_CYCLES):
        links = [names[index] for index in cycle]
        if len(links) > _LONGEST_CHAIN:
            links = [*links[: _LONGEST_CHAIN - 1], f"{len(links) - _LONGEST_CHAIN} more", links[-1]]
        chain = " needs ".join(links)
        yield f"These tasks wait for each other: {chain}. Leave out at least one of these dependencies."


def _cycles(needs: Mapping[int, set[int]]) -> Iterator[list[int]]:
    """All cycles. From each cycle found, one need is removed to find the next."""
    graph = {index: set(needed) for index, needed in needs.items()}
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            cycle: list[int] = error.args[1][::-1]  # from the dependent to the dependency
            graph[cycle[0]].discard(cycle[1])
            yield cycle
        else:
            return


def duplicate_errors(proposals: Sequence[Proposal], existing: Iterable[Task]) -> Iterator[str]:
    """The errors of titles that two proposals have, or a proposal and a task, of whatever status."""
    existing_tasks = {normalised(task.title): task for task in existing}
    first: dict[str, Proposal] = {}
    for proposal in proposals:
        title = normalised(proposal.title)
        if title in existing_tasks:
            task = existing_tasks[title]
            yield (
                f'{proposal.name} exists already: {task.id} ("{_shown(task.title)}", {task.status}). '
                "Leave it out, or say in the title what is new."
            )
        elif title in first:
            yield f"{proposal.name} has the title of {first[title].name}. Leave one out or rename it."
        else:
            first[title] = proposal


# Choosing


def _missing(index: int, by_index: Mapping[int, Proposal], selected: set[int], room: int) -> set[int]:
    """A proposal and its needs as far as they are not ``selected``; empty if they are more than ``room``."""
    missing: set[int] = set()
    waiting = [index]
    while waiting:
        current = waiting.pop()
        if current in selected or current in missing:
            continue
        if len(missing) == room:
            return set()
        missing.add(current)
        waiting += by_index[current].needs
    return missing


def _whole_description(proposal: Proposal) -> str:
    parts = [proposal.description.replace("\r\n", "\n").replace("\r", "\n").strip()]
    if proposal.files:
        parts.append("Files that it will probably touch:\n\n" + _bullets(proposal.files))
    if proposal.acceptance:
        parts.append("Acceptance criteria:\n\n" + _bullets(proposal.acceptance))
    return "\n\n".join(parts)


def _bullets(entries: Sequence[str]) -> str:
    return "\n".join(f"* {entry.strip()}" for entry in entries)
