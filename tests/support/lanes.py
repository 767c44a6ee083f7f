"""A landing lane put together as a run does it, from a gate of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pytest_cobbler.landing.blame import RedGates
from pytest_cobbler.landing.candidates import Candidate, Landing
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.landing.judge import TestJudge
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.policies import make_policy
from pytest_cobbler.landing.tree_gate import GateCheckouts, TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages import Language
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.repository import Repository


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
    allows_red: bool = False,
    refuses_weakened: bool = False,
    gate_jobs: int = 1,
    landing: Literal["each", "train"] = "each",
) -> Lane:
    """A lane on ``generation`` that keeps the records of trees below ``directory``."""
    cancellation = cancellation or Cancellation()
    checkouts = GateCheckouts(repository, generation.name, gate.sandbox, gate_jobs)
    tree_gate = TreeGate(gate=gate, places=checkouts, records=TreeRecords(directory / "records"))
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
        policy=make_policy(landing, gate_jobs),
    )
    return Lane(lane=lane, gate=tree_gate, judge=judge)


def land_together(lane: LandingLane, nothing: Candidate, candidates: Sequence[Candidate]) -> list[Landing]:
    """Land candidates that wait in this order when the lane looks at the first of them.

    Args:
        nothing: a candidate without a change, which holds the lane until all others wait.
    """
    all_wait = threading.Event()

    def hold() -> None:
        all_wait.wait()

    with ThreadPoolExecutor(len(candidates) + 1) as threads:
        holding = threads.submit(lane.land, replace(nothing, begins=hold))
        landings = []
        for number, candidate in enumerate(candidates, 1):
            _until(lane, number)
            landings.append(threads.submit(lane.land, candidate))
        _until(lane, len(candidates) + 1)
        all_wait.set()
        assert holding.result().cause == "no-change"
        return [landing.result() for landing in landings]


def _until(lane: LandingLane, waiting: int) -> None:
    while lane.waiting < waiting:
        time.sleep(0.001)
