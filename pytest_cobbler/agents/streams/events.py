"""Takes the lines of a program's output apart: one event a line, as JSON, and log text between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from pytest_cobbler.agents.base import OnStep
from pytest_cobbler.agents.values import event_of, is_object
from pytest_cobbler.display import one_line

__all__ = ["LOG_LINES", "EventReader"]

LOG_LINES = 40
"""Lines of log text that become steps, of those that arrive together, if no one reads the steps."""


class EventReader(ABC):
    """The part of a reader that is the same for every format of events.

    Args:
        on_step: called with one line of text for each message, tool call and line of log text.
        resumes: the run goes on with a conversation of earlier ones, whose usage is not this run's.
    """

    def __init__(self, on_step: OnStep | None = None, *, resumes: bool = False) -> None:
        self._resumes = resumes
        self._on_step: OnStep = on_step or (lambda _step: False)
        self.last_log = ""
        self.is_thinking = False
        self.thought = 0

    @abstractmethod
    def _take_event(self, event: Mapping[str, object]) -> bool:
        """Take an event; returns whether its type is known. If not, its line is kept as the last log text."""

    def feed(self, lines: bytes, looks: Sequence[Callable[[bytes], None]] = ()) -> None:
        """Take whole lines.

        Args:
            looks: each is called with a line after the line was taken, if it may be an event.
        """
        log: list[bytes] = []
        for line in lines.split(b"\n"):
            if not is_object(line):
                log.append(line)
                continue
            self._take_log(log)
            log.clear()
            event = event_of(line)
            if not self._take_event(event):
                self._take_text(line, is_event=bool(event))
            for look in looks:
                look(line)
        self._take_log(log)

    def _take_log(self, lines: Sequence[bytes]) -> None:
        """Take lines that are not events; if no one reads their steps, only the last ones."""
        lines = [line for line in lines if line.strip()]
        for number, line in enumerate(lines, 1):
            if self._take_text(line) is False:
                for last in lines[max(number, len(lines) - LOG_LINES) :]:
                    self._take_text(last)
                return

    def _take_text(self, line: bytes, *, is_event: bool = False) -> bool | None:
        """Take a line of log text; returns what the reader of its step returns."""
        text = one_line(line[: 8 * 200].decode("utf-8", "replace"))
        if not text:
            return None
        self.last_log = text
        self.is_thinking &= is_event
        return None if is_event else self._on_step(text)
