"""Work that is in a directory and nowhere else: it could not become objects, or must not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import KEPT, read_facts


@dataclass(frozen=True, kw_only=True)
class KeptAside:
    """A worktree that was moved aside. ``task`` and ``attempt`` are empty if they cannot be read."""

    path: Path
    generation: str
    task: str
    attempt: str


def kept_aside(repository: Repository, generation: str = "*") -> list[KeptAside]:
    """The worktrees that were moved aside, of one generation or all, sorted by path."""
    found = []
    for path in sorted((repository.work_dir / KEPT).glob(f"{generation}/*/")):
        facts = read_facts(path)
        purpose = facts.purpose if facts else {}
        found.append(
            KeptAside(
                path=path,
                generation=path.parent.name,
                task=purpose.get("task", ""),
                attempt=purpose.get("number", ""),
            )
        )
    return found
