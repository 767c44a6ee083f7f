"""Standard output and error of an action that goes on when no one takes them any more.

A pipe may close, a terminal may go away, a disk may be full. Then the rest of the output is lost. The work,
the JUnit file and the exit code must not be: every task that was paid for has to be reported.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["before_output", "outlive_output"]


class _Expendable(io.FileIO):
    """A file descriptor that drops what cannot be written.

    ``before`` is called before each write, in the thread that writes.
    """

    before: Callable[[], None] | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        if self.before is not None:
            self.before()
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def outlive_output() -> Callable[[], None]:
    """Replace ``sys.stdout`` and ``sys.stderr`` by files that drop what cannot be written.

    Those that something else has replaced already stay.

    Returns:
        a function that puts back those of before.
    """
    before = (sys.stdout, sys.stderr)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _expendable(sys.stdout, 1)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _expendable(sys.stderr, 2)

    def restore() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before[0] or sys.stdout, before[1] or sys.stderr

    return restore


def before_output(call: Callable[[], None] | None) -> None:
    """Let ``call`` be called before anything of this process reaches standard output or error.

    That is so for files of ``outlive_output``. Child processes, and files that replace them, write unseen.
    """
    for file in (sys.stdout, sys.stderr):
        raw = getattr(getattr(file, "buffer", None), "raw", None)
        if isinstance(raw, _Expendable):
            raw.before = call


def _expendable(file: object, descriptor: int) -> io.TextIOWrapper:
    """A file like this one, on the same descriptor; if that is closed (``>&-``), there is no file."""
    if not isinstance(file, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), descriptor)
        file = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    file.flush()
    raw = io.BufferedWriter(_Expendable(descriptor, "w", closefd=False))
    return io.TextIOWrapper(
        raw,
        encoding=file.encoding,
        errors=file.errors,
        line_buffering=file.line_buffering,
        write_through=file.write_through,
    )
