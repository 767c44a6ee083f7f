"""Generations: read from refs and commits, made by one compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.repository import names, trailers
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.landing_refs import drop_pinned, newest_pinned
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trees import edited_tree

ACTIVE_REF = "refs/cobbler/active"
_ACTIVE_BELOW = "refs/cobbler/active-in"
_MOST_STARTS = 100


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One generation, as its refs and commits describe it.

    ``start`` is the base's commit at which it began; ``first`` its own first commit; ``reset`` says that the
    first commit removed the sources, so that the tasks of the base's history are open again. ``directory`` is
    that of its project in the repository.
    """

    name: str
    base: str
    start: str
    first: str
    reset: bool = False
    directory: str = ""

    @property
    def ref(self) -> str:
        return names.branch_ref(self.name)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The changes in the first commit of a generation.

    ``remove``: removed paths; ``write``: path -> content, by the generation's name; ``reset``: whether the
    sources are to be generated again.
    """

    reset: bool = False
    remove: tuple[str, ...] = ()
    write: Callable[[str], Mapping[str, bytes]] = lambda _name: {}


def active_generations(repository: Repository, prefix: str) -> dict[str, str]:
    """Branch -> tip of every generation that has a branch, sorted by name."""
    refs = repository.list_refs(f"refs/heads/{prefix}*")
    return {ref.removeprefix("refs/heads/"): tip for ref, tip in sorted(refs.items())}


def find_generation(repository: Repository, prefix: str, chosen: str | None) -> Generation | None:
    """The generation to work on: the configured one, else the chosen one, else the only one.

    Raises:
        RepositoryError: the configured one does not exist, or there are several and none is chosen.
    """
    active = active_generations(repository, prefix)
    if chosen:
        if chosen not in active:
            there = [
                f"Go on with it: {names.fetch_command(remote, chosen)}"
                for remote in _remotes_with(repository, chosen)
            ]
            active_names = ", ".join(active) or "none"
            raise RepositoryError(
                f"generation_branch: no branch {chosen}",
                "\n".join([*there, f"Generations in this repository: {active_names}."]),
            )
        return read_generation(repository, chosen)
    switched = chosen_generation(repository, prefix)
    if switched in active:
        return read_generation(repository, switched)
    if len(active) > 1:
        raise RepositoryError(
            f"several generations are active: {', '.join(active)}",
            "Choose one: pytest --cobbler-switch NAME, or in configuration.yaml generation_branch: NAME",
        )
    return read_generation(repository, next(iter(active))) if active else None


def tip_of(repository: Repository, generation: Generation) -> str:
    """The head of its branch; its first commit if the branch is gone."""
    return repository.read_ref(generation.ref) or generation.first


def current_tip(repository: Repository, generation: Generation) -> str:
    """The commit at the head of its branch.

    Raises:
        RepositoryError: the branch is gone.
    """
    tip = repository.read_ref(generation.ref)
    if tip is None:
        raise RepositoryError(
            f"branch {generation.name} is gone", "The commits are in the reflog, and in the tracker."
        )
    return tip


def refuse_checked_out(
    repository: Repository, generations: Sequence[Generation], why: str = "", *, moves_base: bool = False
) -> None:
    """Check that no worktree has a branch of these generations or of their tasks checked out.

    Args:
        why: text after the worktree in the message, the consequence.
        moves_base: check the same for the base, except in this checkout.

    Raises:
        RepositoryError: a worktree has one checked out; lists all of them.
    """
    places = []
    for ref, where in repository.checked_out().items():
        for one in generations:
            ours = ref == one.ref or ref.startswith(names.branch_ref(names.task_branch(one.name, "")))
            is_base = moves_base and ref == names.branch_ref(one.base)
            if ours or (is_base and where.resolve() != repository.root.resolve()):
                places.append((ref.removeprefix("refs/heads/"), where))
    if places:
        raise RepositoryError(
            "; ".join(f"branch {branch} is checked out in {where}{why}" for branch, where in places),
            "\n".join(_other_checkout(where) for _, where in places),
        )


def _other_checkout(where: Path) -> str:
    if where.is_dir():
        return f"Check out something else there: git -C {where} switch --detach"
    return f"{where} is gone; if for good: git worktree prune"


def _remotes_with(repository: Repository, branch: str) -> list[str]:
    """The remotes that have a branch, as far as the remote-tracking branches tell."""
    refs = repository.list_refs("refs/remotes")
    return [
        ref.removeprefix("refs/remotes/").removesuffix(f"/{branch}")
        for ref in refs
        if ref.endswith(f"/{branch}")
    ]


def active_ref(repository: Repository, prefix: str) -> str:
    """The symbolic ref of the choice: one for each project of the repository."""
    return f"{_ACTIVE_BELOW}/{prefix}chosen" if repository.directory.path else ACTIVE_REF


def chosen_generation(repository: Repository, prefix: str) -> str | None:
    """The branch that was chosen by ``choose_generation``; it may be gone."""
    target = repository.target_of(active_ref(repository, prefix))
    return target.removeprefix("refs/heads/") if target else None


def choose_generation(repository: Repository, prefix: str, name: str) -> Generation:
    """Make commands work on the generation with this branch.

    Raises:
        RepositoryError: no generation has this branch.
    """
    active = active_generations(repository, prefix)
    if name not in active:
        remedy = f"Choose one of {', '.join(active)}." if active else "Start one: pytest --cobbler-start"
        raise RepositoryError(f"no generation {name} is active", remedy)
    generation = read_generation(repository, name)
    repository.refs.run("symbolic-ref", active_ref(repository, prefix), generation.ref)
    return generation


def read_generation(repository: Repository, name: str, tip: str = "") -> Generation:
    """The generation as the commits of branch ``name``, or those up to ``tip``, describe it.

    Raises:
        RepositoryError: it has no first commit of ours, or belongs to another project in the repository.
    """
    # By the trailer, which no landed commit can have; a task's title may be anything. Those of earlier
    # generations come up too when a person merged their base into this one.
    words = ("-z", f"--max-count={_MOST_STARTS}", f"--grep=^{trailers.BASE}: ", "--format=%H %P%x00%s")
    last = tip or repository.read_ref(names.branch_ref(name)) or names.branch_ref(name)
    try:
        fields = repository.objects.fields("log", *words, "--end-of-options", last)
    except RepositoryError as error:
        raise _damaged(repository, name, last) or error from error
    for commits, subject in zip(fields[::2], fields[1::2], strict=True):
        first, *parents = commits.decode().split()
        if subject.decode("utf-8", "replace") == _subject(name) and len(parents) == 1:
            trailer_of = trailers.read_trailers(repository, first)
            directory = trailer_of.get(trailers.DIRECTORY, "")
            if directory != repository.directory.name:
                raise _of_another(repository, name, directory)
            return Generation(
                name=name,
                base=trailer_of.get(trailers.BASE, ""),
                start=parents[0],
                first=first,
                reset=trailers.RESET in trailer_of,
                directory=directory,
            )
    if repository.is_shallow:
        raise RepositoryError(
            f"the history of branch {name} is cut off: its first commit, or the parent of that, is missing",
            "Fetch all of it: git fetch --unshallow",
        )
    raise RepositoryError(
        f"branch {name} is not a generation: it has no commit {_subject(name)!r}",
        "Rename or delete that branch, or set another gen_prefix; if mage-claude-orchestrator made it, "
        "docs/moving.md says how to go on.",
    )


def _damaged(repository: Repository, name: str, last: str) -> RepositoryError | None:
    """The error of a branch whose last commit is missing; ``None`` if it is there."""
    if not repository.read_ref(names.branch_ref(name)) or repository.resolve(f"{last}^{{commit}}"):
        return None
    newest = newest_pinned(repository, name)
    ref = names.branch_ref(name)
    return RepositoryError(
        f"branch {name} is damaged: its commit {last} is missing",
        f"Go back to the last landing that is there: git update-ref {ref} {newest}"
        if newest
        else f"No landing of it is there. Delete it: git update-ref -d {ref}",
    )


def _of_another(repository: Repository, name: str, directory: str) -> RepositoryError:
    here, there = (place or "the top of the repository" for place in (repository.directory.name, directory))
    return RepositoryError(
        f"{name} is a generation of the project in {there}, and not of the one in {here}",
        f"Work in {there}; or, if both have the same gen_prefix, set another one in one of them.",
    )


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A generation that can be created: its name, and the tree of its first commit on commit ``start``."""

    name: str
    base: str
    start: str
    tree: str
    reset: bool


def draft_generation(
    repository: Repository, *, prefix: str, base: str, start: str, now: datetime, changes: Changes
) -> Draft:
    """A generation that branches off commit ``start`` of branch ``base`` and makes ``changes`` first."""
    name = names.generation_name(prefix, now, _taken(repository, prefix))
    tree = edited_tree(repository, repository.tree_of(start), changes.remove, changes.write(name))
    return Draft(name=name, base=base, start=start, tree=tree, reset=changes.reset)


def create_generation(repository: Repository, draft: Draft, identity: Identity) -> Generation:
    """Make the branch of a draft with its first commit, and tag the commit that it starts from.

    Branch and tag are made together. If git is killed between them, the tag follows from the branch.

    Raises:
        RepositoryError: another process made the same branch at the same time.
    """
    name, base, start, directory = draft.name, draft.base, draft.start, repository.directory.name
    values = {
        trailers.GENERATION: name,
        trailers.BASE: base,
        trailers.DIRECTORY: directory,
        trailers.RESET: "yes" if draft.reset else "",
    }
    text = trailers.message(repository, _subject(name), "", values)
    first = repository.commit(draft.tree, [start], text, identity)
    made = {names.branch_ref(name): (ZERO, first), names.tag_ref(name, "start"): (ZERO, start)}
    if not repository.move_refs(made, f"cobbler: start {name}"):
        raise RepositoryError(f"branch {name} appeared while it was being made", "Run the command again.")
    generation = Generation(
        name=name, base=base, start=start, first=first, reset=draft.reset, directory=directory
    )
    complete_start(repository, generation)
    return generation


def complete_start(repository: Repository, generation: Generation) -> None:
    """Make the start tag of the branch; call it under the run lock."""
    tag = names.tag_ref(generation.name, "start")
    if repository.read_ref(tag) is None:
        repository.move_ref(tag, generation.start, ZERO, "cobbler: start")


def tag_generation(repository: Repository, generation: Generation, kind: str, commit: str) -> None:
    """Put the generation's tag of a kind on ``commit``, wherever it was; call it under the run lock.

    Raises:
        RepositoryError: another process moved it at the same time.
    """
    tag = names.tag_ref(generation.name, kind)
    old = repository.read_ref(tag)
    if old == commit or (old and repository.commit_of(tag) == commit):
        return
    if not repository.move_ref(tag, commit, old or ZERO, f"cobbler: {kind}"):
        raise RepositoryError(f"tag {generation.name}-{kind} was moved just now", "Run the command again.")


def refuse_other_tags(repository: Repository, generation: Generation, *kinds: str) -> None:
    """Check that existing tags of these kinds are ours: they are on commits of the generation.

    A tag that a killed action left may be behind the tip: later landings passed it.

    Raises:
        RepositoryError: a tag is not ours.
    """
    for kind in kinds:
        ref = names.tag_ref(generation.name, kind)
        commit = repository.read_ref(ref)
        if commit and (
            repository.commit_of(ref) != commit or not repository.reaches(commit, generation.first)
        ):
            tag = ref.removeprefix("refs/tags/")
            raise RepositoryError(
                f"the tag {tag} exists, and was not made for {generation.name}",
                f"Give it another name: git tag NAME {tag} && git tag -d {tag}",
            )


def delete_generation(repository: Repository, generation: Generation, tip: str) -> None:
    """Delete the branch, its choice and the refs on its landings. A tag keeps ``tip``.

    Call it under the run lock.

    Raises:
        RepositoryError: the branch is no longer at ``tip``.
    """
    drop_pinned(repository, generation.name, tip)
    for choice in repository.list_refs(ACTIVE_REF, _ACTIVE_BELOW):
        if repository.target_of(choice) == generation.ref:
            repository.refs.run("symbolic-ref", "--delete", choice)
    if repository.delete_refs({generation.ref: tip}):
        raise RepositoryError(f"branch {generation.name} was moved just now", "Run the command again.")


def _subject(name: str) -> str:
    return f"Start generation: {name}"


def _taken(repository: Repository, prefix: str) -> set[str]:
    refs = repository.list_refs(f"refs/heads/{prefix}*", f"refs/tags/{prefix}*")
    taken = set()
    for ref in refs:
        name = ref.split("/", 2)[2]
        taken.add(name)
        taken.add(name.rpartition("-")[0])
    return taken
