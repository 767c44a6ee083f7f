"""The conversations of agents, kept until their tasks land or are given up.

Nothing in the home of an agent is trusted. One regular file of a bounded size is read from it, through no
link, and only its bytes go on: into a directory that no container sees, and from there as a copy into the
home of the next agent at the same task.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_cobbler.files import make_private, write_atomically
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktree, chown_tree, remove_tree, write_facts
from pytest_cobbler.sandbox.collecting import CollectedFile, NotTaken, read_file
from pytest_cobbler.secret_forms import Secrets

__all__ = ["LARGEST", "SESSIONS", "KeptSession", "Sessions", "prepare_home", "sessions_by_generation"]

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a conversation that goes on; the program cannot continue a longer one."""

SESSIONS: Final = "sessions"
"""The directory in a work directory with the conversations."""

_FILE, _ID = "session_file", "session"
"""What the purpose of a worktree says of the conversation: its file in the home, and its id."""


@dataclass(frozen=True, kw_only=True)
class KeptSession:
    """The conversation of an attempt: its id for the agent's program, and the file."""

    number: int
    id: str
    path: Path


class Sessions:
    """The conversations of one generation: at most one for each task, that of its latest attempt.

    Args:
        secrets: values that are removed from them.
    """

    def __init__(self, repository: Repository, generation: str, secrets: Iterable[str] = ()) -> None:
        self._directory = repository.work_dir / SESSIONS / generation
        self._secrets = Secrets(secrets)

    def keep(self, worktree: Worktree) -> None:
        """Keep the conversation that ``prepare_home`` began in a worktree; not one that cannot be read."""
        task_id, number = worktree.purpose.get("task", ""), worktree.purpose.get("number", "")
        file, session_id = worktree.purpose.get(_FILE, ""), worktree.purpose.get(_ID, "")
        if not (task_id and number and file and session_id):
            return
        if (kept := self.find(task_id)) and kept.number > int(number):
            return  # work that was kept aside is older
        content = _read(worktree, file)
        self.drop(task_id)
        if not content:
            return
        with contextlib.suppress(OSError):  # then the next attempt begins a new one
            for directory in (self._directory.parent, self._directory, self._directory / task_id):
                make_private(directory)
            path = self._directory / task_id / f"{number}-{session_id}"
            write_atomically(path, self._secrets.scrub(content), mode=0o600)

    def find(self, task_id: str) -> KeptSession | None:
        """The conversation of a task's latest attempt, if it can go on."""
        for path in sorted((self._directory / task_id).glob("[0-9]*-*")):
            number, _, session_id = path.name.partition("-")
            if number.isdigit():
                return KeptSession(number=int(number), id=session_id, path=path)
        return None

    def drop(self, task_id: str) -> None:
        """Remove the conversation of a task."""
        self._remove(self._directory / task_id)

    def remove_all(self) -> None:
        """Remove those of the generation."""
        self._remove(self._directory)

    def _remove(self, directory: Path) -> None:
        remove_tree(directory)
        with contextlib.suppress(OSError):  # there is none, or others are in it
            for above in (self._directory, self._directory.parent):
                above.rmdir()


def prepare_home(worktree: Worktree, session_id: str, file: str, kept: KeptSession | None = None) -> None:
    """Empty the home of an agent, and give it a copy of an earlier conversation.

    Args:
        file: the place of the conversation in the home, by which it is found also after a kill.
    """
    worktree.purpose.update({_ID: session_id, _FILE: file})
    write_facts(worktree)
    remove_tree(worktree.home)
    worktree.home.mkdir()
    if kept:
        place = worktree.home / file
        place.parent.mkdir(parents=True)
        place.write_bytes(kept.path.read_bytes())
    if worktree.owner:
        chown_tree(worktree.home, worktree.owner)


def sessions_by_generation(repository: Repository) -> dict[str, int]:
    """The directories of kept conversations of each generation -> how many there are."""
    counts: dict[str, int] = {}
    for path in (repository.work_dir / SESSIONS).glob("*/*/[0-9]*-*"):
        generation = str(path.parents[1])
        counts[generation] = counts.get(generation, 0) + 1
    return dict(sorted(counts.items()))


def _read(worktree: Worktree, file: str) -> bytes | None:
    path = PurePosixPath(worktree.home.name, file)
    if PurePosixPath(file).is_absolute() or ".." in path.parts:
        return None
    place = CollectedFile(base=str(worktree.directory), directory=str(path.parent), name=path.name)
    try:
        return read_file(place, LARGEST)
    except NotTaken:
        return None
