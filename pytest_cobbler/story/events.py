"""The events of a journal, read back as a whole or while a run writes them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pytest_cobbler.agents.values import event_of, text_of

__all__ = ["Event", "GrowingFile", "Heard", "events_of", "read_events", "time_of"]

Event = Mapping[str, object]
"""A line of a journal: ``time``, ``event`` and the facts of that event."""


def time_of(event: Event) -> float | None:
    """The time of an event in seconds since 1970; ``None`` if the event has none that can be read."""
    try:
        seconds = datetime.fromisoformat(text_of(event, "time")).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def read_events(path: Path) -> Iterator[Event]:
    """The events of a journal. A line that is cut off or damaged is passed over; so is a missing file."""
    return events_of(GrowingFile(path).new_lines())


def events_of(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events in ``lines`` of a journal."""
    for line in lines:
        event = event_of(line)
        if time_of(event) is not None and text_of(event, "event"):
            yield event


class GrowingFile:
    """A file of lines that another thread or process appends to.

    A file that is missing has no lines. One that is shorter than before was replaced, and begins again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new_lines(self, most: int | None = None) -> list[bytes]:
        """The complete lines that were added since the last call, without their ends.

        Args:
            most: bytes to read; if more were added, only the lines at the end are returned.
        """
        is_cut = False
        try:
            with self._path.open("rb") as file:
                end = file.seek(0, 2)
                if end < self._offset:
                    self._offset, self._rest = 0, b""
                if most is not None and end - self._offset > most:
                    self._offset, self._rest, is_cut = end - most, b"", True
                file.seek(self._offset)
                data = file.read()
                self._offset = file.tell()
        except OSError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines[1:] if is_cut else lines


class Heard:
    """The lines of a journal that this process writes. ``take`` is for ``Journal.follow``; thread-safe."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()

    def take(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line.encode("utf-8", "replace"))

    def new_lines(self) -> list[bytes]:
        """The lines that were added since the last call."""
        return [self._lines.popleft() for _ in range(len(self._lines))]
