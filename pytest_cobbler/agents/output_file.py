"""The files that keep an agent's output: written line by line, with a limited size."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["OutputFile"]

_MEGABYTE = 1024 * 1024


class OutputFile:
    """A file that is written line by line, so that a killed run leaves its output.

    Args:
        limit: bytes after which a note ends the file; further lines are dropped.
    """

    def __init__(self, path: Path, limit: int = 64 * _MEGABYTE) -> None:
        self._path = path
        self._left = limit
        self._full = False
        self._file: IO[bytes] | None = None

    def __enter__(self) -> OutputFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()

    def write(self, line: bytes) -> None:
        """Add ``line`` and a newline."""
        assert self._file is not None
        self._left -= len(line) + 1
        if self._left >= 0:
            self._file.write(line + b"\n")
        elif not self._full:
            self._full = True
            self._file.write(b'{"type": "cobbler", "subtype": "truncated"}\n')
