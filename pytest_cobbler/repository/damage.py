"""References whose objects are missing: `git gc` or `git prune` beside a run removed them, or the disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_cobbler.repository import names
from pytest_cobbler.repository.repository import Repository

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
