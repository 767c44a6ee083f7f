"""The check of ``--cobbler-doctor`` that tries the network of agents, and the host of their API."""

from __future__ import annotations

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.config import Config
from pytest_cobbler.doctor.agents import Credentials
from pytest_cobbler.doctor.examination import Seen
from pytest_cobbler.doctor.proofs import prove_closed, prove_open
from pytest_cobbler.sandbox.base import Capability, Network, Sandbox
from pytest_cobbler.wiring.api import access_of, asks_api, reach_api, stand_in_of

__all__ = ["NOT_CONTAINED", "check_network"]

NOT_CONTAINED = Seen(detail="sandbox: none does not contain jobs", status="off")


def check_network(
    config: Config, sandbox: Sandbox, own_agent: Agent | None, credentials: Credentials
) -> Seen | str:
    """Try what the containers of agents can reach, and whether the host of the API answers.

    Args:
        own_agent: the agent that a hook gave.

    Raises:
        CobblerError: containers reach more than they should, or less; or the host does not answer.
    """
    is_contained = Capability.CONTAINMENT in sandbox.capabilities
    if own_agent:
        why = f"{own_agent.description} comes from a hook, which chooses the network itself"
        return Seen(detail=why, status="off") if is_contained else NOT_CONTAINED
    if not is_contained:
        reach_api(config)
        return NOT_CONTAINED
    if config.agent == "replay":
        prove_closed(sandbox, Network.NONE)
        return "closed: nothing can be reached"
    if config.agent_network == "open":
        prove_open(sandbox)
        reach_api(config)
        return "open: agents have network access and get the credential"
    seen = [_check_one(one, sandbox, credentials.get(one.agents[0])) for one in config.each_agent]
    reach_api(config)
    return "; ".join(dict.fromkeys(seen))


def _check_one(config: Config, sandbox: Sandbox, credential: Credential | None) -> str:
    """Try what the containers of one agent can reach behind the proxy."""
    access = access_of(config, credential or (stand_in_of(config) if asks_api(config) else None))
    if not access.proxied:
        prove_closed(sandbox, Network.NONE)
        return "closed: nothing can be reached, not even the API"
    access.preflight(sandbox)
    prove_closed(sandbox, access.proxy().network)
    return "closed: only the API can be reached, through a proxy"
