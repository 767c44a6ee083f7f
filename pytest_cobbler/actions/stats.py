"""``--cobbler-stats``: lines, words, attempts, time, tokens and money; a table, or JSON (docs/stats.md)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped, shortened, shown_json, width
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path, wants_json
from pytest_cobbler.lifecycle.stats import GenerationStats, RevisionStats, Stats, TaskStats, collect
from pytest_cobbler.usage import KINDS, NOTHING, Usage
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository

VERSION = 1
"""Of the JSON; a key that changes its meaning or goes away makes it another."""

_TITLE = 40
"""Columns of a title in the table."""
_LEAST = 32
"""Columns of the first part of a line, before other parts are given up for it."""
_GIVEN_UP = ("cache write", "cache read", "input", "output", "lines", "attempts", "seconds")
"""What a narrow terminal goes without, in this order; JSON and a pipe have everything."""

Row = tuple[str, ...]


def run(config: pytest.Config) -> int:
    """Print them; changes nothing and takes no lock.

    Raises:
        CobblerError: git or the tracker failed.
    """
    settings = load(configuration_path(config, "--cobbler-stats"))
    repository = open_repository(settings)
    tracker = make_tracker(settings, project_hooks(config, settings))
    stats = collect(settings, repository, tracker)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    text = shown_json(as_json(stats)) if wants_json(config) else "\n".join(_tables(stats, columns))
    sys.stdout.write(text + "\n")
    return 0


# -- JSON


def as_json(stats: Stats) -> dict[str, Any]:
    """What docs/stats.md describes."""
    return {
        "version": VERSION,
        "code": [
            {
                "revision": one.name,
                "commit": one.commit,
                "lines": {language: asdict(count) for language, count in one.lines.items()},
                "words": dict(one.words),
            }
            for one in stats.revisions
        ],
        "generations": [_generation_json(one) for one in stats.generations],
    }


def _generation_json(generation: GenerationStats) -> dict[str, Any]:
    return {
        "name": generation.name,
        "active": generation.is_active,
        "diff": asdict(generation.size),
        "landed": _usage_json(_landed(generation)),
        "wasted": _usage_json(generation.wasted),
        "measures": _usage_json(generation.measures),
        "agents": {name: _usage_json(usage) for name, usage in generation.agents.items()},
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "commit": task.commit or None,
                "diff": asdict(task.size),
                "landed": _usage_json(task.landed),
                "wasted": _usage_json(task.wasted),
            }
            for task in generation.tasks
        ],
    }


def _usage_json(usage: Usage) -> dict[str, Any]:
    seconds = None if usage.seconds is None else round(usage.seconds, 1)
    money = None if usage.cost_usd is None else round(usage.cost_usd, 6)
    return {
        "attempts": usage.attempts,
        "seconds": seconds,
        "tokens": usage.tokens,
        "cached": None if usage.cached is None else round(usage.cached, 4),
        "cost_usd": money,
        "cost_is_partial": usage.cost_is_partial,
    }


def _landed(generation: GenerationStats) -> Usage:
    return sum((task.landed for task in generation.tasks), NOTHING)


# -- tables


def _tables(stats: Stats, columns: int | None) -> Iterator[str]:
    """The tables; on a terminal of so many columns, what does not fit is left out."""
    yield from _table([("code", "language", "production", "test"), *_code(stats.revisions)], columns)
    labels = sorted({label for one in stats.revisions for label in one.words})
    if labels:
        yield ""
        rows = [(one.name, *(str(one.words[label]) for label in labels)) for one in stats.revisions]
        yield from _table([("words", *map(escaped, labels)), *rows], columns)
    for generation in stats.generations:
        yield ""
        yield from _table(list(_rows(generation)), columns)
        if shown := generation.paid.cached_shown:
            yield shown
    if not stats.generations:
        yield ""
        yield "No generations found."


def _code(revisions: Sequence[RevisionStats]) -> Iterator[Row]:
    for one in revisions:
        for language, count in one.lines.items():
            yield (one.name, language, str(count.production), str(count.test))
        if not one.lines:
            yield (one.name, "none", "-", "-")


def _rows(generation: GenerationStats) -> Iterator[Row]:
    """The tasks, then the sums: what landed, what did not, what proposing took."""
    name = f"{generation.name} (active)" if generation.is_active else generation.name
    yield (name, "attempts", "seconds", "input", "output", "cache read", "cache write", "USD", "lines")
    for task in generation.tasks:
        yield (_title(task), *_usage(task.landed + task.wasted), _lines(task) if task.commit else "-")
    size = f"+{generation.size.insertions} -{generation.size.deletions}"
    yield (f"landed: {len(generation.landed)}", *_usage(_landed(generation)), size)
    yield ("wasted", *_usage(generation.wasted), "")
    yield ("measures", *_usage(generation.measures), "")
    if len(generation.agents) > 1:
        for agent, usage in generation.agents.items():
            yield (f"by {escaped(agent)}", *_usage(usage), "")


def _title(task: TaskStats) -> str:
    title = shortened(escaped(task.title), _TITLE)
    return f"  {escaped(task.id)} {title}" + ("" if task.commit else " (not landed)")


def _lines(task: TaskStats) -> str:
    return f"+{task.size.insertions} -{task.size.deletions}"


def _usage(usage: Usage) -> Row:
    return (
        str(usage.attempts),
        "-" if usage.seconds is None else f"{usage.seconds:.1f}",
        *(str(usage.tokens[kind]) for kind in KINDS),
        usage.amount_shown(">=") or "-",
    )


def _table(rows: Sequence[Row], columns: int | None) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    rows, first_width = _fitted(rows, columns)
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        name = shortened(first, first_width)
        cells = [f"{' ' * (size - width(cell))}{cell}" for cell, size in zip(others, widths[1:], strict=True)]
        yield "  ".join([name + " " * (first_width - width(name)), *cells]).rstrip()


def _fitted(rows: Sequence[Row], columns: int | None) -> tuple[Sequence[Row], int]:
    """The rows without the parts that ``columns`` leave no room for, and the width of the first one."""
    names = [name for name in _GIVEN_UP if name in rows[0]]
    whole = max(width(row[0]) for row in rows)
    while columns is not None:
        room = columns - sum(2 + max(map(width, column)) for column in [*zip(*rows, strict=True)][1:])
        if room >= min(whole, _LEAST) or not names:
            return rows, max(1, min(whole, room))
        place = rows[0].index(names.pop(0))
        rows = [(*row[:place], *row[place + 1 :]) for row in rows]
    return rows, whole
