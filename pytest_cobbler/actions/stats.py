"""``--cobbler-stats``: lines, words, attempts, time, tokens and money; a table, or JSON (docs/stats.md)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path, wants_json
from pytest_cobbler.lifecycle.stats import GenerationStats, RevisionStats, Stats, TaskStats, collect
from pytest_cobbler.usage import KINDS, NOTHING, Usage
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository

VERSION = 1
"""Of the JSON; a key that changes its meaning or goes away makes it another."""

_TITLE = 40
"""Characters of a title in the table."""

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
    text = json.dumps(as_json(stats), indent=2) if wants_json(config) else "\n".join(_tables(stats))
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
        "wasted": _usage_json(_wasted(generation)),
        "measures": _usage_json(generation.measures),
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


def _wasted(generation: GenerationStats) -> Usage:
    return sum((task.wasted for task in generation.tasks), NOTHING)


# -- tables


def _tables(stats: Stats) -> Iterator[str]:
    yield from _table([("code", "language", "production", "test"), *_code(stats.revisions)])
    labels = sorted({label for one in stats.revisions for label in one.words})
    if labels:
        yield ""
        rows = [(one.name, *(str(one.words[label]) for label in labels)) for one in stats.revisions]
        yield from _table([("words", *map(escaped, labels)), *rows])
    for generation in stats.generations:
        yield ""
        yield from _table(list(_rows(generation)))
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
    yield ("wasted", *_usage(_wasted(generation)), "")
    yield ("measures", *_usage(generation.measures), "")


def _title(task: TaskStats) -> str:
    title = escaped(task.title)
    cut = title if len(title) <= _TITLE else title[: _TITLE - 3] + "..."
    return f"  {escaped(task.id)} {cut}" + ("" if task.commit else " (not landed)")


def _lines(task: TaskStats) -> str:
    return f"+{task.size.insertions} -{task.size.deletions}"


def _usage(usage: Usage) -> Row:
    return (
        str(usage.attempts),
        "-" if usage.seconds is None else f"{usage.seconds:.1f}",
        *(str(usage.tokens[kind]) for kind in KINDS),
        "-" if usage.cost_usd is None else f"{'>=' if usage.cost_is_partial else ''}{usage.cost_usd:.4f}",
    )


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()
