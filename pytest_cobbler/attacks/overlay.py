"""Attacks on the layers of an overlay, which the worktrees of a large repository are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_cobbler.attacks.agents import Agent
from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import BRANCH, TREE, Ground
from pytest_cobbler.attacks.inside import judged, outputs_of
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.wiring.parts import local_site

__all__ = ["try_overlay"]


def try_overlay(ground: Ground, attacks: Sequence[Attack], cancellation: Cancellation) -> list[Line]:
    """Try the attacks in one job of an agent whose worktree is an overlay, however small the tree is."""
    site = local_site(ground.repository, BRANCH, ground.target.sandbox, large=0)
    tree = ground.repository.tree_of(ground.tip)
    place = site.open("attack-overlay", parent=ground.tip, tree=tree, purpose={"task": "overlay"})
    base = place.worktree.base
    if base is None:
        why = "worktrees cannot be overlays here"
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
    ground.place_programs(place.worktree)
    agent = Agent(tree=place.checkout, sandbox=place.sandbox, worktree=place.worktree)
    outputs = outputs_of(ground, attacks, agent, Network.NONE, "overlay", cancellation)
    lines = [judged(ground, attack, place.worktree, outputs.get(attack.name)) for attack in attacks]
    changed = _changed(base.files)
    return [_with_change(line, changed) if changed else line for line in lines]


def _changed(files: Path) -> str:
    """A file of the shared checkout that is not what it was; empty if there is none."""
    there = {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}
    return min((name for name in {*there, *TREE} if there.get(name) != TREE.get(name)), default="")


def _with_change(line: Line, changed: str) -> Line:
    """The line of an attack after which the host finds the shared checkout changed."""
    if line.got_through:
        return line
    return Line(attack=line.attack, status="NOT HELD", evidence=f"the shared checkout has another {changed}")
