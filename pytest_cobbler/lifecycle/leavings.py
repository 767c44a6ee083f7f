"""What a dead run left of one generation, for actions that run no agent: enough to put it in order."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_cobbler.config import Config
from pytest_cobbler.lifecycle.finished import Finished
from pytest_cobbler.report.journal import Journal, ignore_itself
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.generations import Generation
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.worktrees import Worktrees
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.secret_forms import Secrets
from pytest_cobbler.tracker.base import Claim
from pytest_cobbler.tracker.lane import TrackerLane
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.parts import make_agent, make_sandbox


@dataclass(frozen=True, kw_only=True)
class Leavings:
    """One generation for ``recover``, without an agent or a gate to run."""

    config: Config
    repository: Repository
    identity: Identity
    generation: Generation
    tracker: TrackerLane
    sandbox: Sandbox
    worktrees: Worktrees
    journal: Journal
    finished: Finished
    claim: Claim
    scrub: Callable[[str], str]
    secrets: tuple[str, ...]

    def policy(self, marked: Sequence[str] = ()) -> Policy:
        """Nothing will land, so only what must not become an object counts."""
        return Policy(secrets=self.secrets, marked=tuple(marked))


def leavings_of(
    config: Config,
    repository: Repository,
    generation: Generation,
    lane: TrackerLane,
    hooks: Hooks,
    finished: Finished,
) -> Leavings:
    """Make them; nothing is done yet."""
    run_id = secrets.token_hex(4)
    sandbox = make_sandbox(config, repository, run_id)
    agent = hooks.agent() or make_agent(config, run_id)
    scrub = Secrets(agent.secrets).scrub_text
    ignore_itself(config.cobbler_dir)
    return Leavings(
        config=config,
        repository=repository,
        identity=repository.identity(),
        generation=generation,
        tracker=lane,
        sandbox=sandbox,
        worktrees=Worktrees(repository, generation.name, sandbox.owner),
        journal=Journal(config.cobbler_dir / generation.name / "journal.jsonl", scrub),
        finished=finished,
        claim=Claim(
            host=socket.gethostname(), repository=repository.key, run=run_id, generation=generation.name
        ),
        scrub=scrub,
        secrets=tuple(agent.secrets),
    )
