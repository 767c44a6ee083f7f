"""``--cobbler-list``: one line for each generation, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path, wants_json
from pytest_cobbler.lifecycle.listing import Listed, list_generations
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
    found = list_generations(settings, repository, tracker.tasks())
    text = json.dumps(_as_json(found), indent=2) if wants_json(config) else "\n".join(_lines(found))
    sys.stdout.write(text + "\n")
    return 0


def _as_json(found: Sequence[Listed]) -> dict[str, Any]:
    """What docs/generations.md describes."""
    return {
        "version": 1,
        "generations": [
            {
                "name": one.name,
                "state": one.state,
                "active": one.is_chosen,
                "base": one.base or None,
                "tip": one.tip or None,
                "landed": one.landed,
                "open": one.open,
                "age_seconds": None if one.age is None else round(one.age),
                "cost_usd": one.usage.cost_usd,
            }
            for one in found
        ],
    }


def _lines(found: Sequence[Listed]) -> Iterator[str]:
    if not found:
        yield "No generations found."
        return
    rows = [_cells(one) for one in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(one: Listed) -> tuple[str, ...]:
    tasks = f"{one.landed} landed" + ("" if one.open is None else f", {one.open} open")
    known = one.age is not None
    mark = "*" if one.is_chosen else " "
    return (f"{mark} {one.name}", one.state, tasks if known else "", _age(one.age), one.usage.cost_shown)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return ""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
