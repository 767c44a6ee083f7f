"""A branch that a person wants to land: found, and checked as far as git alone tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cobbler.display import counted, escaped, named
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.checks import Policy, Refusal, check_change
from pytest_cobbler.repository.generations import Generation, active_generations, current_tip
from pytest_cobbler.repository.harvest import HarvestError, check_commits
from pytest_cobbler.repository.repository import Repository

__all__ = ["Branch", "find_branch", "refused_commits"]

_OF_LANDINGS = (trailers.TASK, trailers.BASE, trailers.RESET)
"""Trailers by which commits count as landed tasks, or as the start of a generation."""

_MOST = 100
"""Commits that the message of a landing lists."""


@dataclass(frozen=True, kw_only=True)
class Branch:
    """The commits that a branch brings.

    ``commit`` is its head; ``commits`` are those that neither the tip nor the base has (``there``), oldest
    first; ``subjects`` are theirs, with the authors. ``base`` is the newest commit of the base in it, if the
    tip lacks that; else empty.
    """

    name: str
    commit: str
    commits: tuple[str, ...]
    subjects: tuple[str, ...]
    base: str
    there: tuple[str, str]

    @property
    def task_id(self) -> str:
        """The name by which records know the landing. No id of bd has a dot before its first hyphen."""
        word = re.sub(r"[^A-Za-z0-9_]+", "-", self.name).strip("-")[:80]
        return f"branch.{word or self.commit[:12]}"

    @property
    def title(self) -> str:
        return f"Merge branch '{self.name}'"

    @property
    def description(self) -> str:
        """The commits, for the message of the landing."""
        lines = [f"* {subject}" for subject in self.subjects[-_MOST:]]
        more = len(self.subjects) - _MOST
        return "\n".join([*([f"* {more} earlier commits"] if more > 0 else []), *lines])


def find_branch(repository: Repository, generation: Generation, prefix: str, name: str) -> Branch:
    """The branch ``name``, or the remote-tracking branch of that name.

    Args:
        prefix: that of the names of generations.

    Raises:
        UsageProblem: it cannot land, whatever is in its files.
    """
    refs = (names.branch_ref(name), f"refs/remotes/{name}")
    commit = next(filter(None, map(repository.read_ref, refs)), None) if name.strip() else None
    generations = active_generations(repository, prefix)
    if commit is None:
        heads = (ref.removeprefix("refs/heads/") for ref in repository.list_refs("refs/heads"))
        others = named([head for head in heads if head not in (*generations, generation.base)])
        wrong = f"there is no branch {escaped(name)}" if name.strip() else "which branch?"
        raise UsageProblem(f"--cobbler-land: {wrong}", f"Branches: {escaped(others) or 'none'}.")
    if name in generations:
        raise UsageProblem(f"--cobbler-land: {escaped(name)} is a generation", "Name a branch of your own.")
    tip = current_tip(repository, generation)
    base = repository.read_ref(names.branch_ref(generation.base)) or generation.start
    _check_history(repository, generation, name, commit, (tip, base))
    trusted = repository.merge_base(base, commit)
    only = (commit, "--not", tip, base)
    fields = repository.objects.fields(
        "log", "-z", "--reverse", "--topo-order", "--format=%H%x00%s (%an)", *only
    )
    texts = [field.decode("utf-8", "replace") for field in fields]
    return Branch(
        name=name,
        commit=commit,
        commits=tuple(texts[::2]),
        subjects=tuple(texts[1::2]),
        base=trusted if trusted and not repository.reaches(tip, trusted) else "",
        there=(tip, base),
    )


def _check_history(
    repository: Repository, generation: Generation, name: str, commit: str, there: Sequence[str]
) -> None:
    """Check that the branch brings commits of its own, which are not a landing's.

    Args:
        there: the tip, and the head of the base.

    Raises:
        UsageProblem: it does not.
    """
    shown, (tip, base) = escaped(name), there
    if repository.reaches(base, commit):
        why = f"has all of {shown}, so it brings nothing"
        if name == generation.base:
            why = f"is the base of {generation.name}, whose commits need no landing"
        raise UsageProblem(
            f"--cobbler-land: {generation.base} {why}",
            f"pytest --cobbler-stop merges {generation.name} with {generation.base}.",
        )
    if repository.reaches(tip, commit):
        raise UsageProblem(
            f"--cobbler-land: {shown} has landed already: {generation.name} has its commit {commit[:12]}",
            "Commit to it, or name another branch.",
        )
    if not repository.merge_base(tip, commit):
        raise UsageProblem(
            f"--cobbler-land: {shown} and {generation.name} have no commit in common",
            f"Make a branch from {generation.base}, and bring the work there: git cherry-pick COMMIT",
        )
    patterns = [f"--grep=^{word}: " for word in _OF_LANDINGS]
    fields = repository.objects.fields(
        "log", "-z", "--format=%H", "--regexp-ignore-case", *patterns, commit, "--not", tip, base
    )
    if marked := [field.decode()[:12] for field in fields]:
        raise UsageProblem(
            f"--cobbler-land: {counted(len(marked), 'commit')} of {shown} would count as landed tasks, by a "
            f"trailer such as {trailers.TASK} in the message: {named(marked, 3)}",
            "Commit their changes again with messages of your own: git merge --squash",
        )


def refused_commits(repository: Repository, branch: Branch, secrets: Sequence[str]) -> tuple[Refusal, ...]:
    """What may not be in the history of a branch, even if a later commit has removed it.

    That is the credential, what is too large, and objects that git finds malformed: all that the change of an
    agent could not bring either.
    """
    try:
        check_commits(repository, branch.commit, branch.there)
    except HarvestError as error:
        last = error.evidence.strip().rpartition("\n")[2]
        return (Refusal(reason=f"{error.cause}{f': {last}' if last else ''}"),)
    refusals: list[Refusal] = []
    for commit in branch.commits:
        parent = repository.resolve(f"{commit}^1^{{commit}}") or _empty_tree(repository)
        policy = Policy(protected=(), keys=(), secrets=tuple(secrets))
        _, found = check_change(repository.objects, parent, repository.tree_of(commit), policy)
        refusals += [
            Refusal(reason=f"{one.reason} in commit {commit[:12]}", path=one.path)
            for one in found
            if one.poisonous
        ]
    return tuple(refusals)


def _empty_tree(repository: Repository) -> str:
    return repository.objects.run("mktree", stdin=b"").stdout.decode().strip()
