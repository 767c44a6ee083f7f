"""Work that did not land, kept as refs, so that no importable work of an agent is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pytest_cobbler.causes import Cause
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.damage import damaged
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository


@dataclass(frozen=True, kw_only=True)
class KeptAttempt:
    """An attempt that did not land. ``details`` is the body of its commit, ``trailers`` are its trailers."""

    ref: str
    commit: str
    number: int
    cause: Cause
    details: str
    trailers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether its agent had ended well, and it did not land for another reason.

        Refused work is finished if ``allow_paths`` can allow it.
        """
        is_open = self.waited or self.cause is Cause.REFUSED
        return self.cause in _OF_LANDING or (is_open and trailers.READY in self.trailers)

    @property
    def waited(self) -> bool:
        """Whether it ended before its gate did."""
        return self.cause in _BROKEN_OFF


_OF_LANDING = frozenset({Cause.GATE, Cause.CONFLICT, Cause.LANDING})
_BROKEN_OFF = frozenset({Cause.CANCELLED, Cause.INTERRUPTED, Cause.LANDING})


def keep_attempt(
    repository: Repository,
    generation: Generation,
    task_id: str,
    number: int,
    *,
    commit: str,
    title: str,
    cause: Cause,
    details: str,
    identity: Identity,
    facts: Mapping[str, object] = MappingProxyType({}),
) -> str:
    """Keep the work of ``commit`` as an attempt of the task, with the reason it failed; return the ref.

    Args:
        facts: more trailers.

    Raises:
        RepositoryError: git failed, or the commit was removed before the ref held it.
    """
    text = trailers.message(
        repository,
        f"Attempt {number}, {cause}: {title}",
        details,
        {
            # Not Cobbler-Task: that trailer means landed.
            trailers.ATTEMPT: f"{task_id} {number}",
            trailers.GENERATION: generation.name,
            trailers.TARGET: generation.base,
            trailers.CAUSE: cause,
            **facts,
        },
    )
    parent = repository.parent_of(commit)
    kept = repository.commit(repository.tree_of(commit), [parent], text, identity)
    ref = names.attempt_ref(generation.name, task_id, number)
    repository.set_ref(ref, kept)
    if damaged(repository, {ref: kept}):  # git may remove a commit that has no reference yet
        repository.drop_refs([ref])
        raise RepositoryError(
            f"commit {kept} of the work on {task_id} is missing in the repository",
            "Run the command again when no `git gc` or `git prune` is running: the work is still there.",
        )
    return ref


def kept_attempts(repository: Repository, generation: str, task_id: str) -> list[KeptAttempt]:
    """The kept attempts of a task, by number, without damaged ones, which the next run drops."""
    prefix = names.attempts_prefix(generation, task_id)
    attempts = []
    refs = repository.list_refs(prefix.rstrip("/"))
    lost = damaged(repository, refs)
    for ref, commit in refs.items():
        if ref in lost:
            continue
        number = ref.removeprefix(prefix)
        if not number.isdigit():
            continue
        trailer_of = trailers.read_trailers(repository, commit)
        attempts.append(
            KeptAttempt(
                ref=ref,
                commit=commit,
                number=int(number),
                cause=Cause.parse(trailer_of.get(trailers.CAUSE, "")),
                details=trailers.read_body(repository, commit),
                trailers=trailer_of,
            )
        )
    return sorted(attempts, key=lambda attempt: attempt.number)


def last_numbers(repository: Repository, generation: str) -> dict[str, int]:
    """Task id -> highest number of a kept attempt."""
    return _last(repository, names.attempts_prefix(generation), 1)


def used_numbers(repository: Repository, generation: str) -> dict[str, int]:
    """Task id -> highest number of an attempt that is kept, or that left work beside its files."""
    numbers = last_numbers(repository, generation)
    for task_id, number in _last(repository, names.left_prefix(generation), 2).items():
        numbers[task_id] = max(numbers.get(task_id, 0), number)
    return numbers


def _last(repository: Repository, prefix: str, parts: int) -> dict[str, int]:
    """Task id -> highest number in the refs below ``prefix``, which have so many parts after the task."""
    numbers: dict[str, int] = {}
    for ref in repository.list_refs(prefix.rstrip("/")):
        task_id, number, *_ = ref.removeprefix(prefix).rsplit("/", parts)
        if number.isdigit():
            numbers[task_id] = max(numbers.get(task_id, 0), int(number))
    return numbers


def drop_attempts(
    repository: Repository, generation: str, task_id: str, *, before: str = ""
) -> tuple[str, ...]:
    """Delete the failed attempts of a task that has landed.

    Args:
        before: the landed commit; attempts that began from it stay, as the task was reopened for them.

    Returns:
        the refs that another process moved meanwhile: they stay.
    """
    prefix = names.attempts_prefix(generation, task_id).rstrip("/")
    attempts = repository.list_refs(prefix)
    if before:
        attempts = {ref: kept for ref, kept in attempts.items() if not repository.reaches(kept, before)}
    return repository.delete_refs(attempts)
