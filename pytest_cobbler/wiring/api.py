"""How the configured agent reaches the API of its model: the address, the credential, the rules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from pytest_cobbler.agents.access import Access
from pytest_cobbler.agents.credential import Credential, credential_for, stand_in_for, variables_of
from pytest_cobbler.agents.descriptions.claude import Claude
from pytest_cobbler.agents.descriptions.codex import Codex
from pytest_cobbler.agents.descriptions.gemini import GeminiCli
from pytest_cobbler.agents.prices import PriceList, read_prices
from pytest_cobbler.agents.rules import Rules
from pytest_cobbler.agents.wires.base import Wire
from pytest_cobbler.agents.wires.choose import WIRES
from pytest_cobbler.config import Config
from pytest_cobbler.config.addresses import is_anthropics, shown_address
from pytest_cobbler.config.passwords import secrets_in
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem

__all__ = [
    "access_of",
    "asks_api",
    "credential_of",
    "credentials_of",
    "foreign_address",
    "make_prices",
    "reach_api",
    "stand_in_of",
    "wire_of",
]

_BUILT_IN: Final[Mapping[str, Wire]] = {
    "claude": Claude.wire,
    "codex": Codex.wire,
    "gemini": GeminiCli.wire,
}
"""The agents that always ask an API of one format, and this format; ``agent_api`` is that of the others."""


def asks_api(config: Config) -> bool:
    """Whether an agent of the configuration cannot work without an API."""
    return any(name in (*_BUILT_IN, "opencode") for name in config.agents)


def wire_of(config: Config) -> Wire:
    """The format of the API that the first agent speaks."""
    return _BUILT_IN.get(config.agents[0]) or WIRES[config.agent_api]


def stand_in_of(config: Config) -> Credential:
    """A worthless credential for the first agent."""
    return stand_in_for(wire_of(config).address.key)


def credential_of(config: Config) -> Credential | None:
    """The credential of the first agent; ``None`` if there is none or the agent needs none.

    Raises:
        UsageProblem: it cannot be used, or the agent needs one and it can only be in the environment.
    """
    if config.agent == "replay":
        return None
    key = wire_of(config).address.key
    credential = credential_for(key, os.environ, config.token_path, config.lifted_credentials)
    if credential is None and variables_of(key) == (key,):
        raise UsageProblem(f"{_chosen(config)} needs {key}", "Set it in the environment of pytest.")
    if config.agent == "opencode" and credential and credential.kind == "oauth":
        raise UsageProblem(
            "a login of claude is for claude only",
            f"Set {key} for agent: opencode in the environment of pytest.",
        )
    return credential


def credentials_of(config: Config) -> tuple[Credential, ...]:
    """The credentials of all agents that have one.

    Raises:
        UsageProblem: as :func:`credential_of`.
    """
    found = map(credential_of, config.each_agent)
    return tuple(credential for credential in found if credential is not None)


def access_of(config: Config, credential: Credential | None) -> Access:
    """How the first agent reaches the API. Behind the proxy, its credential stays on the host.

    The proxy needs a credential to serve, and a sandbox to keep the credential out of.
    """
    return Access(
        credential=credential,
        base_url=_address(config),
        proxied=config.agent_network == "proxy" and config.is_contained and credential is not None,
        prices=make_prices(config),
        rules=Rules(hosted_tools=config.hosted_tools, models=config.models),
        wire=wire_of(config),
        handed=secrets_in(config.container_environment),
    )


def make_prices(config: Config) -> PriceList:
    """The prices of models, with those of the configured file.

    Raises:
        UsageProblem: the file has something else.
    """
    return PriceList(read_prices(config.prices) if config.prices else {})


def foreign_address(config: Config) -> str:
    """The addresses of the APIs and their places, for people; empty if all are Anthropic's."""
    return "; and ".join(filter(None, map(_foreign_address, config.each_agent)))


def _foreign_address(config: Config) -> str:
    name, address = wire_of(config).address.variable, _address(config)
    shown = address or wire_of(config).address.api
    if config.agent == "replay" or is_anthropics(shown):
        return ""
    is_assigned = config.container_environment.get(name) and name in config.podman_args.assigned
    given = config.path.name if is_assigned else "the environment"
    return f"{escaped(shown_address(shown))}, from {given if address else _chosen(config)}"


def reach_api(config: Config) -> None:
    """Check that the hosts of the APIs answer that the agents will ask.

    Raises:
        UsageProblem: one does not.
    """
    is_offline = config.agent_network == "none" and config.is_contained
    for one in () if is_offline else filter(asks_api, config.each_agent):
        from pytest_cobbler.agents.reach import reach  # not every run needs its libraries

        reach(wire_of(one).address, _address(one))


def _address(config: Config) -> str | None:
    name = wire_of(config).address.variable
    return config.container_environment.get(name) or os.environ.get(name)


def _chosen(config: Config) -> str:
    """The setting that chooses the API."""
    return f"agent: {config.agents[0]}" if asks_api(config) else f"agent_api: {config.agent_api}"
