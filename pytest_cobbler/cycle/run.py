"""The values that all items of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pytest_cobbler.agents.budget import Budget
from pytest_cobbler.cycle.faults import SharedFaults
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.cycle.surroundings import RepositoryView
from pytest_cobbler.landing.lane import LandingLane
from pytest_cobbler.landing.notary import Notary
from pytest_cobbler.lifecycle.effort import Efforts
from pytest_cobbler.lifecycle.ledger import Ledger
from pytest_cobbler.lifecycle.lines import SourceLines
from pytest_cobbler.listeners import RunListener
from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.turns import Turns
from pytest_cobbler.repository.attempts import KeptAttempt
from pytest_cobbler.repository.sessions import Sessions
from pytest_cobbler.sandbox.site import Site
from pytest_cobbler.wiring.parts import Parts
from pytest_cobbler.wiring.project import Project


@dataclass(kw_only=True)
class Run:
    """One run on one generation, ready to begin. Made by ``opening.open_run``.

    ``base`` is the base's commit at which the run began: its configuration and its files are the gate's.
    ``efforts``: what tasks will probably take.
    ``open_tasks`` are the ids of the session's tasks: a need outside them is met. ``names`` and ``turns``
    belong to recordings, and have no effect without one. ``waiting``: task id -> the kept work that goes to
    the gate before any agent is asked; without ``asks_agents``, none is.
    """

    project: Project
    base: str
    parts: Parts
    ledger: Ledger
    view: RepositoryView
    site: Site
    sessions: Sessions
    landing: LandingLane
    notary: Notary
    listener: RunListener
    lines: SourceLines
    slots: Slots
    names: RunNames
    turns: Turns
    cancellation: Cancellation
    budget: Budget = field(default_factory=Budget)
    faults: SharedFaults = field(default_factory=SharedFaults)
    efforts: Efforts = field(default_factory=Efforts)
    open_tasks: set[str] = field(default_factory=set)
    waiting: dict[str, KeptAttempt] = field(default_factory=dict)
    asks_agents: bool = True

    @property
    def places(self) -> tuple[Path, ...]:
        """Where the run writes."""
        config, repository = self.project.config, self.project.repository
        return repository.work_dir, config.cobbler_dir, repository.common_dir, config.beads_dir

    @property
    def healths(self) -> Healths:
        """The state of the API of each agent."""
        return self.slots.healths
