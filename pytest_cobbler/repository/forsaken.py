"""Directories of a work directory whose repository is gone: deleted, moved, or on an unmounted disk."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.display import shown_path
from pytest_cobbler.files import OF_A_MOMENT
from pytest_cobbler.repository.objects import OWN_ID, PLACE
from pytest_cobbler.repository.sessions import SESSIONS

_KEY = re.compile(r".+-[0-9a-f]{10}")
USED_NODES = "used-nodes.json"
"""The file with the names of nodes that have files of the repository."""

_MADE_AGAIN = ("checkouts", "gate", "records", PLACE, OWN_ID, USED_NODES)
"""What is of no use without the repository; so are the scratch directories and what a probe left."""


def is_made_again(name: str) -> bool:
    """Whether an entry of a work directory with this name is made again when it is missing."""
    return name in _MADE_AGAIN or name.startswith(("scratch-", OF_A_MOMENT))


@dataclass(frozen=True, kw_only=True)
class Forsaken:
    """A directory without its repository.

    ``repository`` is the git directory that is gone, for display; empty if it is not known. ``kept`` are
    paths below ``path`` with work that may be nowhere else.
    """

    path: Path
    repository: str
    kept: tuple[str, ...]

    @property
    def only_by_name(self) -> bool:
        return bool(self.kept) or not self.repository


def find_forsaken(place: Path) -> list[Forsaken]:
    """The directories below the work directory ``place`` whose repository is gone, by name."""
    if not place.is_dir():
        return []
    return [
        Forsaken(path=path, repository=repository, kept=tuple(works_in(path)))
        for path in sorted(place.iterdir())
        if (repository := _gone(path)) is not None
    ]


def _gone(path: Path) -> str | None:
    """The repository of a directory, if that is gone; ``None`` for other directories."""
    if path.is_symlink() or not path.is_dir():
        return None
    try:
        repository = (path / PLACE).read_bytes()
    except FileNotFoundError:  # an older version made it
        return "" if _KEY.fullmatch(path.name) and any(path.glob("scratch-*.git")) else None
    except OSError:
        return None
    try:
        Path(os.fsdecode(repository)).stat()
    except (FileNotFoundError, NotADirectoryError):
        return shown_path(repository)
    except OSError:
        pass  # there, but not to be read just now
    return None


def works_in(path: Path) -> Iterator[str]:
    """The worktrees of agents and of people in a work directory, with the directories above them."""
    for entry in sorted(path.iterdir()):
        if entry.name in ("log", SESSIONS) or is_made_again(entry.name):
            continue
        inside = sorted(entry.iterdir()) if entry.is_dir() and not entry.is_symlink() else [entry]
        yield from (shown_path(found.relative_to(path)) for found in inside)
