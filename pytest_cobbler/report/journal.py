"""The events of a generation, for people: one JSON object on each line. No work depends on it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path


class Journal:
    """Appends to ``journal.jsonl`` of a generation; thread-safe.

    ``scrub`` removes secrets from a line. A line that cannot be written, for example on a full disk, is
    dropped, because no work depends on it. ``failure`` is the reason of the first one.
    """

    def __init__(self, path: Path, scrub: Callable[[str], str] = str) -> None:
        self._scrub = scrub
        self._path = path
        self._top = path.parent.parent
        self._lock = threading.Lock()
        self._followers: list[Callable[[str], None]] = []
        self.failure = ""
        path.parent.mkdir(parents=True, exist_ok=True)

    def follow(self, take: Callable[[str], None]) -> None:
        """Call ``take`` with each further line, in the thread that writes it. It must be short."""
        self._followers.append(take)

    def write(self, event: str, **facts: object) -> None:
        """Append one event; facts that are empty are left out."""
        line = {"time": timestamp(), "event": event} | {
            k: v for k, v in facts.items() if v not in ("", None, ())
        }
        text = self._scrub(json.dumps(line, ensure_ascii=False, default=str))
        with self._lock:
            for take in self._followers:
                take(text)
            try:
                ignore_itself(self._top)  # the history may be deleted at any time
                self._path.parent.mkdir(exist_ok=True)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{text}\n")
            except OSError as error:
                self.failure = self.failure or f"cannot write {self._path}: {error.strerror}"


def timestamp() -> str:
    """The current time in UTC, as RFC 3339 writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def keep_in_history(path: Path, content: bytes) -> None:
    """Write a file for people, and the directories above it if they were deleted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def ignore_itself(directory: Path) -> None:
    """Make a directory that git ignores."""
    directory.mkdir(parents=True, exist_ok=True)
    ignore = directory / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
