"""Which agents may work on an item, and with which models: by the labels of its task, or by a hook.

A task comes from an agent, from another tool, or from a person. It chooses among what ``configuration.yaml``
names, and never brings a program or a model in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pytest_cobbler.config import Config
from pytest_cobbler.display import one_line
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.tracker.base import Task

__all__ = ["Choice", "ChoiceProblem", "choice_of", "labelled", "refused_labels"]

AGENT: Final = "agent:"
MODEL: Final = "model:"
"""The beginnings of labels that choose."""


class ChoiceProblem(UsageProblem):
    """A task, or a hook, asks for what the configuration does not name."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The ``agents`` that may work on an item, in the order in which they are asked.

    ``model`` is the one that the item asks for; ``escalated``: agent -> the model of a further attempt.
    Without them, an agent has its own.
    """

    agents: tuple[str, ...]
    model: str = ""
    escalated: Mapping[str, str] = field(default_factory=dict)

    def model_for(self, agent: str, *, again: bool) -> str:
        """The model of an attempt; empty: the agent's own. ``again``: after an attempt that failed."""
        return (self.escalated.get(agent, "") if again else "") or self.model


def choice_of(config: Config, agent: str = "", model: str = "") -> Choice:
    """The choice of an agent, a model, or both.

    Raises:
        ChoiceProblem: the configuration does not name it.
    """
    if agent and agent not in config.agents:
        raise ChoiceProblem(f"{one_line(agent)} is not in the key agent of {config.path.name}")
    agents = (agent,) if agent else config.agents
    if model:
        agents = tuple(name for name in agents if model in _named_for(config, name))
    if not agents:
        of = f" for {agent}" if agent else ""
        raise ChoiceProblem(f"{one_line(model)} is not a model that {config.path.name} names{of}")
    escalated = {name: config.escalation_of(name) or "" for name in agents}
    return Choice(agents=agents, model=model, escalated=escalated)


def labelled(config: Config, labels: Iterable[str]) -> Choice:
    """The choice of a task, by its labels ``agent:NAME`` and ``model:NAME``.

    Raises:
        ChoiceProblem: the configuration does not name it, or there are two labels of a kind.
    """
    chosen: dict[str, str] = {}
    for label in labels:
        kind = next((kind for kind in (AGENT, MODEL) if label.startswith(kind)), "")
        if kind in chosen:
            raise ChoiceProblem(f"it has two labels that begin with {kind}")
        if kind:
            chosen[kind] = label.removeprefix(kind)
            if not chosen[kind]:
                raise ChoiceProblem(f"its label {kind} names nothing")
    return choice_of(config, chosen.get(AGENT, ""), chosen.get(MODEL, ""))


def refused_labels(config: Config, tasks: Iterable[Task]) -> dict[str, str]:
    """Task id -> why its labels keep it from being done."""
    refused: dict[str, str] = {}
    for task in tasks:
        try:
            labelled(config, task.labels)
        except ChoiceProblem as problem:
            refused[task.id] = f"label: {problem.cause}"
    return refused


def _named_for(config: Config, agent: str) -> set[str]:
    """The models that the configuration names for an agent.

    With several agents, ``models`` has those of all makers: only a model of the agent itself is one of it.
    """
    own = {config.model_of(agent), config.escalation_of(agent)} - {None}
    return {*filter(None, own), *(config.models if len(config.agents) == 1 else ())}
