"""Objects read one by one from a git process that stays: a question takes a hundredth of a process's time."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytest_cobbler.display import shown_path
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.kept_process import Answer, KeptProcess

__all__ = ["Found", "ObjectReader", "tree_entries"]

T = TypeVar("T")

_AT_ONCE = 200
"""Questions whose answers fit into a pipe."""
_FACTS = re.compile(rb"([0-9a-f]{40,64}) (blob|tree|commit|tag) (\d+)")


@dataclass(frozen=True)
class Found:
    """An object: its id, its kind (blob, tree, commit, tag), and its bytes."""

    id: str
    kind: str
    size: int


class ObjectReader:
    """``git cat-file --batch-command``. Thread-safe."""

    def __init__(self, process: KeptProcess) -> None:
        self._process = process

    def find(self, name: str) -> Found | None:
        """What ``name`` (gitrevisions(7), without a line break) names; ``None`` if that is not there.

        Raises:
            RepositoryError: git cannot read it.
        """
        return self._ask([_question("info", name)], _facts)[0]

    def find_all(self, names: Sequence[str]) -> Iterator[Found | None]:
        """The same for many names, in their order."""
        for first in range(0, len(names), _AT_ONCE):
            questions = [_question("info", name) for name in names[first : first + _AT_ONCE]]
            yield from self._ask(questions, _facts)

    def read(self, name: str) -> tuple[Found, bytes] | None:
        """The same with the content.

        Raises:
            RepositoryError: git cannot read it.
        """
        return self._ask([_question("contents", name)], _content)[0]

    def _ask(self, questions: Sequence[bytes], read: Callable[[Answer], T]) -> list[T]:
        try:
            return self._process.ask(questions, read)
        except CobblerError as error:
            raise RepositoryError("git cat-file failed", evidence=error.evidence or error.cause) from error

    def close(self) -> None:
        """End the process. The next question starts another one."""
        self._process.close()


def _question(command: str, name: str) -> bytes:
    if not name or "\n" in name:
        raise RepositoryError(f"git cannot look for {name!r}")
    return f"{command} ".encode() + os.fsencode(name)


def _facts(answer: Answer) -> Found | None:
    line = answer.line()
    if found := _FACTS.fullmatch(line):
        return Found(found[1].decode(), found[2].decode(), int(found[3]))
    if line.endswith((b" missing", b" ambiguous")):
        return None
    raise EOFError(f"it answers {line[:200].decode('utf-8', 'replace')}")


def _content(answer: Answer) -> tuple[Found, bytes] | None:
    found = _facts(answer)
    if found is None:
        return None
    content = answer.read(found.size)
    answer.read(1)  # a newline
    return found, content


def tree_entries(content: bytes, digits: int) -> Iterator[tuple[str, str, bytes]]:
    """Mode (as git prints it in a difference), object id and name of each entry of a tree.

    Args:
        digits: of an object id: 40 or 64.

    Raises:
        RepositoryError: it has something else than a mode.
    """
    at, size = 0, digits // 2
    while at < len(content):
        space = content.index(b" ", at)
        end = content.index(b"\0", space)
        written = content[at:space]
        mode = _MODES.get(written) or _mode(written)
        yield mode, content[end + 1 : end + 1 + size].hex(), content[space + 1 : end]
        at = end + 1 + size


_MODES = {mode.lstrip("0").encode(): mode for mode in ("100644", "100755", "120000", "040000", "160000")}
"""Modes as git writes them -> as it prints them."""


def _mode(written: bytes) -> str:
    """What git prints for a mode that it does not write itself."""
    if not written or written.strip(b"01234567"):
        raise RepositoryError(f"a tree has the mode {shown_path(written)}")
    mode = int(written, 8) & 0xFFFFFFFF  # git counts no further
    if stat.S_ISREG(mode):
        return "100755" if mode & stat.S_IXUSR else "100644"
    return "120000" if stat.S_ISLNK(mode) else "040000" if stat.S_ISDIR(mode) else "160000"
