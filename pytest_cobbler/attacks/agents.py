"""Where an attacking agent works: in a worktree on this machine, or in a place on a node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.attacks.ground import PROGRAM, Ground, program_of_calls
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Mount, Sandbox

__all__ = ["Agent", "attacking"]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An attacking agent.

    ``tree`` are its files as its jobs see them. ``worktree`` is ``None`` on a node.
    """

    tree: Path
    sandbox: Sandbox
    mounts: tuple[Mount, ...] = ()
    worktree: Worktree | None = None


@contextlib.contextmanager
def attacking(ground: Ground, name: str) -> Iterator[Agent]:
    """An agent, with the program that makes system calls, on a node if agents work there.

    No git brings a program that is setuid root to a node.
    """
    if ground.nodes is None:
        worktree = ground.worktree(f"attack-{name}")
        ground.place_programs(worktree)
        yield Agent(
            tree=worktree.tree,
            sandbox=ground.target.sandbox,
            mounts=tuple(worktree.mounts(ground.repository)),
            worktree=worktree,
        )
        return
    place = ground.nodes.open(
        f"attack-{name}", parent=ground.tip, tree=_tree_with_program(ground), purpose={"task": name}
    )
    try:
        yield Agent(tree=place.checkout, sandbox=place.sandbox)
    finally:
        place.remove()


def _tree_with_program(ground: Ground) -> str:
    git, tree = ground.repository.objects, ground.repository.tree_of(ground.tip)
    content = program_of_calls()
    if content is None:
        return tree
    blob = git.text("hash-object", "-w", "--stdin", "--no-filters", stdin=content)
    entry = f"100755 blob {blob}\t{PROGRAM}\0".encode()
    return git.text("mktree", "-z", stdin=git.run("ls-tree", "-z", tree).stdout + entry)
