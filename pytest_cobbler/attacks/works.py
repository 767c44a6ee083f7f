"""The work of several agents: scripts in one job, each in a worktree of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pytest_cobbler.attacks.ground import Ground
from pytest_cobbler.attacks.scripts import run_scripts
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Job, Limits, Network

__all__ = ["last_word", "remains", "run_in_worktrees"]

_LONGEST: Final = 300.0
"""Seconds for all scripts of a job, also on a busy machine; they take a few."""


def run_in_worktrees(
    ground: Ground, scripts: Mapping[str, str], worktrees: Mapping[str, Worktree], cancellation: Cancellation
) -> dict[str, bytes]:
    """Run scripts in one job, with the mounts that an agent has for each worktree.

    A job for each would take a second more. The scripts do not disturb one another, and what is attacked is
    the host, which treats each worktree as in a run.
    """
    places = {name: worktree.tree for name, worktree in worktrees.items()}
    first = next(iter(worktrees))
    mounts = {
        mount.target: mount for worktree in worktrees.values() for mount in worktree.mounts(ground.repository)
    }
    job = Job(
        name=f"attack-{first}",
        argv=(),
        workdir=str(places[first]),
        mounts=tuple(mounts.values()),
        network=Network.NONE,
        limits=Limits(wall=_LONGEST),
    )
    return run_scripts(ground.target.sandbox, job, scripts, cancellation, places)


def last_word(output: bytes | None) -> tuple[str, str]:
    """The last word of a script, and the text after it."""
    if output is None:
        return "", "an attack before it did not end"
    word, _, said = output.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(" ")
    return word, said


def remains(ground: Ground, worktree: Worktree) -> str:
    """What is wrong after the host has removed a worktree, as at the end of a task; empty if nothing is."""
    try:
        ground.worktrees.remove(worktree)
    except CobblerError as error:
        return f"the host cannot remove the work: {error.cause}"
    if worktree.directory.exists():
        return "the host has left a part of the work"
    if changed := ground.changed_outside():
        return f"changed on the host: {', '.join(changed)}"
    return ""
