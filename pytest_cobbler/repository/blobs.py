"""The entries of a tree, and many blobs, in a few calls of git."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pytest_cobbler.repository.git import Git

_AT_ONCE = 500
_LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}
_OBJECT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_LISTINGS = 8

_listings: dict[str, bytes] = {}
"""Object id -> what git lists of it, of the last few; an id stands for the same content in every store."""


def read_small_blobs(git: Git, blobs: Iterable[str], largest: int) -> dict[str, bytes]:
    """The content of those of ``blobs`` that are there and have at most ``largest`` bytes."""
    asked = sorted(set(blobs))
    if not asked:
        return {}
    lines = "".join(f"{blob}\n" for blob in asked).encode()
    facts = git.run("cat-file", "--batch-check=%(objecttype) %(objectsize)", stdin=lines).text.splitlines()
    small = {
        blob: int(size)
        for blob, (kind, _, size) in zip(asked, (fact.partition(" ") for fact in facts), strict=True)
        if kind == "blob" and int(size) <= largest
    }
    lines = "".join(f"{blob}\n" for blob in small).encode()
    answer = git.run("cat-file", "--batch=", stdin=lines).stdout
    contents, start = {}, 1
    for blob, size in small.items():
        contents[blob] = answer[start : start + size]
        start += size + 2  # the end of this line, and an empty one
    return contents


def entries_at(git: Git, tree: str, paths: Sequence[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Mode, object id and path of those of ``paths`` that ``tree`` holds."""
    for first in range(0, len(paths), _AT_ONCE):
        some = paths[first : first + _AT_ONCE]
        answer = git.run("ls-tree", "-z", "--full-tree", tree, "--", *some, environment=_LITERAL)
        yield from _entries(answer.stdout)


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
