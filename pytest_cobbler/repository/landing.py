"""Moving the tip: merge, commit, compare-and-swap. Called from one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from pytest_cobbler.display import shown_path
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.repository.changes import read_change
from pytest_cobbler.repository.conflicts import Conflict, conflicts_of
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.identity import Identity, Person
from pytest_cobbler.repository.merge_attributes import merge_attributes
from pytest_cobbler.repository.moving import ZERO
from pytest_cobbler.repository.notes import NOTES, add_note
from pytest_cobbler.repository.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Merge:
    """A merge of two commits, made on objects alone.

    ``tree`` is the merged tree, with conflict markers in the files ``conflicts``. ``settleable`` are those of
    them that a program may merge, ``settled`` the files that one has merged, and ``unsettled`` says which one
    it could not merge. ``is_needed``: the commit does not follow the tip, so its tree may be another one.
    """

    tip: str
    tree: str
    is_needed: bool = True
    conflicts: tuple[str, ...] = ()
    messages: str = ""
    settleable: tuple[Conflict, ...] = ()
    settled: tuple[str, ...] = ()
    unsettled: str = ""


def merge(repository: Repository, tip: str, commit: str, attributes: Sequence[str] = ()) -> Merge:
    """Merge ``commit`` with ``tip``; nothing moves.

    Args:
        attributes: commits whose ``.gitattributes`` say how to merge files (``merge_attributes``); by default
            the tip.
    """
    git = repository.objects
    if repository.parent_of(commit) == tip:
        return Merge(tip=tip, tree=repository.tree_of(commit), is_needed=False)
    merged, paths = _merge(git, tip, commit)
    lines = merge_attributes(git, attributes or (tip,), paths) if paths else {}
    if not lines:
        return merged
    with temporary_directory() as directory:
        git_dir = directory / "git"
        init_bare(git_dir, object_format=repository.object_format, alternates=())
        (git_dir / "info").mkdir()
        (git_dir / "info" / "attributes").write_bytes(b"".join(lines.values()))
        merged, _ = _merge(git.using(git_dir=git_dir), tip, commit)
    usual = tuple(conflict for conflict in merged.settleable if conflict.path not in lines)
    return replace(merged, settleable=usual)


def merge_change(repository: Repository, tip: str, commit: str) -> Merge:
    """Merge what ``commit`` changes in its parent with ``tip``; nothing moves.

    If a person has moved the branch back since, ``tip`` does not reach that parent. What the branch has lost
    must not come back with this work.
    """
    parent = repository.parent_of(commit)
    if parent == tip or repository.reaches(tip, parent):
        return merge(repository, tip, commit)
    base = repository.commit(repository.tree_of(parent), [], _OF_A_MOMENT, _NOBODY)
    ours, theirs = (
        repository.commit(repository.tree_of(one), [base], _OF_A_MOMENT, _NOBODY) for one in (tip, commit)
    )
    return replace(merge(repository, ours, theirs, attributes=(tip,)), tip=tip)


_OF_A_MOMENT = "A side of a merge\n"
_NOBODY = Identity.of(Person(name="pytest-cobbler", email="cobbler@localhost"))
"""Signs commits that no branch ever has."""


def _merge(git: Git, tip: str, commit: str) -> tuple[Merge, tuple[bytes, ...]]:
    """The merge in this git directory, and the paths of the messages: they include all that both changed."""
    completion = git.run("merge-tree", "--write-tree", "-z", "--messages", tip, commit, accepted=(0, 1))
    tree, _, rest = completion.stdout.partition(b"\0")
    stages: list[bytes] = []
    if completion.status:
        listed, _, rest = rest.partition(b"\0\0")
        stages = listed.split(b"\0")
    conflicts = [stage.partition(b"\t")[2] for stage in stages]
    messages = list(_messages(rest.removeprefix(b"\0")))
    merged = Merge(
        tip=tip,
        tree=tree.decode(),
        conflicts=tuple(dict.fromkeys(map(shown_path, conflicts))),
        messages="\n".join(shown_path(message.strip()) for _, message in messages) if conflicts else "",
        settleable=tuple(conflicts_of(stages)),
    )
    return merged, tuple(dict.fromkeys(path for paths, _ in messages for path in paths))


def _messages(output: bytes) -> Iterator[tuple[list[bytes], bytes]]:
    """The paths and the text of each message of merge-tree -z: <count> <path>... <type> <message>."""
    fields = output.split(b"\0")
    while fields and fields[0].isdigit():
        paths = int(fields[0])
        if len(fields) < paths + 3:
            break
        yield fields[1 : paths + 1], fields[paths + 2]
        fields = fields[paths + 3 :]


def land(
    repository: Repository,
    ref: str,
    merged: Merge,
    message: str,
    identity: Identity,
    *,
    base: str = "",
    pin: str = "",
    statement: Callable[[str], bytes] | None = None,
) -> str | None:
    """Commit the merged tree on top of its tip and move ``ref`` there; ``None``: the tip moved meanwhile.

    Args:
        base: the second parent, such as a commit of the base that is merged with it.
        pin: a ref that keeps the commit if a person moves the branch back.
        statement: makes the note of the commit from its id. All refs move in one transaction.
    """
    part = Part(tree=merged.tree, message=message, base=base, pin=pin)
    state = (lambda commits: [statement(commits[0])]) if statement else None
    commits = land_all(repository, ref, merged.tip, [part], identity, state)
    return commits[0] if commits else None


@dataclass(frozen=True, kw_only=True)
class Part:
    """One commit of a landing; ``base`` and ``pin`` are those of :func:`land`."""

    tree: str
    message: str
    base: str = ""
    pin: str = ""


def land_all(
    repository: Repository,
    ref: str,
    tip: str,
    parts: Sequence[Part],
    identity: Identity,
    statements: Callable[[Sequence[str]], Sequence[bytes]] | None = None,
) -> tuple[str, ...]:
    """Commit the parts on top of each other and of ``tip``, and move ``ref`` to the last of them.

    All refs move in one transaction: all parts land, or none.

    Args:
        statements: makes the notes of the commits from their ids.

    Returns:
        the commits; none if the tip moved meanwhile.
    """
    commits: list[str] = []
    for part in parts:
        parents = [commits[-1] if commits else tip, *([part.base] if part.base else [])]
        commits.append(repository.commit(part.tree, parents, part.message, identity))
    others = f", and {len(parts) - 1} more" if parts[1:] else ""
    reason = f"cobbler: land {parts[0].message.partition(chr(10))[0]}{others}"
    contents = statements(commits) if statements else ()
    moves: dict[str, tuple[str, str]] = {}
    while True:
        # Git moves them in this order: a kill in between leaves a note and a pin too many, and no landing
        # without them.
        if contents:
            notes = noted = repository.read_ref(NOTES) or ZERO
            for commit, content in zip(commits, contents, strict=True):
                noted = add_note(repository, noted, commit, content, identity)
            moves[NOTES] = (notes, noted)
        for part, commit in zip(parts, commits, strict=True):
            if part.pin:
                moves[part.pin] = (repository.read_ref(part.pin) or ZERO, commit)
        moves[ref] = (tip, commits[-1])
        if repository.move_refs(moves, reason):
            return tuple(commits)
        if not contents or repository.read_ref(ref) != tip:
            return ()
        # Another process moved the notes alone: go on from its value.


@dataclass(frozen=True, kw_only=True)
class Size:
    """Lines of a commit's change."""

    files: int = 0
    insertions: int = 0
    deletions: int = 0


def size_of(repository: Repository, old: str, new: str) -> Size:
    """Files and lines that differ between two commits or trees; binary files count as files only."""
    files = insertions = deletions = 0
    for record in repository.objects.fields("diff-tree", "-r", "-z", "--numstat", "--no-renames", old, new):
        added, removed, _ = record.split(b"\t", 2)
        files += 1
        insertions += int(added) if added.isdigit() else 0
        deletions += int(removed) if removed.isdigit() else 0
    return Size(files=files, insertions=insertions, deletions=deletions)


@dataclass(frozen=True, kw_only=True)
class ExactPatch:
    """A change from which ``git apply`` makes exactly the new tree: modes, links and binary files too.

    ``replaced`` are the paths to remove before; their new content is in ``content``, as new files.
    """

    content: bytes = b""
    replaced: tuple[str, ...] = ()


def exact_patch_of(
    repository: Repository, old: str, new: str, *, replacing: Collection[str] = ()
) -> ExactPatch:
    """The patch from one tree or commit to another.

    Args:
        replacing: files, as they are shown, that the patch replaces as a whole if they changed.
    """
    git = repository.objects
    replaced = [entry for entry in read_change(git, old, new).entries if entry.shown in replacing]
    if replaced:
        with temporary_directory(repository.work_dir) as directory:
            index = git.using(index=directory / "index", work_tree=directory)
            index.run("read-tree", old)
            paths = b"".join(entry.path + b"\0" for entry in replaced)
            index.run("update-index", "--force-remove", "-z", "--stdin", stdin=paths)
            old = index.text("write-tree")
    content = git.run(
        "diff-tree", "-r", "-p", "-M", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", old, new
    ).stdout
    return ExactPatch(content=content, replaced=tuple(entry.shown for entry in replaced))


def patch_of(repository: Repository, old: str, new: str) -> bytes:
    """The change as a patch, for people."""
    return repository.objects.run(
        "diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv", old, new
    ).stdout
