"""Kept work of agents: attempts that did not land, and left work beside the files."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_cobbler.repository.names import ATTEMPTS, LEFT
from pytest_cobbler.repository.repository import Repository

__all__ = ["kept_below", "kept_by_generation"]


def kept_below(repository: Repository, name: str) -> dict[str, str]:
    """Ref -> commit of the kept work with this name or below it, such as that of a generation or a task."""
    place = name.rstrip("/")
    every = repository.list_refs(ATTEMPTS.rstrip("/"), LEFT.rstrip("/"))
    return {ref: commit for ref, commit in every.items() if f"{ref}/".startswith(f"{place}/")}


def kept_by_generation(repository: Repository, prefix: str) -> Mapping[str, int]:
    """The refs of kept work of each generation whose name has the prefix -> how many are below them."""
    counts: dict[str, int] = {}
    for kind in (ATTEMPTS, LEFT):
        for ref in kept_below(repository, kind):
            generation = ref.removeprefix(kind).partition("/")[0]
            if generation.startswith(prefix):
                place = f"{kind}{generation}"
                counts[place] = counts.get(place, 0) + 1
    return counts
