"""The entries of trees, and blobs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.object_reader import tree_entries

DIRECTORY = "040000"
"""The mode of a directory in a tree."""
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LISTINGS = 8

_listings: dict[str, bytes] = {}
"""Object id -> what git lists of it, of the last few; an id stands for the same content in every store."""


def read_small_blobs(git: Git, blobs: Iterable[str], largest: int) -> dict[str, bytes]:
    """The content of those of ``blobs`` that are there and have at most ``largest`` bytes."""
    contents = {}
    asked = list(dict.fromkeys(blobs))
    for blob, found in zip(asked, git.reader.find_all(asked), strict=True):
        if found and found.kind == "blob" and found.size <= largest:
            contents[blob] = read_blob(git, blob)
    return contents


def read_blob(git: Git, blob: str) -> bytes:
    """The content of a blob.

    Raises:
        RepositoryError: there is none of this id.
    """
    read = git.reader.read(blob)
    if read is None or read[0].kind != "blob":
        raise RepositoryError(f"git has no blob {blob}")
    return read[1]


def entries_of(git: Git, tree: str) -> dict[bytes, tuple[str, str]]:
    """Name -> mode and object id of what a tree holds itself, at its top.

    Args:
        tree: a tree or a commit.

    Raises:
        RepositoryError: there is no such tree.
    """
    read = git.reader.read(f"{tree}^{{tree}}")
    if read is None:
        raise RepositoryError(f"git has no tree {tree}")
    found, content = read
    return {name: (mode, object_id) for mode, object_id, name in tree_entries(content, len(found.id))}


def entries_in(git: Git, tree: str, directory: str) -> dict[bytes, tuple[str, str]]:
    """The same of a directory of ``tree``, by its path; empty if there is none."""
    return _Walk(git, tree).directory(os.fsencode(directory))


def entries_at(git: Git, tree: str, paths: Iterable[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Mode, object id and path of those of ``paths`` that ``tree`` holds, sorted by path."""
    walk = _Walk(git, tree)
    for path in sorted(set(paths)):
        above, _, name = path.rpartition(b"/")
        if found := walk.directory(above).get(name):
            yield *found, path


class _Walk:
    """The directories of one tree, each read once."""

    def __init__(self, git: Git, tree: str) -> None:
        self._git = git
        self._tree = tree
        self._directories: dict[bytes, dict[bytes, tuple[str, str]]] = {}

    def directory(self, path: bytes) -> dict[bytes, tuple[str, str]]:
        """The entries of a directory; empty if there is none."""
        if path not in self._directories:
            self._directories[path] = self._read(path)
        return self._directories[path]

    def _read(self, path: bytes) -> dict[bytes, tuple[str, str]]:
        if not path:
            return entries_of(self._git, self._tree)
        above, _, name = path.rpartition(b"/")
        mode, object_id = self.directory(above).get(name, ("", ""))
        return entries_of(self._git, object_id) if mode == DIRECTORY else {}


def all_entries(git: Git, tree: str) -> Iterator[tuple[str, str, bytes]]:
    """Mode, object id and path of every file, link and submodule."""
    listed = _listings.get(tree)
    if listed is None:
        listed = git.run("ls-tree", "-r", "-z", "--full-tree", tree).stdout
        if _OBJECT_ID.fullmatch(tree):
            if len(_listings) >= _LISTINGS:
                _listings.clear()
            _listings[tree] = listed
    yield from _entries(listed)


def _entries(listed: bytes) -> Iterator[tuple[str, str, bytes]]:
    for entry in listed.split(b"\0")[:-1]:
        facts, _, path = entry.partition(b"\t")
        mode, _, name = facts.decode().split(" ")
        yield mode, name, path
