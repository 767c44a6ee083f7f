"""Files that git could not merge: their three versions, and a merge with their contents settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.repository import Repository

__all__ = ["Conflict", "conflicts_of", "tree_with"]

_REGULAR = ("100644", "100755")


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A regular file that both sides changed in ways that git does not merge.

    ``base``, ``ours`` and ``theirs`` are the ids of its three contents, ``mode`` is the merged one.
    """

    path: bytes
    mode: str
    base: str
    ours: str
    theirs: str


def conflicts_of(stages: Iterable[bytes]) -> Iterator[Conflict]:
    """The conflicts about nothing but the content of a regular file that is on all three sides.

    Args:
        stages: lines of ``git merge-tree``: ``<mode> <object> <stage>TAB<path>``.
    """
    sides: dict[bytes, dict[str, tuple[str, str]]] = {}
    for line in stages:
        words, _, path = line.partition(b"\t")
        mode, blob, stage = words.decode().split(" ")
        sides.setdefault(path, {})[stage] = mode, blob
    for path, found in sides.items():
        if found.keys() != {"1", "2", "3"}:
            continue
        modes = [found[stage][0] for stage in "123"]
        blobs = [found[stage][1] for stage in "123"]
        mode = modes[1] if modes[2] in (modes[0], modes[1]) else modes[2] if modes[1] == modes[0] else ""
        if mode and all(one in _REGULAR for one in modes):
            yield Conflict(path=path, mode=mode, base=blobs[0], ours=blobs[1], theirs=blobs[2])


def tree_with(
    repository: Repository, tree: str, conflicts: Iterable[Conflict], blobs: Mapping[bytes, str]
) -> str:
    """``tree`` in which each of ``conflicts`` has the content that ``blobs`` (path -> object id) names."""
    entries = b"".join(
        f"{conflict.mode} {blobs[conflict.path]}\t".encode() + conflict.path + b"\0" for conflict in conflicts
    )
    with temporary_directory(repository.work_dir) as place:
        index = repository.objects.using(index=place / "index", work_tree=place)
        index.run("read-tree", tree)
        index.run("update-index", "-z", "--index-info", stdin=entries)
        return index.text("write-tree")
