"""References whose objects are missing: `git gc` or `git prune` beside a run removed them, or the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_cobbler.repository import names
from pytest_cobbler.repository.blobs import DIRECTORY, entries_of
from pytest_cobbler.repository.changes import SUBMODULE
from pytest_cobbler.repository.repository import Repository

MOST_NEW = 500
"""New objects of a change that are looked at one by one."""

_OURS = (names.ATTEMPTS.rstrip("/"), names.LEFT.rstrip("/"), "refs/heads/task")


def is_whole(repository: Repository, objects: Iterable[str], known: Iterable[str]) -> bool:
    """Whether all that ``objects`` reach is in the repository, except what ``known`` reach.

    Args:
        objects: ids of commits and trees.
        known: ids of commits and trees whose objects are taken to be there.
    """
    revisions = "".join([*(f"{one}\n" for one in objects), *(f"^{one}\n" for one in known)])
    return repository.objects.run(
        "rev-list", "--objects", "--quiet", "--stdin", stdin=revisions.encode(), accepted=(0, 128)
    ).ok


def are_files(repository: Repository, objects: Iterable[str]) -> bool:
    """Whether each of the objects is a file of its own in the repository, as those that came last mostly are.

    That is sure: git that stays may still have a pack open that was removed. Where it is not so,
    :func:`is_whole` decides.
    """
    return all(any(_size(store / one[:2] / one[2:]) for store in repository.object_stores) for one in objects)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def new_objects(repository: Repository, tree: str, parent: str) -> list[str]:
    """The trees and blobs that ``tree`` has and ``parent``, a commit, lacks at the same path.

    Of a large change only some; then there is one more than ``MOST_NEW``.
    """
    new: list[str] = []
    waiting = [(tree, repository.tree_of(parent))]
    while waiting and len(new) <= MOST_NEW:
        current, before = waiting.pop()
        if current == before:
            continue
        new.append(current)
        known = entries_of(repository.objects, before) if before else {}
        for name, entry in entries_of(repository.objects, current).items():
            if entry[0] == DIRECTORY:
                mode, below = known.get(name, ("", ""))
                waiting.append((entry[1], below if mode == DIRECTORY else ""))
            elif entry[0] != SUBMODULE and known.get(name) != entry:
                new.append(entry[1])
    return new[: MOST_NEW + 1]


def damaged_refs(repository: Repository) -> dict[str, str]:
    """Ref -> object id of kept work that cannot be read any more, of all generations."""
    return damaged(repository, repository.list_refs(*_OURS))


def damaged(repository: Repository, refs: Mapping[str, str]) -> dict[str, str]:
    """Those of these refs, on commits of ours, whose objects are missing."""
    if not refs or _are_whole(repository, refs.values()):
        return {}
    return {ref: commit for ref, commit in refs.items() if not _are_whole(repository, [commit])}


def _are_whole(repository: Repository, commits: Iterable[str]) -> bool:
    """The same for commits of ours, each with its parents as known: those are on branches."""
    return is_whole(repository, commits, [f"{commit}^@" for commit in commits])
