"""Places on nodes: what travels, and what happens when a node, its stream or the coordinator is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import HarvestError, harvest
from pytest_cobbler.sandbox.base import Completed, Job, Mount
from pytest_cobbler.sandbox.site import Place, Site
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.sites.patience import now
from pytest_cobbler.sites.remote import NodeSandbox, RemoteSite
from tests.support.nodes import QUICK, Processes, remote_site
from tests.support.repositories import Bench, commit_files

SCRIPT = "echo new >new; echo $$; exec sleep 600"


@pytest.fixture
def channel() -> Iterator[Processes]:
    channel = Processes()
    yield channel
    channel.close()


@pytest.fixture
def site(host_bench: Bench, channel: Processes) -> RemoteSite:
    return remote_site(host_bench, "", host_bench.user.path.parent / "nodes", channel)


def opened(site: Site, bench: Bench, name: str = "t-1", parent: str = "") -> Place:
    parent = parent or bench.tip
    purpose = {"task": "t", "number": "1"}
    return site.open(name, parent=parent, tree=bench.repository.tree_of(parent), purpose=purpose)


class Working:
    """A job that sleeps, and its process."""

    def __init__(self, place: Place) -> None:
        self._began = threading.Event()
        self._process = 0
        self._ends: list[Completed] = []
        argv = ("sh", "-euc", SCRIPT)
        job = Job(name="work", argv=argv, workdir=str(place.checkout), on_line=self._begin)
        self._thread = threading.Thread(target=lambda: self._ends.append(place.sandbox.run(job)))
        self._thread.start()
        assert self._began.wait(60)

    def _begin(self, line: bytes) -> None:
        self._process = int(line)
        self._began.set()

    @property
    def lives(self) -> bool:
        with contextlib.suppress(OSError):
            return " Z " not in Path(f"/proc/{self._process}/stat").read_text()
        return False

    def end(self) -> Completed:
        self._thread.join(60)
        (completed,) = self._ends
        return completed


def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds."""
    while not condition():
        time.sleep(0.05)


def test_a_further_job_on_a_node_costs_what_has_changed(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    first = commit_files(host_bench.repository, host_bench.tip, {"large": os.urandom(1_000_000).hex()})
    opened(site, host_bench, "t-1", first).remove()
    second = commit_files(host_bench.repository, first, {"small": "small\n"})
    opened(site, host_bench, "t-2", second).remove()
    sent = [stream.sent for stream, _ in channel.streams]
    assert sent[0] > 1_000_000
    assert sent[1] < 20_000


def test_a_job_ends_when_its_coordinator_is_gone_and_its_work_stays(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    working = Working(opened(site, host_bench))
    (stream, _) = channel.streams[0]
    stream.finish()  # as when the process that holds it is killed
    until(lambda: not working.lives)
    again = remote_site(host_bench, "", host_bench.user.path.parent / "nodes", channel)
    (left,) = again.leftovers()
    assert harvest(left, host_bench.repository, Policy()).change.paths == ("new",)
    left.remove()
    assert again.leftovers() == []
    assert working.end().cause == Ending.LOST


def test_a_node_that_has_ended_a_job_and_does_not_answer_is_waited_for_once(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    working = Working(place := opened(site, host_bench))
    channel.down.add("n1")
    os.killpg(channel.streams[0][0].process, signal.SIGKILL)
    assert working.end().cause == Ending.KILLED

    with pytest.raises(HarvestError):
        harvest(place, host_bench.repository, Policy())
    assert not place.has_files
    with pytest.raises(SandboxError, match="the node's half did not start"):
        place.keep("its files are on the node", again=True)
    place.remove()

    assert len(channel.streams) == 2
    (record,) = site.records.all()
    assert record.name == "t-1"  # for the next run


def test_work_on_a_node_that_does_not_answer_is_named_until_it_does(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    began = now()
    working = Working(opened(site, host_bench))
    channel.streams[0][0].finish()
    assert working.end().cause == Ending.LOST
    channel.down.add("n1")
    again = remote_site(host_bench, "", host_bench.user.path.parent / "nodes", channel)
    assert (again.leftovers(), again.take_back(lambda _task: False)) == ([], set())
    # Only now can the next attempt begin: no heartbeat of the dead run is young enough for its job.
    assert now() >= began + QUICK.lease + QUICK.kill + QUICK.slack
    (unreached,) = again.unreached()
    where = "the work on t (attempt 1) is on node n1 of slurm"
    assert str(unreached) == f"{where}, which does not answer: the node's half did not start"
    (record,) = again.records.all()
    assert record.is_over
    again.release_pins()
    assert len(host_bench.repository.list_refs("refs/cobbler/pins")) == 2
    channel.down.clear()
    back = remote_site(host_bench, "", host_bench.user.path.parent / "nodes", channel)
    (left,) = back.leftovers()
    assert harvest(left, host_bench.repository, Policy()).change.paths == ("new",)
    left.remove()
    assert back.unreached() == []


def test_work_that_another_sandbox_left_is_found_here_and_named_on_nodes(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    generation = host_bench.generation.name
    here = LocalSite(host_bench.repository, generation, host_bench.sandbox)
    opened(here, host_bench, "t-1")
    both = remote_site(host_bench, "", host_bench.user.path.parent / "nodes", channel, here)
    (left,) = both.leftovers()
    left.remove()

    opened(site, host_bench, "t-2")
    (unreached,) = here.unreached()
    assert str(unreached) == (
        "the work on t (attempt 1) is on node n1 of slurm, which this configuration does not reach"
    )
    here.release_pins()
    assert len(host_bench.repository.list_refs("refs/cobbler/pins")) == 2
    nodes = NodeSandbox(image="", repository="", run_id="")
    other = RemoteSite(host_bench.repository, generation, channel, nodes, Path("/nodes"), engine="kubernetes")
    assert (other.leftovers(), other.unreached()) == ([], [unreached])


@pytest.mark.parametrize("way", ["is_deaf", "is_mute"])
def test_a_job_is_over_before_another_takes_its_place_whichever_way_is_cut(
    site: RemoteSite, host_bench: Bench, channel: Processes, way: str
) -> None:
    place = opened(site, host_bench)
    working = Working(place)
    setattr(channel.streams[0][0], way, True)
    assert working.end().cause == Ending.LOST
    assert not working.lives
    with pytest.raises(HarvestError, match="is gone"):
        harvest(place, host_bench.repository, Policy())
    place.remove()
    (left,) = site.leftovers()  # the node answers again
    assert harvest(left, host_bench.repository, Policy()).change.paths == ("new",)
    left.remove()


def test_what_is_ended_by_a_person_was_killed_and_is_harvested(
    site: RemoteSite, host_bench: Bench, channel: Processes
) -> None:
    place = opened(site, host_bench)
    working = Working(place)
    os.kill(channel.streams[0][0].process, signal.SIGKILL)
    assert working.end().cause == Ending.KILLED
    assert harvest(place, host_bench.repository, Policy()).change.paths == ("new",)


def test_a_job_that_needs_files_of_the_coordinator_is_refused(site: RemoteSite, host_bench: Bench) -> None:
    place = opened(site, host_bench)
    job = Job(name="work", argv=("true",), workdir="/", mounts=(Mount(source=Path("/etc"), target="/x"),))
    with pytest.raises(SandboxError, match="needs files of this machine"):
        place.sandbox.run(job)


def test_a_node_without_the_program_is_reported(host_bench: Bench, channel: Processes) -> None:
    site = remote_site(host_bench, "", Path("/dev/null/nodes"), channel)
    with pytest.raises(NotStarted, match="did not start"):
        opened(site, host_bench)
    assert site.records.all() == []
    assert host_bench.repository.list_refs("refs/cobbler/pins") == {}
