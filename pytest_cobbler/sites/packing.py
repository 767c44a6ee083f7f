"""The job that turns the files of a worktree into packs."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import IO

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import shown_size
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.directories import chown_tree
from pytest_cobbler.repository.git import SETTINGS, init_bare
from pytest_cobbler.repository.harvest import HarvestError, large_files
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.traits import traits_of
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Afterwards, Capability, Job, Limits, Mount, Sandbox
from pytest_cobbler.streams import Writable

__all__ = ["LARGEST_FILE", "LARGEST_IGNORED", "LONGEST_HARVEST", "MOST_LEFT", "packing_afterwards", "run_job"]

LARGEST_FILE = 50 * 1024 * 1024
LONGEST_HARVEST = 600.0
LARGEST_IGNORED = 256 * 1024
"""Bytes of an ignored file that is kept beside other work."""
MOST_LEFT = 100
"""Works outside of the files, and ignored files, of one attempt."""
_TOO_LARGE = 65
_TOO_LONG = 66

_BYTECODE = ("__pycache__/", "*.pyc", "*.pyo")
"""What any run of Python leaves behind: never work, and Python may run it in the place of its source."""

_TIDY = Path("/cobbler/worktree")
_SETTINGS = SETTINGS | {"core.quotePath": "false"}


def run_job(
    worktree: Worktree,
    repository: Repository,
    sandbox: Sandbox,
    directory: Path,
    output: IO[bytes],
    left_out: Sequence[str],
    cancellation: Cancellation | None,
) -> None:
    """Pack the files of ``worktree`` in a job of its own; ``directory`` is for the job's own git.

    Raises:
        HarvestError: the files could not be packed.
        SandboxError: the job could not be run.
    """
    named = str(worktree.seen(worktree.git))
    if Capability.CONTAINMENT not in sandbox.capabilities:  # the run before this one may have had containers
        worktree = replace(worktree, inside=None)
    git_dir = directory / "git"
    _make_git_dir(worktree, repository, sandbox, git_dir, git_dir, left_out)
    tree = worktree.seen(worktree.tree)
    tidy = tree
    mounts = [
        Mount(source=git_dir, target=str(git_dir), mode="rw"),
        Mount(source=worktree.checkouts, target=str(worktree.checkouts), mode="rw"),
        Mount(source=worktree.git, target=str(worktree.seen(worktree.git))),
    ]
    if worktree.base:  # an overlay is not mounted twice
        mounts += [worktree.mount_of_tree(), *_layers(worktree)]
    elif Capability.READ_ONLY in sandbox.capabilities:
        tidy = _TIDY
        mounts += [
            Mount(source=worktree.tree, target=str(tree)),
            Mount(source=worktree.tree, target=str(tidy), mode="rw"),
        ]
    else:
        mounts.append(Mount(source=worktree.tree, target=str(tree), mode="rw"))
    mounts += repository.object_mounts(sandbox.owner)
    completed = sandbox.run(
        Job(
            name=f"harvest-{worktree.name}",
            argv=_command(worktree, tidy, git_dir, worktree.checkouts),
            workdir="/",  # the worktree itself may be closed to its owner
            environment={"COBBLER_AGENT_GIT": named, **_environment(worktree, repository)},
            mounts=tuple(mounts),
            limits=Limits(wall=LONGEST_HARVEST),
            stdout=output,
        ),
        cancellation,
    )
    output.flush()
    if completed.cause == Ending.EXITED and completed.status == _TOO_LARGE:
        large = ", ".join(large_files(output)[:5])
        raise HarvestError(f"harvest: larger than {shown_size(LARGEST_FILE)}: {large}")
    if completed.cause == Ending.EXITED and completed.status == _TOO_LONG:
        raise HarvestError("harvest: a path is too long for git", evidence=completed.stderr)
    if not completed.ok:
        how = f"exit {completed.status}" if completed.cause == Ending.EXITED else completed.cause
        raise HarvestError(f"harvest failed ({how})", evidence=completed.stderr)


def packing_afterwards(
    worktree: Worktree,
    repository: Repository,
    sandbox: Sandbox,
    directory: Path,
    output: Writable,
    left_out: Sequence[str],
) -> Afterwards:
    """The program that packs the files of ``worktree`` in the container of its agent, when that has ended.

    ``directory`` and the worktree's directory for checkouts are mounted there while the agent works. It finds
    nothing in them: for root they are another user's, and the git of the harvest, below a random name, is
    made after the agent has ended.
    """
    git_dir = directory / secrets.token_hex(16)

    def prepare() -> None:
        _make_git_dir(worktree, repository, sandbox, git_dir, worktree.seen(git_dir), left_out)
        if sandbox.owner:
            os.chown(directory, *sandbox.owner)

    return Afterwards(
        argv=_command(
            worktree,
            worktree.seen(worktree.tree),
            worktree.seen(git_dir),
            worktree.seen(worktree.checkouts),
        ),
        environment=_environment(worktree, repository),
        mounts=(
            *(
                Mount(source=path, target=str(worktree.seen(path)), mode="rw")
                for path in (directory, worktree.checkouts)
            ),
            *_layers(worktree),
        ),
        output=output,
        prepare=prepare,
        seconds=LONGEST_HARVEST,
    )


def _layers(worktree: Worktree) -> tuple[Mount, ...]:
    """Base and upper directory of an overlay, for reading: what differs is found by them alone."""
    if worktree.base is None:
        return ()
    places = _places(worktree)
    return (
        Mount(source=worktree.upper, target=places["COBBLER_UPPER"]),
        Mount(source=worktree.base.files, target=places["COBBLER_BASE"]),
    )


def _environment(worktree: Worktree, repository: Repository) -> dict[str, str]:
    """What the harvest has to know of the files that the agent was given: where, and what it need not do."""
    trees = {repository.tree_of(worktree.parent), worktree.tree_id}
    traits = [traits_of(repository.objects, tree) for tree in trees]
    return {
        **_places(worktree),
        "COBBLER_LINKS": "1" if any(one.submodules for one in traits) else "",
        "COBBLER_ATTRIBUTES": "1" if any(one.attributes for one in traits) else "",
    }


def _places(worktree: Worktree) -> dict[str, str]:
    """Where the harvest has base and upper directory; empty if the files are a plain checkout."""
    if worktree.base is None:
        return {"COBBLER_UPPER": "", "COBBLER_BASE": ""}
    base = worktree.base.files if worktree.inside is None else worktree.inside / "base"
    return {"COBBLER_UPPER": str(worktree.seen(worktree.upper)), "COBBLER_BASE": str(base)}


def _command(worktree: Worktree, tidy: Path, git_dir: Path, checkouts: Path) -> tuple[str, ...]:
    """The command of the harvest: ``data/harvest.sh`` with its arguments, which are paths inside."""
    data = resources.files("pytest_cobbler").joinpath("data")
    script, left = (data.joinpath(name).read_text("utf-8") for name in ("harvest.sh", "left.sh"))
    tree, agent = worktree.seen(worktree.tree), worktree.seen(worktree.git)
    return (
        *("sh", "-c", script, "harvest"),
        *(str(tidy), str(tree), str(git_dir), worktree.parent, str(LARGEST_FILE // 1024)),
        *(str(agent), str(checkouts), left, str(LARGEST_IGNORED // 1024), str(MOST_LEFT)),
    )


def _make_git_dir(
    worktree: Worktree,
    repository: Repository,
    sandbox: Sandbox,
    git_dir: Path,
    seen: Path,
    left_out: Sequence[str],
) -> None:
    """Make the git directory of the job, and in it one that also reads the objects of the agent's git.

    ``seen`` is where the job has it.
    """
    owner = sandbox.owner
    stores = [Path(mount.target) for mount in repository.object_mounts(owner)]
    with_agents = [seen / "objects", worktree.seen(worktree.git) / "objects", *stores]
    for place, alternates in ((git_dir, stores), (git_dir / "left", with_agents)):
        init_bare(
            place,
            object_format=repository.object_format,
            alternates=alternates,
            shallow=repository.shallow,
            settings=_SETTINGS,
        )
    (git_dir / "info").mkdir()
    ignored = [*_BYTECODE, *map(_ignoring, left_out)]
    (git_dir / "info" / "exclude").write_text("".join(f"{line}\n" for line in ignored), "utf-8")
    # With its time: git reads again what changed in the second in which the index was written.
    shutil.copy2(worktree.index, git_dir / "index")
    if worktree.base:
        shutil.copy2(worktree.trusted, git_dir / "cobbler-trusted")
        shutil.copy2(worktree.laid, git_dir / "cobbler-laid")
    if owner:
        chown_tree(git_dir, owner)
        os.chown(worktree.checkouts, *owner)


def _ignoring(directory: str) -> str:
    """A line of a .gitignore for this directory at the top and no other."""
    return "/" + re.sub(r"([\\*?\[ ])", r"\\\1", directory) + "/"
