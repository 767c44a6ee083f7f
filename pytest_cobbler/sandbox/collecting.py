"""The file of a job that its sandbox reads once every process of the job has ended."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_cobbler.display import shown_size
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.lines import LineSplitter
from pytest_cobbler.streams import Writable

__all__ = [
    "LARGEST",
    "Collected",
    "CollectedFile",
    "NotTaken",
    "Nowhere",
    "Separator",
    "first_match",
    "read_collected",
    "read_file",
]

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


class NotTaken(Exception):
    """A file that a job has left is not read; the text says why. ``is_missing``: there is no such file."""

    def __init__(self, why: str, *, is_missing: bool = False) -> None:
        super().__init__(why)
        self.is_missing = is_missing


def read_collected(file: CollectedFile) -> bytes | None:
    """The content of a file on this machine; ``None`` if it is not a regular file, or too large."""
    try:
        return read_file(file, LARGEST)
    except NotTaken:
        return None


def read_file(file: CollectedFile, largest: int) -> bytes:
    """The content of a file on this machine, which is not trusted.

    Raises:
        NotTaken: it is not a regular file, links lead to it, or it is too large.
    """
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
            if not stat.S_ISREG(os.fstat(found).st_mode):
                os.close(found)
                raise NotTaken("is not a regular file")
            with os.fdopen(found, "rb") as content:
                data = content.read(largest + 1)
    except FileNotFoundError as error:
        raise NotTaken("is missing", is_missing=True) from error
    except OSError as error:
        raise NotTaken(f"cannot be read: {error.strerror}") from error
    if len(data) > largest:
        raise NotTaken(f"is larger than {shown_size(largest)}")
    return data


def first_match(directory: Path, pattern: Sequence[str], found: str = "") -> str:
    """The first path by name below ``directory`` that leads through no links; empty: there is none.

    Args:
        pattern: the parts of the path. A ``*`` is any part of a name.
        found: the path to begin with.
    """
    try:
        with os.scandir(directory / found) as entries:
            names = sorted(entry.name for entry in entries if not entry.is_symlink())
    except OSError:
        return ""
    for name in names:
        if not matches_glob(name, pattern[0]):
            continue
        path = f"{found}/{name}" if found else name
        if len(pattern) > 1:
            path = first_match(directory, pattern[1:], path)
        if path:
            return path
    return ""


class Nowhere:
    """Takes output that no one wants."""

    def write(self, _data: bytes, /) -> None:
        pass


class Separator:
    """Separates what follows a token from the output of the job that precedes it.

    No process of the job can know the token. Everything before it is the job's and passed on as it arrives.

    Args:
        token: precedes the rest.
        output: takes the output of the job as it is, or its lines.
        rest: takes what follows.
    """

    def __init__(self, token: bytes, output: Writable | Callable[[bytes], None], rest: Writable) -> None:
        self._token = token
        self._take: Callable[[bytes], object]
        self._lines: LineSplitter | None = None
        if callable(output):
            self._lines = LineSplitter(output)
            self._take = self._lines.feed
        else:
            self._take = output.write
        self._rest = rest
        self._held = b""
        """The end of the output that may be the beginning of the token."""
        self.is_over = False
        """Whether the token has arrived."""

    def write(self, chunk: bytes) -> None:
        if self.is_over:
            self._rest.write(chunk)
            return
        text, token, rest = (self._held + chunk).partition(self._token)
        if token:
            self._held = b""
            self.is_over = True
        else:
            kept = _overlap(text, self._token)
            self._held = text[len(text) - kept :]
            text = text[: len(text) - kept]
        if text:
            self._take(text)
        if rest:
            self._rest.write(rest)

    def close(self) -> None:
        """Pass on the end of the output."""
        if self._held:
            self._take(self._held)
        if self._lines:
            self._lines.close()


class Collected:
    """Takes a collected file, which ends with ``token``."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._file = bytearray()

    def write(self, chunk: bytes) -> None:
        if len(self._file) <= LARGEST + len(self._token):  # the rest of a larger one is dropped
            self._file += chunk

    @property
    def content(self) -> bytes | None:
        """The file; ``None`` if it did not arrive as a whole, or is too large."""
        if not self._file.endswith(self._token):
            return None
        content = bytes(self._file[: -len(self._token)])
        return content if len(content) <= LARGEST else None


def _overlap(text: bytes, token: bytes) -> int:
    """How many bytes at the end of ``text`` are the beginning of ``token``."""
    for length in range(min(len(text), len(token) - 1), 0, -1):
        if text.endswith(token[:length]):
            return length
    return 0
