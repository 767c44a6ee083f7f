"""From the files of a worktree to objects in the repository, without trust in any of them.

A job in the sandbox turns the files into a pack; the host reads the pack into a quarantine with git's own
strict checks; ``checks`` examines the change there; only then do the objects reach the repository.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import IO

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import shown_path, shown_size
from pytest_cobbler.errors import CobblerError, RepositoryError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import LARGEST_CHANGE, Change, Policy, Refusal, check_change
from pytest_cobbler.repository.damage import is_whole
from pytest_cobbler.repository.git import SETTINGS, Git, init_bare
from pytest_cobbler.repository.left_work import LeftWork, check_left
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Owner, Worktree, chown_tree, remove_tree
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Mount, Sandbox

LARGEST_FILE = 50 * 1024 * 1024
LARGEST_PACK = LARGEST_CHANGE + 16 * 1024 * 1024
LONGEST_HARVEST = 600.0
LARGEST_IGNORED = 256 * 1024
"""Bytes of an ignored file that is kept beside other work."""
MOST_LEFT = 100
"""Works outside of the files, and ignored files, of one attempt."""
_MIGRATIONS = 3
"""Times that objects are brought into the repository if git removes them from there again."""
_LARGEST_HEADER = 64 * 1024 * 1024
_LOOSE = 100
_TOO_LARGE = 65
_TOO_LONG = 66
_NAMED = 1000
"""Paths of each kind that are remembered."""

_BYTECODE = ("__pycache__/", "*.pyc", "*.pyo")
"""What any run of Python leaves behind: never work, and Python may run it in the place of its source."""
_IS_BYTECODE = re.compile(r"(?:^|/)__pycache__/|\.py[co]$")

_TIDY = "/cobbler/worktree"
_HARVEST_SETTINGS = SETTINGS | {"core.quotePath": "false"}


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
    worktree: Worktree,
    repository: Repository,
    sandbox: Sandbox,
    policy: Policy,
    owner: Owner,
    cancellation: Cancellation | None = None,
) -> Harvest:
    """Turn the files of ``worktree`` into objects. The worktree does not change, and its pins hold them.

    Raises:
        HarvestError: the files could not be read. This never means "no change".
        SandboxError: the job could not be run.
    """
    directory = worktree.directory / "harvest"
    remove_tree(directory)
    if not worktree.tree.is_dir():
        raise HarvestError(f"harvest: {worktree.tree} is gone: something removed it while the agent worked")
    try:
        directory.mkdir()
        worktree.checkouts.mkdir(exist_ok=True)
        with (directory / "output").open("w+b") as output:
            _run_job(worktree, repository, sandbox, owner, directory, output, cancellation, policy.left_out)
            records = _read_records(output)
            left, unread = _take_left(records, worktree, repository, output, directory, policy)
            quarantine = _receive(directory / "quarantine.git", repository, output)
        tree = _tree_of(records, repository)
        with contextlib.closing(quarantine.reader):
            change, refusals = check_change(quarantine, worktree.parent, tree, policy)
        inside = "inside a submodule, whose content is another repository's"
        harvested = Harvest(
            tree=tree,
            parent=worktree.parent,
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
            _take_over(quarantine, repository, worktree, {"work": tree})
        return harvested
    except OSError as error:
        place = error.filename or directory
        raise HarvestError(f"harvest: cannot write {place}: {error.strerror}") from error
    finally:
        remove_tree(directory)
        with contextlib.suppress(OSError):
            worktree.checkouts.rmdir()


def _run_job(
    worktree: Worktree,
    repository: Repository,
    sandbox: Sandbox,
    owner: Owner,
    directory: Path,
    output: IO[bytes],
    cancellation: Cancellation | None,
    left_out: Sequence[str],
) -> None:
    named = str(worktree.seen(worktree.git))
    if Capability.CONTAINMENT not in sandbox.capabilities:  # the run before this one may have had containers
        worktree = replace(worktree, inside=None)
    git_dir = _make_git_dir(worktree, repository, owner, directory, left_out)
    tree, agent = str(worktree.seen(worktree.tree)), str(worktree.seen(worktree.git))
    tidy = tree
    mounts = [
        Mount(source=git_dir, target=str(git_dir), mode="rw"),
        Mount(source=worktree.checkouts, target=str(worktree.checkouts), mode="rw"),
        Mount(source=worktree.git, target=agent),
    ]
    if Capability.READ_ONLY in sandbox.capabilities:
        tidy = _TIDY
        mounts += [
            Mount(source=worktree.tree, target=tree),
            Mount(source=worktree.tree, target=tidy, mode="rw"),
        ]
    else:
        mounts.append(Mount(source=worktree.tree, target=tree, mode="rw"))
    mounts += repository.object_mounts(owner)
    data = resources.files("pytest_cobbler").joinpath("data")
    script, left = (data.joinpath(name).read_text("utf-8") for name in ("harvest.sh", "left.sh"))
    arguments = (
        *(tidy, tree, str(git_dir), worktree.parent, str(LARGEST_FILE // 1024)),
        *(agent, str(worktree.checkouts), left),
        *(str(LARGEST_IGNORED // 1024), str(MOST_LEFT)),
    )
    completed = sandbox.run(
        Job(
            name=f"harvest-{worktree.name}",
            argv=("sh", "-c", script, "harvest", *arguments),
            workdir="/",  # the worktree itself may be closed to its owner
            environment={"COBBLER_AGENT_GIT": named},
            mounts=tuple(mounts),
            limits=Limits(wall=LONGEST_HARVEST),
            stdout=output,
        ),
        cancellation,
    )
    output.flush()
    if completed.cause == Ending.EXITED and completed.status == _TOO_LARGE:
        large = ", ".join(_read_records(output, needs_pack=False).all("large")[:5])
        raise HarvestError(f"harvest: larger than {shown_size(LARGEST_FILE)}: {large}")
    if completed.cause == Ending.EXITED and completed.status == _TOO_LONG:
        raise HarvestError("harvest: a path is too long for git", evidence=completed.stderr)
    if not completed.ok:
        how = f"exit {completed.status}" if completed.cause == Ending.EXITED else completed.cause
        raise HarvestError(f"harvest failed ({how})", evidence=completed.stderr)


def _make_git_dir(
    worktree: Worktree, repository: Repository, owner: Owner, directory: Path, left_out: Sequence[str]
) -> Path:
    """The git directory of the job, and in it one that also reads the objects of the agent's git."""
    git_dir = directory / "git"
    stores = [Path(mount.target) for mount in repository.object_mounts(owner)]
    with_agents = [git_dir / "objects", worktree.seen(worktree.git) / "objects", *stores]
    for place, alternates in ((git_dir, stores), (git_dir / "left", with_agents)):
        init_bare(
            place,
            object_format=repository.object_format,
            alternates=alternates,
            shallow=repository.shallow,
            settings=_HARVEST_SETTINGS,
        )
    (git_dir / "info").mkdir()
    ignored = [*_BYTECODE, *map(_ignoring, left_out)]
    (git_dir / "info" / "exclude").write_text("".join(f"{line}\n" for line in ignored), "utf-8")
    # With its time: git reads again what changed in the second in which the index was written.
    shutil.copy2(worktree.index, git_dir / "index")
    if owner:
        chown_tree(git_dir, owner)
        os.chown(worktree.checkouts, *owner)
    return git_dir


def _ignoring(directory: str) -> str:
    """A line of a .gitignore for this directory at the top and no other."""
    return "/" + re.sub(r"([\\*?\[ ])", r"\\\1", directory) + "/"


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
    worktree: Worktree,
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
        works.append(LeftWork(tree=tree, parent=worktree.parent, name=name))
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
        trees = {f"left-{place}": work.tree for place, work in enumerate(works, 1)}
        _take_over(quarantine, repository, worktree, trees)
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


def _take_over(quarantine: Git, repository: Repository, worktree: Worktree, trees: Mapping[str, str]) -> None:
    """Bring checked objects into the repository, and pin them: no reference has them yet.

    Raises:
        HarvestError: git removed them again, each time.
    """
    pins = Pins(repository, worktree.directory.parent.relative_to(repository.work_dir).as_posix())
    for _ in range(_MIGRATIONS):
        _migrate(quarantine, repository)
        with contextlib.suppress(RepositoryError):  # a tree is missing already
            pins.hold(worktree.name, trees)
            if is_whole(repository, trees.values(), [f"{worktree.parent}^{{tree}}"]):
                return
    raise HarvestError(
        "harvest: objects of the work are missing in the repository",
        "Do not run `git gc --prune=now` or `git prune` during a run; `git fsck` looks for other damage.",
    )


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
