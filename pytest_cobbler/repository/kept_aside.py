"""Work that is in a directory and nowhere else: it could not become objects, or must not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import KEPT, REASON, read_facts


@dataclass(frozen=True, kw_only=True)
class KeptAside:
    """A worktree that was moved aside.

    ``task`` and ``attempt`` are empty if they cannot be read. ``again``: the next run tries to harvest it.
    """

    path: Path
    generation: str
    task: str
    attempt: str
    why: str
    again: bool


def kept_aside(repository: Repository, generation: str = "*") -> list[KeptAside]:
    """The worktrees that were moved aside, of one generation or all, sorted by path."""
    found = []
    for path in sorted((repository.work_dir / KEPT).glob(f"{generation}/*/")):
        facts = read_facts(path, repository.work_dir)
        purpose = facts.purpose if facts else {}
        why, again = _reason(path)
        found.append(
            KeptAside(
                path=path,
                generation=path.parent.name,
                task=purpose.get("task", ""),
                attempt=purpose.get("number", ""),
                why=why,
                again=again and bool(purpose.get("task")),
            )
        )
    return found


def take_back(repository: Repository, generation: str, is_done: Callable[[str], bool]) -> set[str]:
    """Move the worktrees of a generation back whose harvest is to be tried again.

    Call it under the run lock. Worktrees of tasks that are done stay aside.

    Returns:
        the names of those that are back.
    """
    names = set()
    for one in kept_aside(repository, generation):
        place = repository.work_dir / generation / one.path.name.rpartition(".")[0]
        if one.again and not is_done(one.task) and not place.exists():
            place.parent.mkdir(exist_ok=True)
            one.path.rename(place)
            names.add(place.name)
    return names


def _reason(path: Path) -> tuple[str, bool]:
    """Why a worktree was moved aside, and whether its harvest is to be tried again."""
    try:
        reason = json.loads((path / REASON).read_text("utf-8"))
        return str(reason["why"]), bool(reason["again"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", True
