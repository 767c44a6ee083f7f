"""The attacks of agents that work on the nodes of a real Slurm."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.attacks.attack import every_attack
from pytest_cobbler.attacks.ground import BRANCH, Target, prepared
from pytest_cobbler.attacks.inside import try_in_one_job
from pytest_cobbler.attacks.suite import ON_NODES, run_suite
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Network
from pytest_cobbler.sandbox.site import Site
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from pytest_cobbler.sites.slurm import SlurmChannel
from pytest_cobbler.sites.used import UsedNodes
from tests.support.attacked import not_held, others_than_held, target_of
from tests.support.images import busybox_image
from tests.support.podmans import Podman, own_podman
from tests.support.slurm import NODES, Cluster, cluster

__all__ = ["busybox_image", "cluster", "own_podman"]

pytestmark = [pytest.mark.podman, pytest.mark.slow]
ATTACKS = [attack for attack in every_attack() if attack.family in ON_NODES]
NEEDS_SETUID = ("setuid-program",)


@pytest.fixture
def target(own_podman: Podman, minimal_image: str, place: Path, cluster: Cluster) -> Target:
    assert len(cluster.states()) == len(NODES)
    return target_of(own_podman, minimal_image, place)


def on_nodes(
    image: str, place: Path, used: list[str], arguments: Sequence[str] = ()
) -> Callable[[Repository], AbstractContextManager[Site]]:
    """Places that have a node for themselves, so that three of them are on three nodes."""

    @contextlib.contextmanager
    def made(repository: Repository) -> Iterator[Site]:
        name = uuid.uuid4().hex[:8]
        sandbox = NodeSandbox(image=image, repository=name, run_id="a", arguments=tuple(arguments))
        channel = SlurmChannel(["--mem=6000"])
        yield RemoteSite(repository, BRANCH, channel, sandbox, place / "nodes")
        used.extend(UsedNodes(repository).all()["slurm"])

    return made


def test_every_attack_of_an_agent_on_a_node_is_held(target: Target, minimal_image: str, place: Path) -> None:
    used: list[str] = []
    attacked = replace(target, nodes=on_nodes(minimal_image, place, used))
    lines = list(run_suite(attacked, Cancellation(), ATTACKS))
    assert [line.attack for line in lines] == ATTACKS
    assert {name for name in others_than_held(lines) if name not in NEEDS_SETUID} == set(), lines
    assert used == list(NODES)


def test_attacks_get_through_on_a_node_that_has_the_network_of_its_machine(
    target: Target, minimal_image: str, place: Path
) -> None:
    network = [attack for attack in ATTACKS if attack.family == "network"]
    nodes = on_nodes(minimal_image, place, [], ["--network=host"])
    open_target = replace(target, nodes=nodes, network=Network.OPEN, proxied=False)
    with prepared(open_target) as ground:
        lines = try_in_one_job(ground, network, "network", Cancellation())
    assert {"host-loopback", "host-addresses", "abstract-socket"} <= not_held(lines), lines
