"""The file of a job that its sandbox reads once every process of the job has ended."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.process import LineSplitter, Writable

__all__ = ["LARGEST", "CollectedFile", "Nowhere", "Separator", "read_collected"]

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a file that is collected; a larger one is not."""


@dataclass(frozen=True, kw_only=True)
class CollectedFile:
    """The place of a file: ``directory`` is relative to ``base``, which is absolute. No part is a link.

    ``held``: as in ``Job.held``.
    """

    base: str
    directory: str
    name: str
    held: bool = False

    @classmethod
    def of(cls, collect: str, *, workdir: str, home: str, held: bool = False) -> CollectedFile | None:
        """The place that ``Job.collect`` names; ``None`` if it is empty.

        Raises:
            SandboxError: it is not a path below the working directory or the home directory.
        """
        if not collect:
            return None
        below = collect.removeprefix("~/")
        path = PurePosixPath(below)
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in below:
            raise SandboxError(f"{collect!r} is not a path below the working directory of a job")
        directory = "" if path.parent == PurePosixPath() else str(path.parent)
        return cls(base=workdir if below == collect else home, directory=directory, name=path.name, held=held)


def read_collected(file: CollectedFile, largest: int = LARGEST) -> bytes | None:
    """The content of a file on this machine; ``None`` if it is not a regular file, or too large."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        place = os.open(file.base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, place)
            for part in PurePosixPath(file.directory).parts:
                place = os.open(part, flags | os.O_DIRECTORY, dir_fd=place)
                opened.callback(os.close, place)
            # A FIFO would wait for someone to write.
            found = os.open(file.name, flags | os.O_NONBLOCK, dir_fd=place)
            with os.fdopen(found, "rb") as content:
                if not stat.S_ISREG(os.fstat(found).st_mode):
                    return None
                data = content.read(largest + 1)
    except OSError:
        return None
    return data if len(data) <= largest else None


class Nowhere:
    """Takes output that no one wants."""

    def write(self, _data: bytes, /) -> None:
        pass


class Separator:
    """Separates a collected file from the output of the job that precedes it.

    The file is between two tokens that no process of the job can know. Everything before the first one is
    the job's and passed on as it arrives.

    Args:
        token: precedes and follows the file.
        output: takes the output of the job as it is, or its lines.
    """

    def __init__(self, token: bytes, output: Writable | Callable[[bytes], None]) -> None:
        self._token = token
        self._take: Callable[[bytes], object]
        self._lines: LineSplitter | None = None
        if callable(output):
            self._lines = LineSplitter(output)
            self._take = self._lines.feed
        else:
            self._take = output.write
        self._held = b""
        """The end of the output that may be the beginning of the token."""
        self._file: bytearray | None = None

    def write(self, chunk: bytes) -> None:
        if self._file is not None:
            self._add(chunk)
            return
        text, token, rest = (self._held + chunk).partition(self._token)
        if token:
            self._held = b""
            self._file = bytearray()
            self._add(rest)
        else:
            kept = _overlap(text, self._token)
            self._held = text[len(text) - kept :]
            text = text[: len(text) - kept]
        if text:
            self._take(text)

    def _add(self, chunk: bytes) -> None:
        assert self._file is not None
        if len(self._file) <= LARGEST + len(self._token):  # the rest of a larger one is dropped
            self._file += chunk

    def close(self) -> None:
        """Pass on the end of the output."""
        if self._held:
            self._take(self._held)
        if self._lines:
            self._lines.close()

    @property
    def content(self) -> bytes | None:
        """The file; ``None`` if it did not arrive as a whole, or is too large."""
        if self._file is None or not self._file.endswith(self._token):
            return None
        content = bytes(self._file[: -len(self._token)])
        return content if len(content) <= LARGEST else None


def _overlap(text: bytes, token: bytes) -> int:
    """How many bytes at the end of ``text`` are the beginning of ``token``."""
    for length in range(min(len(text), len(token) - 1), 0, -1):
        if text.endswith(token[:length]):
            return length
    return 0
