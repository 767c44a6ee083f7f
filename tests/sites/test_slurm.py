"""Places on the nodes of a real Slurm: what its own ends do to a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.sites.patience import Patience
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from pytest_cobbler.sites.slurm import SlurmChannel
from tests.support.nodes import QUICK, channel_label
from tests.support.repositories import Bench
from tests.support.slurm import Cluster, cluster
from tests.support.working import Working

__all__ = ["cluster"]

pytestmark = [pytest.mark.podman, pytest.mark.slow]


@pytest.fixture
def site(host_bench: Bench, minimal_image: str, cluster: Cluster) -> Callable[..., RemoteSite]:
    """The nodes of a run, by its name."""
    assert len(cluster.states()) == 3

    def make(run_id: str, patience: Patience = QUICK) -> RemoteSite:
        sandbox = NodeSandbox(image=minimal_image, repository=channel_label(host_bench), run_id=run_id)
        directory = host_bench.user.path.parent / "nodes"
        channel = SlurmChannel(["--mem=400"])
        return RemoteSite(
            host_bench.repository, host_bench.generation.name, channel, sandbox, directory, patience=patience
        )

    return make


def working_in(site: RemoteSite, bench: Bench) -> Working:
    script = "echo new >new; echo begun; while ! [ -e ../output/go ]; do sleep 0.1; done; exit 7"
    return Working(site, bench, script, 120)


def let_go(working: Working) -> None:
    """Let it end by itself."""
    location = Path(str(working.place.location).partition(":")[2])
    (location.parent / "output" / "go").touch()


def test_a_job_that_a_person_cancels_was_killed_and_its_work_is_harvested(
    site: Callable[..., RemoteSite], host_bench: Bench, cluster: Cluster
) -> None:
    # srun reports the end some time after the node's half has ended, which must not count as silence.
    working = working_in(site("one", replace(QUICK, silence=60.0, lease=60.0)), host_bench)
    cluster.ask("scancel", "--me")
    assert working.end().cause == Ending.KILLED
    assert harvest(working.place, host_bench.repository, Policy()).change.paths == ("new",)
    working.place.remove()


def test_a_job_goes_on_while_the_controller_is_started_again(
    site: Callable[..., RemoteSite], host_bench: Bench, cluster: Cluster
) -> None:
    working = working_in(site("one"), host_bench)
    cluster.restart("slurmctld")
    let_go(working)
    assert (working.end().status, working.end().cause) == (7, Ending.EXITED)
    working.place.remove()


def test_a_node_that_dies_is_lost_and_its_work_is_found_when_it_is_back(
    site: Callable[..., RemoteSite], host_bench: Bench, cluster: Cluster
) -> None:
    nodes = site("one")
    working = working_in(nodes, host_bench)
    node = str(working.place.location).partition(":")[0]
    cluster.kill(f"slurmd-{node}")
    assert working.end().cause == Ending.LOST
    assert not working.place.has_files
    cluster.start_again(f"slurmd-{node}")
    again = site("two")
    again.sweep()
    (left,) = again.leftovers()
    assert harvest(left, host_bench.repository, Policy()).change.paths == ("new",)
    left.remove()
    assert again.leftovers() == []


def test_a_run_ends_the_jobs_of_a_dead_one_and_finds_their_work(
    site: Callable[..., RemoteSite], host_bench: Bench
) -> None:
    working = working_in(site("one"), host_bench)
    again = site("two")
    assert len(again.sweep()) == 1
    (left,) = again.leftovers()
    assert harvest(left, host_bench.repository, Policy()).change.paths == ("new",)
    left.remove()
    assert working.end().cause == Ending.KILLED
