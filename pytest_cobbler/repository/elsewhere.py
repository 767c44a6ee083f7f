"""Generations that a remote has, by its remote-tracking branches, and this repository does not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_cobbler.errors import RepositoryError, UsageProblem
from pytest_cobbler.repository import names
from pytest_cobbler.repository.generations import Generation, read_generation
from pytest_cobbler.repository.repository import Repository

_ENDS = ("finished", "merged", "abandoned")


@dataclass(frozen=True, kw_only=True)
class _Elsewhere:
    generation: Generation
    remote: str

    @property
    def fetch(self) -> str:
        return names.fetch_command(self.remote, self.generation.name)


def refuse_other_start(repository: Repository, prefix: str) -> None:
    """Check that no remote has an active generation; for a run that would start one.

    Raises:
        UsageProblem: a remote has one, which is neither here nor merged, finished or abandoned.
    """
    if found := list(_elsewhere(repository, prefix)):
        raise UsageProblem(
            "; ".join(f"{one.generation.name}: the branch exists on {one.remote}, not here" for one in found),
            "\n".join(
                [
                    *(f"Go on with it: {one.fetch}" for one in found),
                    "Or start another one on purpose: pytest --cobbler-start",
                ]
            ),
        )


def _elsewhere(repository: Repository, prefix: str) -> Iterator[_Elsewhere]:
    for ref, tip in repository.list_refs("refs/remotes").items():
        remote, _, name = ref.removeprefix("refs/remotes/").rpartition("/")
        ended = [names.tag_ref(name, end) for end in _ENDS]
        if not name.startswith(prefix) or repository.list_refs(names.branch_ref(name), *ended):
            continue
        with contextlib.suppress(RepositoryError):  # a branch of such a name that is not a generation
            generation = read_generation(repository, name, tip)
            if not _is_merged(repository, generation, tip):
                yield _Elsewhere(generation=generation, remote=remote)


def _is_merged(repository: Repository, generation: Generation, tip: str) -> bool:
    bases = repository.list_refs(f"refs/heads/{generation.base}", f"refs/remotes/*/{generation.base}")
    here = repository.head_commit()
    return any(repository.reaches(commit, tip) for commit in {*bases.values(), *([here] if here else [])})
