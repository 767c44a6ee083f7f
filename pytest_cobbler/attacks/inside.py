"""Attacks that an agent makes from inside its job: on processes, the kernel, files and the network."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_cobbler.attacks.agents import Agent, attacking
from pytest_cobbler.attacks.attack import Attack, Line
from pytest_cobbler.attacks.ground import Ground, script_of
from pytest_cobbler.attacks.scripts import run_scripts
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.worktrees import Worktree
from pytest_cobbler.sandbox.base import Job, Limits, Loopback, Network

__all__ = ["judged", "outputs_of", "try_in_one_job", "try_inside", "try_network"]

_LONGEST = 300.0
"""Seconds for all attacks of a job; they take a few."""


def try_inside(ground: Ground, attacks: Sequence[Attack], cancellation: Cancellation) -> list[Line]:
    """Try the attacks of the family inside, one after the other in one job of an agent."""
    if not ground.target.proxied:
        # Without a proxy the agent has the key, as the user has configured it.
        kept = [attack for attack in attacks if not attack.name.startswith("key-")]
        given = [attack for attack in attacks if attack not in kept]
        why = "agents get the key, or need none: there is no proxy"
        return [
            *try_in_one_job(ground, kept, "inside", cancellation),
            *(Line(attack=attack, status="not tried", evidence=why) for attack in given),
        ]
    return try_in_one_job(ground, attacks, "inside", cancellation)


def try_network(ground: Ground, attacks: Sequence[Attack], cancellation: Cancellation) -> list[Line]:
    """Try the attacks of the family network, if agents should have none."""
    if ground.network is Network.OPEN:
        why = "agent_network: open gives agents a network"
        return [Line(attack=attack, status="not tried", evidence=why) for attack in attacks]
    return try_in_one_job(ground, attacks, "network", cancellation)


def try_in_one_job(
    ground: Ground, attacks: Sequence[Attack], name: str, cancellation: Cancellation
) -> list[Line]:
    """Try attacks in one job of an agent, whatever its network is; ``name`` is of its place."""
    with attacking(ground, name) as agent:
        outputs = outputs_of(ground, attacks, agent, ground.network, name, cancellation)
        return [judged(ground, attack, agent.worktree, outputs.get(attack.name)) for attack in attacks]


def outputs_of(
    ground: Ground,
    attacks: Sequence[Attack],
    agent: Agent,
    network: Network | Loopback,
    name: str,
    cancellation: Cancellation,
) -> dict[str, bytes]:
    """Run the scripts in one job of an agent; the output of each by its name, as far as the job came."""
    variables = ground.variables(agent.tree)
    job = Job(
        name=f"attack-{name}",
        argv=(),
        workdir=str(agent.tree),
        environment=ground.access.environment({}),
        secrets=ground.access.variables(),
        mounts=agent.mounts,
        network=network,
        limits=Limits(wall=_LONGEST),
    )
    scripts = {attack.name: script_of(attack, variables) for attack in attacks}
    return run_scripts(agent.sandbox, job, scripts, cancellation)


def judged(ground: Ground, attack: Attack, worktree: Worktree | None, output: bytes | None) -> Line:
    """The result by what the host sees, then by the last word of the script."""
    if output is None:
        return Line(attack=attack, status="not tried", evidence="an attack before it did not end")
    if words := ground.read_words(output):
        return Line(attack=attack, status="NOT HELD", evidence=f"it read {', '.join(words)}")
    if harm := ground.harm(attack, worktree):
        return Line(attack=attack, status="NOT HELD", evidence=harm)
    said = output.decode("utf-8", "replace").strip().rpartition("\n")[2]
    word, _, rest = said.partition(" ")
    match word:
        case "got":
            return Line(attack=attack, status="NOT HELD", evidence=rest)
        case "held" | "tried":
            return Line(attack=attack, status="held", evidence=rest)
        case "cannot":
            return Line(attack=attack, status="not tried", evidence=rest)
    return Line(attack=attack, status="not tried", evidence=f"the script failed: {said}")
