"""What a tree has that makes more work of its harvest: submodules, and files with attributes."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cobbler.repository.blobs import DIRECTORY, entries_of
from pytest_cobbler.repository.changes import SUBMODULE
from pytest_cobbler.repository.git import Git

__all__ = ["Traits", "traits_of"]

_ATTRIBUTES = b".gitattributes"
_MOST = 100_000


@dataclass(frozen=True)
class Traits:
    """Whether there are submodules, and files named .gitattributes, in large or small letters."""

    submodules: bool = False
    attributes: bool = False

    def __or__(self, other: Traits) -> Traits:
        return Traits(self.submodules or other.submodules, self.attributes or other.attributes)


_known: dict[str, Traits] = {}
"""Id of a tree -> its traits; an id stands for the same content in every store."""


def traits_of(git: Git, tree: str) -> Traits:
    """The traits of a tree, with all that is below it. Only the directories that are new are read.

    Args:
        tree: the id of a tree, not of a commit.
    """
    if len(_known) > _MOST:
        _known.clear()
    waiting = [tree]
    while waiting:
        current = waiting[-1]
        entries = entries_of(git, current) if current not in _known else {}
        below = [object_id for mode, object_id in entries.values() if mode == DIRECTORY]
        unread = [object_id for object_id in below if object_id not in _known]
        if unread:
            waiting += unread
            continue
        if current not in _known:
            traits = Traits(
                submodules=any(mode == SUBMODULE for mode, _ in entries.values()),
                attributes=any(name.lower() == _ATTRIBUTES for name in entries),
            )
            for object_id in below:
                traits |= _known[object_id]
            _known[current] = traits
        waiting.pop()
    return _known[tree]
