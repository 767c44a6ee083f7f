"""What agents used without a record in the tracker, as the journal of a generation tells it.

A measure that creates no task has no task for its record. A run that is killed has no time to write those of
the attempts that had failed by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_cobbler.lifecycle.records import WrittenRecord
from pytest_cobbler.story.events import GrowingFile, events_of
from pytest_cobbler.story.fold import fold
from pytest_cobbler.story.model import Attempt, Item, Run
from pytest_cobbler.usage import NOTHING, Usage

__all__ = ["unrecorded"]

_BEGIN: Final = b'"event": "run"'
_END: Final = b'"event": "end"'
_OF_MEASURES: Final = (_BEGIN, b'"measure', b'"event": "proposed"')
"""What the lines of a measure have. A run that ended has recorded all else, so only these are parsed."""


def unrecorded(journal: Path, generation: str) -> Iterator[WrittenRecord]:
    """Records of what the tracker has none of; nothing if there is no journal."""
    for lines in _runs(GrowingFile(journal).new_lines()):
        has_ended = any(_END in line for line in lines)
        told = (line for line in lines if not has_ended or any(word in line for word in _OF_MEASURES))
        for run in fold(events_of(told)).runs:
            yield from _records(run, generation)


def _runs(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each run."""
    run: list[bytes] = []
    for line in lines:
        if _BEGIN in line and run:
            yield run
            run = []
        run.append(line)
    yield run


def _records(run: Run, generation: str) -> Iterator[WrittenRecord]:
    for item in run.items.values():
        if item.kind == "measure" and not item.proposed:
            useful, wasted = item.divided()
            yield _record(item, generation, [*useful, *wasted], earlier=_sum(wasted))
        elif item.kind == "stitch" and not item.outcome:
            yield _record(item, generation, [one for one in item.attempts if one.cause])


def _record(
    item: Item, generation: str, attempts: Sequence[Attempt], earlier: Usage = NOTHING
) -> WrittenRecord:
    names = {attempt.agent for attempt in attempts}
    return WrittenRecord(
        task=item.name,
        caller=item.kind,
        generation=generation,
        commit="",
        usage=_sum(attempts),
        earlier=earlier,
        kept=NOTHING,
        agents={name: _sum(one for one in attempts if one.agent == name) for name in names if name},
    )


def _sum(attempts: Iterable[Attempt]) -> Usage:
    """The usage of attempts that have ended, with the wall time of their agents."""
    usages = (replace(one.usage, seconds=one.seconds) for one in attempts if one.usage.attempts)
    return sum(usages, NOTHING)
