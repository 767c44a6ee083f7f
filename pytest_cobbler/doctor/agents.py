"""The checks of ``--cobbler-doctor`` for each agent: its credential, its program, and an answer of it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from pytest_cobbler.agents.base import Agent, AgentResult, VersionedAgent
from pytest_cobbler.agents.credential import RENEWAL, Credential, no_credential
from pytest_cobbler.config import Config
from pytest_cobbler.doctor.committed import committed
from pytest_cobbler.doctor.examination import Seen
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.wiring.agents import Agents
from pytest_cobbler.wiring.api import asks_api, credential_of, foreign_address, wire_of
from pytest_cobbler.wiring.parts import make_agent, refuse_seen_keys
from pytest_cobbler.wiring.preflight import expiring

__all__ = ["Credentials", "answers_of", "check_credentials", "make_all", "try_agents"]

Credentials = Mapping[str, Credential]
"""Name of an agent -> its credential, if it has one that can be used."""


def check_credentials(
    config: Config, found: dict[str, Credential], opened: Repository | None, own_agent: Agent | None
) -> Seen | str:
    """Find the credential of each agent, and add it to ``found``.

    Args:
        opened: the repository, if it could be opened.
        own_agent: the agent that a hook gave.

    Raises:
        CobblerError: an agent needs one that is missing or cannot be used.
    """
    if own_agent:
        why = f"{own_agent.description} comes from a hook, which handles credentials itself"
        return Seen(detail=why, status="off")
    if config.agent == "replay":
        return Seen(detail="not needed to replay a recording", status="off")
    seen = [_check_credential(one, found, opened) for one in config.each_agent]
    warning = next((one for one in seen if isinstance(one, Seen)), None)
    if warning or len(seen) == 1:
        return warning or seen[0]
    return "; ".join(f"{name}: {text}" for name, text in zip(config.agents, seen, strict=True))


def _check_credential(config: Config, found: dict[str, Credential], opened: Repository | None) -> Seen | str:
    credential = credential_of(config)
    if credential is None:
        if asks_api(config):
            raise no_credential(wire_of(config).address.key)
        return "none: the command gets no credential, and no API is served to it"
    found[config.agents[0]] = credential
    if ends := expiring(credential, config):
        return Seen(detail=ends, status="warning", remedy=RENEWAL)
    if opened and (warning := committed(opened, config, credential)):
        return warning
    address = foreign_address(config)
    return f"{credential.shown}{f'; used at {address}' if address else ''}"


def make_all(
    config: Config,
    own_agent: Agent | None,
    found: Credentials,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Agents:
    """All agents; one without a credential gets a worthless one."""
    if own_agent:
        return Agents.one(own_agent)
    refuse_seen_keys(config)
    run_id = secrets.token_hex(4)
    made: Iterator[tuple[str, Agent]] = (
        (
            one.agents[0],
            make_agent(one, run_id, stand_in=one.agents[0] not in found, environment=environment),
        )
        for one in config.each_agent
    )
    return Agents(dict(made))


def try_agents(agents: Agents, sandbox: Sandbox) -> Seen | str:
    """Start the program of each agent, and name its version.

    Raises:
        CobblerError: one does not start.
    """
    shown, outdated = [], []
    for one in agents:
        one.agent.preflight(sandbox)
        agent = one.agent
        version = agent.version if isinstance(agent, VersionedAgent) else ""
        shown.append(f"{agent.description}: starts{f', version {version}' if version else ''}")
        if isinstance(agent, VersionedAgent) and agent.outdated:
            outdated.append(agent.outdated)
    if outdated:
        return Seen(detail="; ".join(outdated), status="warning", remedy="Install a newer one in the image.")
    return "; ".join(shown)


def answers_of(agents: Agents, ask: Callable[[Agent], AgentResult]) -> str:
    """What each agent answered, and at what cost.

    Raises:
        CobblerError: one of them did not answer.
    """
    shown = []
    for one in agents:
        result = ask(one.agent)
        if error := result.error or result.doubt:
            of = f"{one.name}: " if len(agents) > 1 else ""
            raise CobblerError(f"{of}{error}", "", result.text or result.completed.stderr)
        took = f"{one.agent.description} answered in {result.completed.seconds:.1f} s"
        shown.append(", ".join(filter(None, (took, result.usage.cost_shown))))
    return "; ".join(shown)
