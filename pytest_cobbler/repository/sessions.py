"""The conversations of agents, kept until their tasks land or are given up.

Nothing in the home of an agent is trusted. One or two regular files of a bounded size are read from it,
through no link, and only their bytes go on: into a directory that no container sees, and from there as a copy
into the home of the next agent at the same task.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_cobbler.files import make_private, write_atomically
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.collecting import NotTaken
from pytest_cobbler.sandbox.site import Place
from pytest_cobbler.secret_forms import Secrets

__all__ = ["LARGEST", "SESSIONS", "KeptSession", "Sessions", "prepare_home", "sessions_by_generation"]

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a conversation that goes on; the program cannot continue a longer one."""

SESSIONS: Final = "sessions"
"""The directory in a work directory with the conversations."""

_NAMED: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.[a-z]+$")

_SEPARATOR: Final = "@"
"""In the name of a kept file, between the id and the name of the agent."""

_FILE, _ID, _AGENT = "session_file", "session", "session_agent"
_BESIDE, _MARK = "session_beside", "session_mark"
"""What the purpose of a worktree says of the conversation: its file in the home, its id, and the agent.
Without an id, the program chooses it, and the file is a pattern. Then the ending of the name of a second
file, and the words that are in the files of a conversation that has begun."""


@dataclass(frozen=True, kw_only=True)
class KeptSession:
    """The conversation of an attempt: its id for the program of the ``agent``, and the file."""

    number: int
    id: str
    path: Path
    agent: str = ""

    @property
    def second(self) -> Path:
        """Its second file, if it has one."""
        return self.path.with_name(f"second-{self.path.name}")


class Sessions:
    """The conversations of one generation: at most one for each task, that of its latest attempt.

    Args:
        secrets: values that are removed from them.
    """

    def __init__(self, repository: Repository, generation: str, secrets: Iterable[str] = ()) -> None:
        self._directory = repository.work_dir / SESSIONS / generation
        self._secrets = Secrets(secrets)

    def keep(self, place: Place) -> None:
        """Keep the conversation that ``prepare_home`` began in a place; not one that cannot be read."""
        task_id, number = place.purpose.get("task", ""), place.purpose.get("number", "")
        file, session_id = place.purpose.get(_FILE, ""), place.purpose.get(_ID, "")
        if not (task_id and number and file):
            return
        if "*" in file:
            file = place.find(f"home/{file}").removeprefix("home/")
            session_id = (session_id or _id_in(file)) if file else ""
        if not session_id:
            self.drop(task_id)
            return
        if (kept := self.find(task_id)) and kept.number > int(number):
            return  # work that was kept aside is older
        content, beside = _read(place, file), place.purpose.get(_BESIDE, "")
        second = (_read(place, file + beside) or b"") if beside else b""
        self.drop(task_id)
        if not content or not _has_begun((content, second), place.purpose.get(_MARK, "")):
            return
        scrubbed = self._secrets.scrub(content), self._secrets.scrub(second)
        if beside and scrubbed != (content, second):
            return  # no other program can change a database that it does not know
        agent = place.purpose.get(_AGENT, "")
        path = self._directory / task_id / f"{number}-{session_id}{_SEPARATOR}{agent}"
        kept = KeptSession(number=int(number), id=session_id, path=path, agent=agent)
        with contextlib.suppress(OSError):  # then the next attempt begins a new one
            for directory in (self._directory.parent, self._directory, self._directory / task_id):
                make_private(directory)
            if second:
                write_atomically(kept.second, second, mode=0o600)
            write_atomically(kept.path, scrubbed[0], mode=0o600)

    def find(self, task_id: str) -> KeptSession | None:
        """The conversation of a task's latest attempt, if it can go on."""
        for path in sorted((self._directory / task_id).glob("[0-9]*-*")):
            number, _, rest = path.name.partition("-")
            session_id, _, agent = rest.partition(_SEPARATOR)
            if number.isdigit():
                return KeptSession(number=int(number), id=session_id, path=path, agent=agent)
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


def prepare_home(
    place: Place,
    session_id: str,
    file: str,
    kept: KeptSession | None = None,
    *,
    agent: str = "",
    beside: str = "",
    mark: str = "",
) -> None:
    """Empty the home of an agent, and give it a copy of an earlier conversation.

    Args:
        file: the place of the conversation in the home, by which it is found also after a kill.
        agent: the name of the agent, which alone can go on with the conversation.
        beside: the ending of the name of its second file.
        mark: words that are in the files of a conversation that has begun.
    """
    notes = {_ID: session_id, _FILE: file, _AGENT: agent}
    notes |= {name: value for name, value in ((_BESIDE, beside), (_MARK, mark)) if value}
    files = {file: kept.path.read_bytes()} if kept else {}
    if kept and beside and kept.second.exists():
        files[file + beside] = kept.second.read_bytes()
    place.renew_home(notes, files)


def sessions_by_generation(repository: Repository) -> dict[str, int]:
    """The directories of kept conversations of each generation -> how many there are."""
    counts: dict[str, int] = {}
    for path in (repository.work_dir / SESSIONS).glob("*/*/[0-9]*-*"):
        generation = str(path.parents[1])
        counts[generation] = counts.get(generation, 0) + 1
    return dict(sorted(counts.items()))


def _id_in(file: str) -> str:
    """The id at the end of the name of a file, by which the program knows its conversation."""
    found = _NAMED.search(file)
    return found[1] if found else ""


def _has_begun(contents: Iterable[bytes], mark: str) -> bool:
    return any(mark.encode() in content for content in contents)


def _read(place: Place, file: str) -> bytes | None:
    try:
        return place.take(f"home/{file}", LARGEST)
    except NotTaken:
        return None
