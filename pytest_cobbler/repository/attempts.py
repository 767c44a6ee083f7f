"""Work that did not land, kept as refs: nothing an agent did and could be imported is ever lost."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository

INTERRUPTED = "interrupted"
"""The cause of an attempt whose run was killed."""


@dataclass(frozen=True, kw_only=True)
class KeptAttempt:
    """An attempt that did not land: its commit, number, cause (a word) and the message about it."""

    ref: str
    commit: str
    number: int
    cause: str
    evidence: str


def keep_attempt(
    repository: Repository,
    generation: str,
    task_id: str,
    number: int,
    *,
    commit: str,
    title: str,
    cause: str,
    evidence: str,
    identity: Identity,
) -> str:
    """Keep ``commit``'s work under the task's attempts, with why it did not land; the ref."""
    text = trailers.message(
        repository,
        f"Attempt {number}, {cause}: {title}",
        evidence,
        {
            # Not Cobbler-Task: that trailer means landed.
            trailers.ATTEMPT: f"{task_id} {number}",
            trailers.GENERATION: generation,
            trailers.CAUSE: cause,
        },
    )
    parent = repository.objects.text("rev-parse", "--verify", f"{commit}^")
    kept = repository.commit(repository.tree_of(commit), [parent], text, identity)
    ref = names.attempt_ref(generation, task_id, number)
    repository.set_ref(ref, kept)
    return ref


def kept_attempts(repository: Repository, generation: str, task_id: str) -> list[KeptAttempt]:
    """The kept attempts of a task, by number."""
    prefix = names.attempts_prefix(generation, task_id)
    found = []
    for ref, commit in repository.list_refs(prefix.rstrip("/")).items():
        number = ref.removeprefix(prefix)
        if not number.isdigit():
            continue
        said = trailers.read_trailers(repository, commit)
        found.append(
            KeptAttempt(
                ref=ref,
                commit=commit,
                number=int(number),
                cause=said.get(trailers.CAUSE, ""),
                evidence=trailers.read_body(repository, commit),
            )
        )
    return sorted(found, key=lambda attempt: attempt.number)


def last_numbers(repository: Repository, generation: str) -> dict[str, int]:
    """Task id -> highest number of a kept attempt."""
    prefix = names.attempts_prefix(generation)
    found: dict[str, int] = {}
    for ref in repository.list_refs(prefix.rstrip("/")):
        task_id, _, number = ref.removeprefix(prefix).rpartition("/")
        if number.isdigit():
            found[task_id] = max(found.get(task_id, 0), int(number))
    return found


def drop_attempts(repository: Repository, generation: str, task_id: str) -> tuple[str, ...]:
    """Delete the failed attempts of a task that has landed.

    Returns:
        the refs that another process moved meanwhile: they stay.
    """
    prefix = names.attempts_prefix(generation, task_id).rstrip("/")
    return repository.delete_refs(repository.list_refs(prefix))
