"""From the files of a worktree to objects in the repository, without trust in any of them.

A job in the sandbox turns the files into a pack; the host reads the pack into a quarantine with git's own
strict checks; ``checks`` examines the change there; only then do the objects reach the repository.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import IO

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import shown_path, shown_size
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import LARGEST_CHANGE, Change, Policy, Refusal, check_change
from pytest_cobbler.repository.git import SETTINGS, Git, init_bare
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Owner, Worktree, chown_tree, remove_tree
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Mount, Sandbox

LARGEST_FILE = 50 * 1024 * 1024
LARGEST_PACK = LARGEST_CHANGE + 16 * 1024 * 1024
LONGEST_HARVEST = 600.0
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
    repositories and special files, ``ignored`` paths that a .gitignore hid. Paths are for display.
    """

    tree: str
    parent: str
    change: Change
    refusals: tuple[Refusal, ...] = ()
    removed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

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
    """Turn the files of ``worktree`` into objects. The worktree does not change.

    Raises:
        HarvestError: the files could not be read. This never means "no change".
        SandboxError: the job could not be run.
    """
    directory = worktree.directory / "harvest"
    remove_tree(directory)
    directory.mkdir()
    try:
        with (directory / "output").open("w+b") as output:
            _run_job(worktree, repository, sandbox, owner, directory, output, cancellation, policy.left_out)
            records = _read_records(output)
            quarantine = _receive(directory / "quarantine.git", repository, output)
        tree = _tree_of(records, repository)
        change, refusals = check_change(quarantine, worktree.parent, tree, policy)
        inside = "inside a submodule, whose content is another repository's"
        harvested = Harvest(
            tree=tree,
            parent=worktree.parent,
            change=change,
            refusals=(*refusals, *(Refusal(reason=inside, path=path) for path in records.get("inside", ()))),
            removed=tuple(records.get("removed", ())),
            ignored=tuple(path for path in records.get("ignored", ()) if not _IS_BYTECODE.search(path)),
        )
        if harvested.importable:
            _migrate(quarantine, repository)
        return harvested
    finally:
        remove_tree(directory)


def set_aside(worktree: Worktree, repository: Repository, sandbox: Sandbox, owner: Owner) -> tuple[str, ...]:
    """Branches and stashes of the agent's git with commits of its own; names for display.

    Raises:
        HarvestError: its git failed.
        SandboxError: the job could not be run.
    """
    lines: list[bytes] = []
    git_dir = f"--git-dir={worktree.git}"
    completed = sandbox.run(
        Job(
            name=f"aside-{worktree.name}",
            argv=(
                "git",
                git_dir,
                "for-each-ref",
                "--format=%(refname:short)",
                f"--no-merged={worktree.parent}",
            ),
            workdir="/",
            environment={"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"},
            mounts=(Mount(source=worktree.git, target=str(worktree.git)), *repository.object_mounts(owner)),
            limits=Limits(wall=LONGEST_HARVEST),
            on_line=lambda line: lines.append(line) if len(lines) < _NAMED else None,
        )
    )
    if not completed.ok:
        raise HarvestError("harvest: the agent's own git cannot be read", evidence=completed.stderr)
    return tuple(map(shown_path, lines))


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
    git_dir = directory / "git"
    init_bare(
        git_dir,
        object_format=repository.object_format,
        alternates=[Path(mount.target) for mount in repository.object_mounts(owner)],
        shallow=repository.shallow,
        settings=_HARVEST_SETTINGS,
    )
    (git_dir / "info").mkdir()
    ignored = [*_BYTECODE, *map(_ignoring, left_out)]
    (git_dir / "info" / "exclude").write_text("".join(f"{line}\n" for line in ignored))
    # With its time: git reads again what changed in the second in which the index was written.
    shutil.copy2(worktree.index, git_dir / "index")
    if owner:
        chown_tree(git_dir, owner)
    tree, tidy = str(worktree.tree), str(worktree.tree)
    mounts = [Mount(source=git_dir, target=str(git_dir), mode="rw")]
    if Capability.READ_ONLY in sandbox.capabilities:
        tidy = _TIDY
        mounts += [
            Mount(source=worktree.tree, target=tree),
            Mount(source=worktree.tree, target=tidy, mode="rw"),
        ]
    else:
        mounts.append(Mount(source=worktree.tree, target=tree, mode="rw"))
    mounts += repository.object_mounts(owner)
    script = resources.files("pytest_cobbler").joinpath("data/harvest.sh").read_text()
    arguments = (tidy, tree, str(git_dir), worktree.parent, str(LARGEST_FILE // 1024))
    completed = sandbox.run(
        Job(
            name=f"harvest-{worktree.name}",
            argv=("sh", "-c", script, "harvest", *arguments),
            workdir="/",  # the worktree itself may be closed to its owner
            mounts=tuple(mounts),
            limits=Limits(wall=LONGEST_HARVEST),
            stdout=output,
        ),
        cancellation,
    )
    output.flush()
    if completed.cause == Ending.EXITED and completed.status == _TOO_LARGE:
        large = ", ".join(_read_records(output, needs_pack=False).get("large", ())[:5])
        raise HarvestError(f"harvest: larger than {shown_size(LARGEST_FILE)}: {large}")
    if completed.cause == Ending.EXITED and completed.status == _TOO_LONG:
        raise HarvestError("harvest: a path is too long for git", evidence=completed.stderr)
    if not completed.ok:
        how = f"exit {completed.status}" if completed.cause == Ending.EXITED else completed.cause
        raise HarvestError(f"harvest failed ({how})", evidence=completed.stderr)


def _ignoring(directory: str) -> str:
    """A line of a .gitignore for this directory at the top and no other."""
    return "/" + re.sub(r"([\\*?\[ ])", r"\\\1", directory) + "/"


def _read_records(output: IO[bytes], *, needs_pack: bool = True) -> dict[str, list[str]]:
    """The records before the pack, by kind, with paths for display; ``output`` is left where the pack begins.

    Raises:
        HarvestError: there are too many, or nothing follows them.
    """
    output.seek(0)
    records: dict[str, list[str]] = {}
    offset, rest = 0, b""
    while chunk := output.read(1 << 20):
        *whole, rest = (rest + chunk).split(b"\0")
        for record in whole:
            offset += len(record) + 1
            kind, _, value = record.partition(b" ")
            if kind == b"pack":
                output.seek(offset)
                return records
            if len(named := records.setdefault(kind.decode("ascii", "replace"), [])) < _NAMED:
                named.append(shown_path(value.removeprefix(b"./")))
        if offset > _LARGEST_HEADER or len(rest) > _LARGEST_HEADER:
            raise HarvestError("harvest: too many files are ignored or removed")
    if needs_pack:
        raise HarvestError("harvest: the job gave no pack")
    return records


def _tree_of(records: dict[str, list[str]], repository: Repository) -> str:
    digits = 64 if repository.object_format == "sha256" else 40
    match records.get("tree"):
        case [tree] if re.fullmatch(rf"[0-9a-f]{{{digits}}}", tree):
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
