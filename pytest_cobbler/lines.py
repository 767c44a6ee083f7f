"""Splits a stream of bytes into lines."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["LineSplitter", "LinesTogether"]

LONGEST_LINE = 32 * 1024 * 1024
"""Bytes of one line; a longer one is passed on in pieces."""


class LinesTogether:
    """Takes chunks of bytes; passes whole lines that arrive together, with newlines, to ``on_lines``."""

    def __init__(self, on_lines: Callable[[bytes], object]) -> None:
        self._on_lines = on_lines
        self._rest: list[bytes] = []
        self._length = 0

    def write(self, chunk: bytes, /) -> None:
        lines, newline, rest = chunk.rpartition(b"\n")
        if newline:
            self._on_lines(b"".join([*self._rest, lines, newline]))
            self._rest, self._length = [], 0
        if rest:
            self._rest.append(rest)
            self._length += len(rest)
            if self._length > LONGEST_LINE:
                self.close()

    def close(self) -> None:
        """Pass on the last line if it has no newline; it gets one."""
        if self._rest:
            self._on_lines(b"".join([*self._rest, b"\n"]))
            self._rest, self._length = [], 0


class LineSplitter:
    """Splits chunks of bytes into lines and passes each, without its newline, to ``on_line``."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self._together = LinesTogether(self._split)

    def feed(self, chunk: bytes) -> None:
        self._together.write(chunk)

    def close(self) -> None:
        self._together.close()

    def _split(self, lines: bytes) -> None:
        for line in lines[:-1].split(b"\n"):
            self._on_line(line)
