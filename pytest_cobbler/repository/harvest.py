"""From the files of a worktree to objects in the repository, without trust in any of them.

A job in the sandbox turns the files into a pack; the host reads the pack into a quarantine with git's own
strict checks; ``checks`` examines the change there; only then do the objects reach the repository.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pytest_cobbler.display import shown_path, shown_size
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.changes import Change
from pytest_cobbler.repository.checks import LARGEST_CHANGE, Policy, Refusal, check_change
from pytest_cobbler.repository.damage import MOST_NEW, are_files, is_whole, new_objects
from pytest_cobbler.repository.git import Git, init_bare
from pytest_cobbler.repository.left_work import LeftWork, check_left
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.site import Place

LARGEST_PACK = LARGEST_CHANGE + 16 * 1024 * 1024
_MIGRATIONS = 3
"""Times that objects are brought into the repository if git removes them from there again."""
_LARGEST_HEADER = 64 * 1024 * 1024
_LOOSE = 100
_NAMED = 1000
"""Paths of each kind that are remembered."""

_IS_BYTECODE = re.compile(r"(?:^|/)__pycache__/|\.py[co]$")


class HarvestError(CobblerError):
    """The work could not be read; it is still in the worktree."""


@dataclass(frozen=True, kw_only=True)
class Harvest:
    """The content of a worktree.

    ``tree`` is its tree, in the repository unless a refusal is ``poisonous``; ``removed`` were nested
    repositories and special files, ``checkouts`` worktrees of the agent's own git, ``ignored`` paths that a
    .gitignore hid, ``ignored_count`` the number of those that are not in ``left``. Paths are for display.
    ``left`` is work beside the files, in the repository too; ``unread`` is why there may be more of it.
    """

    tree: str
    parent: str
    change: Change
    refusals: tuple[Refusal, ...] = ()
    removed: tuple[str, ...] = ()
    checkouts: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    ignored_count: int = 0
    left: tuple[LeftWork, ...] = ()
    unread: str = ""

    @property
    def importable(self) -> bool:
        return not any(refusal.poisonous for refusal in self.refusals)


def harvest(
    place: Place, repository: Repository, policy: Policy, cancellation: Cancellation | None = None
) -> Harvest:
    """Turn the files of ``place`` into objects. The place does not change, and its pins hold them.

    Raises:
        HarvestError: the files could not be read. This never means "no change".
        SandboxError: the job could not be run.
    """
    if not place.has_files:
        raise HarvestError(f"harvest: {place.location} is gone: something removed it while the agent worked")
    try:
        with temporary_directory(repository.work_dir) as directory:
            return _harvest(place, repository, policy, directory, cancellation)
    except OSError as error:
        where = error.filename or repository.work_dir
        raise HarvestError(f"harvest: cannot write {where}: {error.strerror}") from error


def _harvest(
    place: Place, repository: Repository, policy: Policy, directory: Path, cancellation: Cancellation | None
) -> Harvest:
    with (directory / "output").open("w+b") as output:
        place.pack(output, policy.left_out, cancellation)
        records = _read_records(output)
        left, unread = _take_left(records, place, repository, output, directory, policy)
        quarantine = _receive(directory / "quarantine.git", repository, output)
    tree = _tree_of(records, repository)
    with contextlib.closing(quarantine.reader):
        change, refusals = check_change(quarantine, place.parent, tree, policy)
    inside = "inside a submodule, whose content is another repository's"
    harvested = Harvest(
        tree=tree,
        parent=place.parent,
        change=change,
        refusals=(*refusals, *(Refusal(reason=inside, path=path) for path in records.all("inside"))),
        removed=records.all("removed"),
        checkouts=records.all("checkout"),
        ignored=records.all("ignored"),
        ignored_count=records.counts["ignored"] - records.number("ignored-kept"),
        left=left,
        unread=unread,
    )
    if harvested.importable:
        _take_over(quarantine, repository, place, {"work": tree})
    return harvested


def check_commits(repository: Repository, commit: str, there: Sequence[str]) -> None:
    """Check the objects that the history of ``commit`` has beside those of ``there``, as those of an agent.

    Raises:
        HarvestError: git refuses one of them, or they are too large.
    """
    revisions = "".join(f"{one}\n" for one in (commit, *(f"^{one}" for one in there)))
    with temporary_directory(repository.work_dir) as directory, (directory / "pack").open("w+b") as pack:
        words = ("pack-objects", "--quiet", "--stdout", "--revs")
        repository.objects.run(*words, stdin=revisions.encode(), stdout=pack)
        pack.seek(0)
        _receive(directory / "quarantine.git", repository, pack)


def large_files(output: IO[bytes]) -> tuple[str, ...]:
    """The files that are too large, in the output of a job that has ended because of them."""
    return _read_records(output, needs_pack=False).all("large")


@dataclass(kw_only=True)
class _Records:
    """The records before the packs: some of each kind, for display, and how many there are."""

    named: dict[str, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def all(self, kind: str) -> tuple[str, ...]:
        return tuple(self.named.get(kind, ()))

    def number(self, kind: str) -> int:
        """The number in the only record of a kind; 0 if there is none."""
        match self.all(kind):
            case (number,) if number.isdigit():
                return int(number)
        return 0

    def add(self, kind: str, value: str) -> None:
        if kind == "ignored" and _IS_BYTECODE.search(value):
            return
        self.counts[kind] += 1
        if len(named := self.named.setdefault(kind, [])) < _NAMED:
            named.append(value)


def _read_records(output: IO[bytes], *, needs_pack: bool = True) -> _Records:
    """The records before the packs; ``output`` is left where the packs begin.

    Raises:
        HarvestError: there are too many, or nothing follows them.
    """
    output.seek(0)
    records = _Records()
    offset, rest = 0, b""
    while chunk := output.read(1 << 20):
        *whole, rest = (rest + chunk).split(b"\0")
        for record in whole:
            offset += len(record) + 1
            kind, _, value = record.partition(b" ")
            if kind == b"pack":
                output.seek(offset)
                return records
            records.add(kind.decode("ascii", "replace"), shown_path(value.removeprefix(b"./")))
        if offset > _LARGEST_HEADER or len(rest) > _LARGEST_HEADER:
            raise HarvestError("harvest: too many files are ignored or removed")
    if needs_pack:
        raise HarvestError("harvest: the job gave no pack")
    return records


def _take_left(
    records: _Records,
    place: Place,
    repository: Repository,
    output: IO[bytes],
    directory: Path,
    policy: Policy,
) -> tuple[tuple[LeftWork, ...], str]:
    """Import the work outside of the files, all or nothing; ``output`` is left where the next pack begins.

    Returns:
        the works, and why there may be others that are not imported.
    """
    unread = "; ".join(records.all("unread"))
    begin, size = output.tell(), records.number("left-pack")
    if not size:
        return (), unread
    works = []
    for record in records.all("left"):
        tree, _, name = record.partition(" ")
        works.append(LeftWork(tree=tree, parent=place.parent, name=name))
    try:
        if size > LARGEST_PACK:
            raise HarvestError(f"it is larger than {shown_size(LARGEST_PACK)}")
        with (directory / "left.pack").open("w+b") as pack:
            left = size
            while chunk := output.read(min(left, 1 << 20)):
                pack.write(chunk)
                left -= len(chunk)
            pack.seek(0)
            quarantine = _receive(directory / "left.git", repository, pack)
        with contextlib.closing(quarantine.reader):
            reason = check_left(quarantine, works, policy)
        if reason:
            raise HarvestError(reason)
        trees = {f"left-{number}": work.tree for number, work in enumerate(works, 1)}
        _take_over(quarantine, repository, place, trees)
    except CobblerError as error:
        return (), error.cause
    finally:
        output.seek(begin + size)
    return tuple(works), unread


def _tree_of(records: _Records, repository: Repository) -> str:
    digits = 64 if repository.object_format == "sha256" else 40
    match records.all("tree"):
        case (tree,) if re.fullmatch(rf"[0-9a-f]{{{digits}}}", tree):
            return tree
    raise HarvestError("harvest: the job named no tree")


def _receive(directory: Path, repository: Repository, pack: IO[bytes]) -> Git:
    """Read a pack, from where ``pack`` is, into a new git directory with git's strict checks."""
    init_bare(
        directory,
        object_format=repository.object_format,
        alternates=repository.object_stores,
        shallow=repository.shallow,
    )
    quarantine = Git(directory)
    if os.fstat(pack.fileno()).st_size - pack.tell() > LARGEST_PACK:
        raise HarvestError(f"harvest: the change is larger than {shown_size(LARGEST_PACK)}")
    try:
        quarantine.run("index-pack", "--strict", "--stdin", f"--max-input-size={LARGEST_PACK}", stdin=pack)
    except CobblerError as error:
        raise HarvestError("harvest: git refuses the objects", evidence=error.evidence) from error
    return quarantine


def _take_over(quarantine: Git, repository: Repository, place: Place, trees: Mapping[str, str]) -> None:
    """Bring checked objects into the repository, and pin them: no reference has them yet.

    Raises:
        HarvestError: git removed them again, each time.
    """
    pins = Pins(repository, place.generation)
    for _ in range(_MIGRATIONS):
        _migrate(quarantine, repository)
        with contextlib.suppress(RepositoryError):  # a tree is missing already
            pins.hold(place.name, trees)
            if _is_there(repository, place.parent, tuple(trees.values())):
                return
    raise HarvestError(
        "harvest: objects of the work are missing in the repository",
        "Do not run `git gc --prune=now` or `git prune` during a run; `git fsck` looks for other damage.",
    )


def _is_there(repository: Repository, parent: str, trees: Sequence[str]) -> bool:
    """Whether all objects of the trees are in the repository, except those of ``parent``, which has a pin."""
    if len(trees) == 1:
        new = new_objects(repository, trees[0], parent)
        if len(new) <= MOST_NEW and are_files(repository, new):
            return True
    return is_whole(repository, trees, [f"{parent}^{{tree}}"])


def _migrate(quarantine: Git, repository: Repository) -> None:
    """Bring checked objects into the repository, loose when they are few, as git does on receive."""
    for pack in sorted((quarantine.git_dir / "objects" / "pack").glob("*.pack")):
        with pack.open("rb") as file:
            count = int.from_bytes(file.read(12)[8:], "big")
            if count == 0:
                continue
            file.seek(0)
            command = ("unpack-objects", "-q") if count < _LOOSE else ("index-pack", "--strict", "--stdin")
            repository.objects.run(*command, stdin=file)
