"""``--cobbler-list``: one line for each generation, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped, shown_json
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path, wants_json
from pytest_cobbler.lifecycle.listing import Listed, list_generations
from pytest_cobbler.repository.kept_aside import KeptAside, kept_aside
from pytest_cobbler.repository.names import LEFT
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config, option: str = "--cobbler-list") -> int:
    """Print them; changes nothing and takes no lock.

    Raises:
        CobblerError: git or the tracker failed.
    """
    settings = load(configuration_path(config, option))
    repository = open_repository(settings)
    tracker = make_tracker(settings, project_hooks(config, settings))
    generations = list_generations(settings, repository, tracker)
    aside = kept_aside(repository)
    if wants_json(config):
        text = shown_json(_as_json(generations, aside))
    else:
        text = "\n".join((*_lines(generations), *_aside_lines(aside, generations)))
    sys.stdout.write(text + "\n")
    return 0


def _as_json(generations: Sequence[Listed], aside: Sequence[KeptAside]) -> dict[str, Any]:
    """The JSON that docs/generations.md describes."""
    return {
        "version": 1,
        "generations": [
            {
                "name": generation.name,
                "state": generation.state,
                "active": generation.is_chosen,
                "base": generation.base or None,
                "tip": generation.tip or None,
                "landed": generation.landed,
                "open": generation.open,
                "left": generation.left,
                "age_seconds": None if generation.age is None else round(generation.age),
                "cost_usd": generation.usage.cost_usd,
                "cost_is_partial": generation.usage.cost_is_partial,
                "paid_usd": generation.paid.cost_usd,
                "paid_is_partial": generation.paid.cost_is_partial,
                "agents": generation.agents,
            }
            for generation in generations
        ],
        "kept_aside": [
            {
                "generation": one.generation,
                "task": one.task or None,
                "attempt": int(one.attempt) if one.attempt.isdigit() else None,
                "path": str(one.path),
                "why": one.why or None,
                "again": one.again,
            }
            for one in aside
        ],
    }


def _lines(generations: Sequence[Listed]) -> Iterator[str]:
    if not generations:
        yield "No generations found."
        return
    rows = [_cells(generation) for generation in generations]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield escaped("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if any(generation.left for generation in generations):
        yield f"What agents left beside their files: git for-each-ref {LEFT}"


def _aside_lines(aside: Sequence[KeptAside], generations: Sequence[Listed]) -> Iterator[str]:
    for one in aside:
        attempt = f" (attempt {one.attempt} at {one.task})" if one.task else ""
        yield escaped(f"Work that is only in a directory: {one.path}{attempt}{one.why and f': {one.why}'}")
    active = {generation.name for generation in generations if generation.state == "active"}
    if any(one.again and one.generation in active for one in aside):
        yield (
            "The next run reads the work of unfinished tasks again: "
            "first remove what is in its way (a huge file)."
        )
    if aside:
        yield "Remove such a directory when you have what you need of it."


def _cells(generation: Listed) -> tuple[str, ...]:
    tasks = f"{generation.landed} landed" + ("" if generation.open is None else f", {generation.open} open")
    tasks += f", {generation.left} left beside" if generation.left else ""
    tasks += f", by {' and '.join(generation.agents)}" if len(generation.agents) > 1 else ""
    mark = "*" if generation.is_chosen else " "
    return (
        f"{mark} {generation.name}",
        generation.state,
        "" if generation.age is None else tasks,
        _age(generation.age),
        _cost(generation),
    )


def _cost(generation: Listed) -> str:
    """What was paid, and the part of it that landed."""
    paid, landed = generation.paid.cost_shown, generation.usage.cost_shown
    return paid if landed in ("", paid) else f"{paid}, {landed} of it landed"


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
