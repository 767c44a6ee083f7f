"""The agents of a run, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_cobbler.agents.base import Agent

__all__ = ["Agents", "NamedAgent", "word_of"]


@dataclass(frozen=True, kw_only=True)
class NamedAgent:
    """An agent, by the ``name`` that the configuration has for it."""

    name: str
    agent: Agent

    def assistant(self, model: str) -> str:
        """The agent, as the trailer ``Assisted-by`` names it: ``claude:claude-opus-4-5``, or ``agent.sh``."""
        name = word_of(self.agent)
        return f"{name}:{model}" if model else name


class Agents:
    """The agents of a run, in the order in which they are asked. There is at least one.

    Args:
        make: makes the agent of a name with another model.
    """

    def __init__(self, agents: Mapping[str, Agent], make: Callable[[str, str], Agent] | None = None) -> None:
        self._agents = {name: NamedAgent(name=name, agent=agent) for name, agent in agents.items()}
        self._make = make

    @classmethod
    def one(cls, agent: Agent) -> Agents:
        """A single agent, named by its description."""
        return cls({word_of(agent): agent})

    def __getitem__(self, name: str) -> NamedAgent:
        return self._agents[name]

    def of(self, name: str, model: str) -> NamedAgent:
        """The agent of a name, with a model; empty: its own."""
        if not model or self._make is None:
            return self._agents[name]
        return NamedAgent(name=name, agent=self._make(name, model))

    def __iter__(self) -> Iterator[NamedAgent]:
        return iter(self._agents.values())

    def __len__(self) -> int:
        return len(self._agents)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._agents)

    @property
    def first(self) -> NamedAgent:
        return next(iter(self))

    @property
    def description(self) -> str:
        """One line: the first, and those that work while it is limited."""
        first, *rest = (one.agent.description for one in self)
        return "; then ".join([first, *(one.removeprefix("agent: ") for one in rest)])

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values of all of them that must appear in no transcript, log, report or commit."""
        return tuple(dict.fromkeys(secret for one in self for secret in one.agent.secrets))

    @property
    def proxied(self) -> bool:
        """Whether none of them has a network beside the API."""
        return all(one.agent.proxied for one in self)

    @property
    def hold_credentials(self) -> bool:
        """Whether one of them gets its credential."""
        return any(one.agent.secrets and not one.agent.proxied for one in self)

    def assistant(self, name: str, model: str) -> str:
        """How the trailer ``Assisted-by`` names an agent, which may be one of an earlier run."""
        named = self._agents.get(name)
        if named is None and name:
            return f"{_plain(name)}:{model}" if model else _plain(name)
        return (named or self.first).assistant(model)


def word_of(agent: Agent) -> str:
    """The first word of the description of an agent, without its directory."""
    words = agent.description.removeprefix("agent:").replace(",", " ").split()
    return _plain(PurePosixPath(words[0]).name if words else "")


def _plain(name: str) -> str:
    return re.sub(r"[^\w.+-]", "-", name) or "agent"
