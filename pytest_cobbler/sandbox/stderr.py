"""The last lines of a job's stderr."""

from __future__ import annotations

from collections.abc import Callable

from pytest_cobbler.files import Tail
from pytest_cobbler.process import TAIL

__all__ = ["ErrorTail"]


class ErrorTail:
    """Passes lines of stderr on and keeps the last :data:`~pytest_cobbler.process.TAIL` bytes of them."""

    def __init__(self, on_line: Callable[[bytes], None] | None) -> None:
        self._on_line = on_line
        self._tail = Tail(TAIL)

    def __call__(self, line: bytes) -> None:
        self._tail.add(line + b"\n")
        if self._on_line is not None:
            self._on_line(line)

    @property
    def text(self) -> str:
        return self._tail.text
