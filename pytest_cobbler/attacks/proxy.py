"""Attacks on the proxy of the API. The API behind it is ours, and sees every request that arrives."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cobbler.attacks.agents import attacking
from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import Ground
from pytest_cobbler.attacks.inside import judged, outputs_of
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Capability, Loopback

__all__ = ["try_proxy"]

_ALLOWED = Attack(
    family="proxy",
    name="an-allowed-request",
    tries="ask the API as an agent may",
    holds="",
    script='post /v1/messages "User-Agent: $ATTACK\\r\\n" "{}"',
)
"""Must reach the API. Otherwise nothing of what follows proves anything."""


def try_proxy(ground: Ground, attacks: Sequence[Attack], cancellation: Cancellation) -> list[Line]:
    """Try the attacks of the family proxy, in one job."""
    network = ground.network
    if not isinstance(network, Loopback):
        why = "agents of this configuration have no proxy"
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
    if Capability.LOOPBACK not in ground.target.sandbox.capabilities:
        why = "the containers are on another machine"
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
    with attacking(ground, "proxy") as agent:
        outputs = outputs_of(ground, [_ALLOWED, *attacks], agent, network, "proxy", cancellation)
        worktree = agent.worktree
    if not ground.upstream.heard(_ALLOWED.name):
        why = "an allowed request does not reach the API"
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
    lines = []
    for attack in attacks:
        line = judged(ground, attack, worktree, outputs.get(attack.name))
        if ground.upstream.heard(attack.name):
            line = Line(attack=attack, status="NOT HELD", evidence="it reached the API")
        lines.append(line)
    return lines
