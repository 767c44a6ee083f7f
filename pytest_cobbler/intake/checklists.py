"""Tasks from Markdown: spec-kit's ``tasks.md``, whose order says what needs what, and plain check lists."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_cobbler.cycle.proposals import Limits, ProposalProblem
from pytest_cobbler.display import counted
from pytest_cobbler.intake.drafts import STDIN, Draft, Source
from pytest_cobbler.intake.items import Item, read_items

__all__ = ["read_markdown"]

_TAG = re.compile(r"\[(?P<tag>P|US\d{1,4})\][ \t]*")
_PARALLEL = "P"
_LONG = 100
_DEPENDS = re.compile(
    r"\bdepends on:?\s+(?P<ids>T\d{1,6}[a-z]?(?:(?:\s*,\s*|\s+)(?:and\s+|&\s*)?T\d{1,6}[a-z]?)*)",
    re.IGNORECASE,
)
_ID = re.compile(r"T\d{1,6}[a-z]?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """An item, with its marks apart from its words."""

    item: Item
    words: str
    is_parallel: bool
    stories: tuple[str, ...]
    index: int

    @property
    def title(self) -> str:
        """The first sentence, if the text is long: it becomes the subject of a commit."""
        is_long = len(self.words) > _LONG
        return f"{self.item.id} {self.words.partition('. ')[0] if is_long else self.words}".strip()


def read_markdown(name: str, text: str, limits: Limits) -> Source:
    """The tasks of a check list.

    If its items have ids, it is spec-kit's: a task without ``[P]`` needs those before it in its phase, and
    each phase needs the one before it. The tasks of another list need nothing.

    Raises:
        ProposalProblem: with all errors, each with its line.
    """
    items, errors = read_items(text)
    entries = [_entry(item, index) for index, item in enumerate(items, 1)]
    has_ids = any(item.id for item in items)
    errors = [*errors, *(_id_errors(items) if has_ids else ())]
    if not items and not errors:
        errors = ["the file has no check list. Write each task as an item: - [ ] Add a parser"]
    if len(items) > limits.tasks:
        errors = [f"the file has {counted(len(items), 'item')}, more than {limits.tasks}. Split it."]
    needs, wrong = _needs(entries) if has_ids else ({}, [])
    errors = [*errors, *wrong]
    if errors:
        raise ProposalProblem(errors)
    return Source(
        name=name,
        drafts=tuple(
            _draft(entry, needs.get(entry.index, ()), name, limits)
            for entry in entries
            if not entry.item.is_done
        ),
        done=tuple(f"{entry.title} (line {entry.item.line})" for entry in entries if entry.item.is_done),
    )


def _entry(item: Item, index: int) -> _Entry:
    words, tags = item.text, []
    while item.id and (match := _TAG.match(words)):
        tags.append(match["tag"])
        words = words[match.end() :]
    return _Entry(
        item=item,
        words=words.strip() or item.text,
        is_parallel=_PARALLEL in tags,
        stories=tuple(dict.fromkeys(tag for tag in tags if tag != _PARALLEL)),
        index=index,
    )


def _id_errors(items: Sequence[Item]) -> Iterator[str]:
    first: dict[str, Item] = {}
    for item in items:
        if not item.id:
            yield (
                f"line {item.line}: the item has no id, and others have. "
                "Give it one, such as T001, or remove its box if it is not a task."
            )
        elif item.id in first:
            yield (
                f"line {item.line}: {item.id} is the id of the item in line {first[item.id].line}, too. "
                "Give it an id of its own."
            )
        else:
            first[item.id] = item


def _needs(entries: Sequence[_Entry]) -> tuple[Mapping[int, tuple[int, ...]], Sequence[str]]:
    """The needs of the open entries by the rules of spec-kit, and an error for each id that is not there.

    What is done is left out. A task needs the last one before it without ``[P]``, and all with it in between.
    """
    named, errors = _named_needs(entries)
    needs: dict[int, tuple[int, ...]] = {}
    before: tuple[int, ...] = ()
    still_open = [entry for entry in entries if not entry.item.is_done]
    for _, phase in itertools.groupby(still_open, key=lambda entry: entry.item.phase):
        last: tuple[int, ...] = ()
        beside: tuple[int, ...] = ()
        inside: dict[int, tuple[int, ...]] = {}
        for entry in phase:
            if entry.is_parallel:
                inside[entry.index], beside = (), (*beside, entry.index)
            else:
                inside[entry.index] = (*last, *beside)
                last, beside = (entry.index,), ()
        for index, own in inside.items():
            needs[index] = tuple(dict.fromkeys((*(own or before), *named.get(index, ()))))
        needed = {need for index in inside for need in needs[index]}
        before = tuple(index for index in inside if index not in needed)
    return needs, errors


def _named_needs(entries: Sequence[_Entry]) -> tuple[Mapping[int, tuple[int, ...]], Sequence[str]]:
    """The needs that the texts name: ``(depends on T012, T013)``."""
    by_id = {entry.item.id.upper(): entry for entry in entries}
    named: dict[int, tuple[int, ...]] = {}
    errors = []
    for entry in entries:
        for match in () if entry.item.is_done else _DEPENDS.finditer(entry.words):
            for task_id in map(str.upper, _ID.findall(match["ids"])):
                if task_id not in by_id:
                    errors.append(
                        f"line {entry.item.line}: {entry.item.id} depends on {task_id}, "
                        "which is not in the file. Correct the id, or leave that out."
                    )
                elif not by_id[task_id].item.is_done:
                    named[entry.index] = (*named.get(entry.index, ()), by_id[task_id].index)
    return named, errors


def _draft(entry: _Entry, needs: Sequence[int], name: str, limits: Limits) -> Draft:
    item, title = entry.item, entry.title
    where = f" ({item.heading})" if item.heading else ""
    origin = f"From {name}{where}." if name != STDIN else ""
    return Draft(
        index=entry.index,
        title=title if len(title) <= limits.title else f"{title[: limits.title - 1]}…",
        description="\n\n".join(filter(None, [entry.words, item.details, origin])),
        dependencies=tuple(needs),
        line=item.line,
        key=item.id,
        labels=entry.stories,
    )
