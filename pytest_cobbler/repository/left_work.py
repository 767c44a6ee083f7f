"""Work that an agent left beside the harvested files: stashes, branches, commits, checkouts, ignored files.

It is kept as refs of its own, so that no landing removes it. The commits are made by the host: what an agent
committed is a tree, and its messages are text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cobbler.display import shown_path
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.checks import Policy, check_change
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.git import Git
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.secret_forms import Secrets


@dataclass(frozen=True, kw_only=True)
class LeftWork:
    """Work of one attempt: its tree, the commit it began from, and its name for people."""

    tree: str
    parent: str
    name: str


@dataclass(frozen=True, kw_only=True)
class KeptWork:
    """Left work in a ref. ``number`` is that of its attempt."""

    ref: str
    commit: str
    number: int
    name: str


def check_left(git: Git, works: Sequence[LeftWork], policy: Policy) -> str:
    """Why the objects of these works must not reach the repository; empty if they may."""
    harmless = Policy(secrets=policy.secrets)  # nothing of it lands
    for work in works:
        for refusal in check_change(git, work.parent, work.tree, harmless)[1]:
            if refusal.poisonous:
                return f"{work.name}: {refusal}"
    return ""


def keep_left(
    repository: Repository,
    generation: Generation,
    task_id: str,
    number: int,
    *,
    works: Sequence[LeftWork],
    secrets: Sequence[str],
    identity: Identity,
) -> tuple[KeptWork, ...]:
    """Keep what an attempt left, each work as a ref."""
    scrub = Secrets(secrets).scrub_text
    kept = []
    for place, work in enumerate(works, 1):
        name = scrub(work.name)
        values = {
            # Not Cobbler-Task: that trailer means landed.
            trailers.ATTEMPT: f"{task_id} {number}",
            trailers.GENERATION: generation.name,
            trailers.TARGET: generation.base,
        }
        message = trailers.message(repository, f"{_SUBJECT}{name}", "", values)
        commit = repository.commit(work.tree, [work.parent], message, identity)
        ref = names.left_ref(generation.name, task_id, number, place)
        repository.set_ref(ref, commit)
        kept.append(KeptWork(ref=ref, commit=commit, number=number, name=name))
    return tuple(kept)


_SUBJECT = "Left: "


def kept_left(repository: Repository, generation: str, task_id: str) -> list[KeptWork]:
    """What attempts at a task left, by number and place."""
    prefix = names.left_prefix(generation, task_id)
    kept = {}
    for ref, commit in repository.list_refs(prefix.rstrip("/")).items():
        number, _, place = ref.removeprefix(prefix).partition("/")
        if number.isdigit() and place.isdigit():
            subject = repository.objects.run("show", "--no-patch", "--format=%s", commit).stdout
            name = shown_path(subject.strip()).removeprefix(_SUBJECT)
            kept[int(number), int(place)] = KeptWork(ref=ref, commit=commit, number=int(number), name=name)
    return [work for _, work in sorted(kept.items())]


def left_counts(repository: Repository) -> dict[str, int]:
    """Generation -> number of works that agents left in it."""
    counts: dict[str, int] = {}
    for ref in repository.list_refs(names.LEFT.rstrip("/")):
        name = ref.removeprefix(names.LEFT).partition("/")[0]
        counts[name] = counts.get(name, 0) + 1
    return counts
