"""The files that keep an agent's output: written as it comes, with a limited size."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["OutputFile"]

_MEGABYTE = 1024 * 1024
_TRUNCATED = b'{"type": "cobbler", "subtype": "truncated"}\n'


class OutputFile:
    """A file that is written without delay, so that a killed run leaves its output.

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

    def write(self, lines: bytes) -> None:
        """Add whole lines, as many of them as there is room for."""
        assert self._file is not None
        if self._full:
            return
        self._full = len(lines) > self._left
        kept = lines[: lines.rfind(b"\n", 0, self._left) + 1] if self._full else lines
        self._left -= len(kept)
        # A file without a buffer may take only the beginning.
        rest = memoryview(kept + _TRUNCATED if self._full else kept)
        while rest:
            rest = rest[self._file.write(rest) :]
