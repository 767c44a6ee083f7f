"""Rules between the keys that say what the proxy of the API passes on, and those of the agents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_cobbler.config.agents import WITHOUT_MODEL, is_among
from pytest_cobbler.config.faults import Fault, shown

if TYPE_CHECKING:
    from pytest_cobbler.config.model import Config

__all__ = ["allowed_models", "passed_on"]


def passed_on(config: Config) -> Iterator[Fault]:
    """Without the proxy, no one would keep to these."""
    is_proxied = config.is_contained and config.agent_network == "proxy"
    for key in () if is_proxied else ("models", "hosted_tools"):
        if getattr(config, key):
            message = "has no effect: it needs a sandbox and agent_network: proxy"
            yield Fault(key=key, message=message)
    for index, name in enumerate(config.models):
        if "*" in name[:-1]:
            message = f"{shown(name)} is not allowed: a * stands for an end only"
            yield Fault(key="models", at=(index,), message=message)


def allowed_models(config: Config) -> Iterator[Fault]:
    """Agents are started with models that the proxy lets pass."""
    for key, of in (("model", config.model_of), ("escalate", config.escalation_of)):
        for name in config.agents:
            model = of(name)
            is_alias = name == "claude" and model and not model.startswith("claude-")  # such as opus
            if not model or is_alias or name in WITHOUT_MODEL:
                continue
            if not is_among(model, config.models):
                at = (name,) if len(config.agents) > 1 else ()
                message = f"{shown(model)} is not in models, so the proxy refuses it"
                yield Fault(key=key, at=at, message=message)
