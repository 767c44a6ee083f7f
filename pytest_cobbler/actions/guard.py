"""Refuses to run pytest in a checkout of an agent's unmerged work, before any conftest is imported."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_cobbler.display import escaped_lines
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.files import remove_dead_directories, temporary_directory
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.repository import Repository

_FIELDS = (trailers.GENERATION, trailers.BASE, trailers.TARGET)
# By line, not by trailer: a forge that squashes a merge joins messages, trailers and all.
_LINE = re.compile(rf"^({'|'.join(_FIELDS)}): (\S+)[ ]*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class _Commit:
    """A commit that names a generation. ``bases`` is empty for the merge that a stop made."""

    id: str
    subject: str
    generations: frozenset[str]
    bases: frozenset[str]


def refuse_untrusted_checkout(config: pytest.Config) -> None:
    """Refuse to run where HEAD holds commits of a generation that its base does not reach.

    Raises:
        pytest.UsageError: HEAD holds such commits; the message says how to switch back.
    """
    remove_dead_directories()
    for directory in _directories_of_conftests(config):
        # The configuration says where to work, and is not read yet.
        with temporary_directory() as work_dir:
            try:
                repository = Repository(directory, work_dir)
            except RepositoryError:
                continue  # an action that needs a repository fails with a message of its own
            try:
                reason = untrusted(repository)
            except CobblerError as error:
                raise pytest.UsageError(escaped_lines(str(error))) from error
        if reason:
            raise pytest.UsageError(reason)


def _directories_of_conftests(config: pytest.Config) -> list[Path]:
    """The directories whose conftests pytest will import: this one and those of its arguments."""
    here = config.invocation_params.dir
    paths = [here / argument.split("::")[0] for argument in config.known_args_namespace.file_or_dir]
    return list(dict.fromkeys([here, *(path if path.is_dir() else path.parent for path in paths)]))


def untrusted(repository: Repository) -> str:
    """Why the checkout cannot be trusted; empty if it can."""
    heads = repository.heads()
    commits = _commits(repository, *heads)
    ours = [commit for commit in commits if commit.bases]
    bases = sorted({base for commit in ours for base in commit.bases})
    branch = repository.head_branch()
    if branch and any(commit.subject == f"Start generation: {branch}" for commit in ours):
        return _refusal(f"{branch} is checked out; it is a generation branch, with an agent's code", bases[0])
    unmerged = {base: _not_reached(repository, heads, base, commits) for base in bases}
    for commit in ours:
        if all(commit.id in unmerged[base] for base in commit.bases):
            base = min(commit.bases)
            cause = f"HEAD holds {commit.id[:12]}, an agent's commit that was not merged into its base"
            if not _branches(repository, base):
                cause += f" {base}, of which there is no branch here"
                return _refusal(cause, base, _FETCH.format(base=base))
            return _refusal(cause, base)
    return ""


_FETCH = """
If it was merged, fetch that branch: git fetch origin {base}:refs/remotes/origin/{base}
Or, if the branch was deleted since, name the branch that has it: git branch {base} NAME"""


def _commits(repository: Repository, *revisions: str) -> list[_Commit]:
    """The commits among the revisions that name a generation or its base, newest first."""
    if not revisions:  # git would take HEAD instead
        return []
    patterns = [f"--grep=^{name}: " for name in _FIELDS]
    fields = repository.objects.fields("log", "-z", *patterns, "--format=%H%x00%s%x00%B", *revisions)
    texts = iter([field.decode("utf-8", "replace") for field in fields])
    commits = []
    for commit, subject, body in zip(texts, texts, texts, strict=True):
        lines = _LINE.findall(body)
        generations = frozenset(value for name, value in lines if name == trailers.GENERATION)
        bases = frozenset(value for name, value in lines if name != trailers.GENERATION)
        commits.append(_Commit(id=commit, subject=subject, generations=generations, bases=bases))
    return commits


def _not_reached(
    repository: Repository, heads: Sequence[str], base: str, commits: Sequence[_Commit]
) -> set[str]:
    """The commits of generations that ``heads`` reach and ``base`` does not.

    If the base has no branch any more, what a stop merged into it counts as reached.
    """
    reached = _branches(repository, base) or _merges(repository, base, commits)
    return {commit.id for commit in _commits(repository, *heads, "--not", *reached)}


def _branches(repository: Repository, base: str) -> list[str]:
    return list(repository.list_refs(f"refs/heads/{base}", f"refs/remotes/*/{base}").values())


def _merges(repository: Repository, base: str, commits: Sequence[_Commit]) -> list[str]:
    """The merges of generations of ``base`` that a stop tagged, or whose commit is here."""
    generations = {name for commit in commits if base in commit.bases for name in commit.generations}
    tags = [names.tag_ref(name, "merged") for name in sorted(generations)]
    tagged = [commit for tag in tags if (commit := repository.commit_of(tag))]
    return tagged + [c.id for c in commits if not c.bases and c.generations & generations]


def _refusal(cause: str, base: str, hint: str = "") -> str:
    return (
        f"{cause}; pytest would import its conftest.py here\n"
        f"Switch to code that you trust: git switch {base}{hint}"
    )
