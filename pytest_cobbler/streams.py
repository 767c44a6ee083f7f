"""The output of child processes, as it arrives: captured, passed on as it is, or in lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pytest_cobbler.files import Tail
from pytest_cobbler.lines import LineSplitter

__all__ = ["Output", "Sink", "Writable"]


class Writable(Protocol):
    """A file, or anything else that takes bytes as they arrive."""

    def write(self, data: bytes, /) -> object: ...


Sink = Writable | Callable[[bytes], None] | None
"""Where an output stream goes: ``None`` captures it, a file takes it as it is, a callable takes each line,
without its newline."""


class Output:
    """Takes one output stream of a child to its sink, and keeps what the completion reports of it.

    Args:
        keep: bytes kept of a stream that is passed on; a captured one is kept whole.
    """

    def __init__(self, sink: Sink, keep: int) -> None:
        self._lines = LineSplitter(sink) if callable(sink) else None
        self._file = None if callable(sink) else sink
        self._captured: list[bytes] = []
        self._tail = Tail(keep) if sink is not None and keep else None

    def take(self, chunk: bytes) -> None:
        if self._lines:
            self._lines.feed(chunk)
        elif self._file is not None:
            self._file.write(chunk)
        else:
            self._captured.append(chunk)
        if self._tail:
            self._tail.add(chunk)

    def close(self) -> None:
        """Pass on the last line if it has no newline."""
        if self._lines:
            self._lines.close()

    @property
    def kept(self) -> bytes:
        return self._tail.data if self._tail else b"".join(self._captured)
