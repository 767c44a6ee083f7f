"""A landing lane put together as a run does it, from a gate of the test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.judge import TestJudge
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages import Language
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import GateCheckout, Owner


@dataclass(frozen=True, kw_only=True)
class Lane:
    """A lane, with the parts of it that tests ask themselves."""

    lane: LandingLane
    gate: TreeGate
    judge: TestJudge


def make_lane(
    repository: Repository,
    generation: Generation,
    gate: Gate,
    language: Language,
    directory: Path,
    *,
    listener: RunListener | None = None,
    cancellation: Cancellation | None = None,
    owner: Owner = None,
    allows_red: bool = False,
    refuses_weakened: bool = False,
) -> Lane:
    """A lane on ``generation`` that keeps the records of trees below ``directory``."""
    cancellation = cancellation or Cancellation()
    checkout = GateCheckout(repository, generation.name, owner)
    tree_gate = TreeGate(gate=gate, checkout=checkout, records=TreeRecords(directory / "records"))
    judge = TestJudge(repository, tree_gate, language, cancellation, allows_red=allows_red)
    lane = LandingLane(
        repository,
        generation,
        repository.identity(),
        tree_gate,
        judge,
        RedGates(tree_gate, repository, language, cancellation),
        listener or RunListener(),
        cancellation,
        refuses_weakened=refuses_weakened,
    )
    return Lane(lane=lane, gate=tree_gate, judge=judge)
