"""The log of what left the machine through the proxy, and of landings: for audits. No work depends on it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from pytest_cobbler.report.journal import timestamp

__all__ = ["EventLog"]


class EventLog:
    """Appends one JSON object a line to ``log/events.jsonl`` below the ``work_dir`` of a repository.

    The file is only ever appended to, and only its owner can read it. It is not in the directory that a user
    may delete at any time. Several processes may write; thread-safe. ``failure`` is the reason why a line was
    lost, as on a full disk.

    Args:
        facts: added to each line.
        scrub: removes secrets from a line.
    """

    def __init__(self, work_dir: Path, facts: Mapping[str, object], scrub: Callable[[str], str]) -> None:
        self._path = work_dir / "log" / "events.jsonl"
        self._facts = dict(facts)
        self._scrub = scrub
        self._lock = threading.Lock()
        self.failure = ""

    def write(self, event: str, facts: Mapping[str, object]) -> None:
        """Append one event."""
        line = {"time": timestamp(), "event": event, **self._facts, **facts}
        data = self._scrub(json.dumps(line, ensure_ascii=False, default=str)).encode("utf-8", "replace")
        with self._lock:
            try:
                self._append(data + b"\n")
            except OSError as error:
                self.failure = self.failure or f"cannot write {self._path}: {error.strerror}"

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, data)  # as a whole, so that lines of several processes do not mix
        finally:
            os.close(descriptor)
