"""The landed commits of a generation, each in a reference: they stay if a person moves the branch back."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_cobbler.repository import names
from pytest_cobbler.repository.repository import Repository


def pinned_landings(repository: Repository, generation: str) -> dict[str, str]:
    """Task id -> the commit of its last landing in the generation."""
    prefix = names.landed_prefix(generation)
    refs = repository.list_refs(prefix.rstrip("/"))
    return {ref.removeprefix(prefix): commit for ref, commit in refs.items()}


def newest_pinned(repository: Repository, generation: str) -> str:
    """The last of these commits that is in the repository; empty if there is none."""
    return newest_of(repository, pinned_landings(repository, generation).values())


def newest_of(repository: Repository, pinned: Iterable[str]) -> str:
    """The last of some landed commits of one generation that is in the repository; empty if there is none."""
    there = [commit for commit in pinned if repository.resolve(f"{commit}^{{commit}}")]
    if not there:
        return ""
    # Not by their times: two landings may have the same second.
    return repository.objects.text("merge-base", "--independent", *there).partition("\n")[0]


def drop_pinned(repository: Repository, generation: str, tip: str) -> None:
    """Drop the references on commits that ``tip``, which something else holds, reaches."""
    pinned = pinned_landings(repository, generation)
    reached = set(repository.objects.text("rev-list", tip).split()) if pinned else set()
    prefix = names.landed_prefix(generation)
    repository.drop_refs([prefix + task_id for task_id, commit in pinned.items() if commit in reached])
