"""Sessions whose agents work on the nodes of a real Slurm, as a person sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project, Running
from tests.support.sessions import WRITES_A_FILE, came_to, records, seed, stitch, task
from tests.support.slurm import NODES, Cluster

pytestmark = [pytest.mark.podman, pytest.mark.slow]


@pytest.fixture
def project(
    cobbler_project: Project, cobbler_agent: StandInAgent, minimal_image: str, cluster: Cluster
) -> Project:
    assert len(cluster.states()) == len(NODES)
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.configure(
        sandbox="slurm",
        podman_image=minimal_image,
        podman_args=cobbler_agent.podman_arguments,
        slurm_args=["--mem=400"],
        cycles=0,
        max_attempts=1,
        jobs=2,
    )
    return cobbler_project


FOUR = ("p-a", "p-b", "p-c", "p-d")


@pytest.fixture
def shared(project: Project, cobbler_agent: StandInAgent) -> Path:
    """A directory that agents on two nodes, one on each, have as /shared."""
    directory = project.directory / "shared"
    directory.mkdir()
    directory.chmod(0o777)
    project.configure(
        podman_args=[*cobbler_agent.podman_arguments, "--volume", f"{directory}:/shared:rw"],
        unsafe_podman_args=True,
        slurm_args=["--exclude=n3", "--mem=6000"],
    )
    seed(project, *map(task, FOUR))
    return directory


def node_of(running: Running, name: str) -> str:
    """The node on which the first agent of a task works, once it does."""
    line = re.compile(rf" {name}: the agent starts on (n\d) \(attempt 1\)")
    running.wait_until(lambda: line.search(running.output) is not None)
    found = line.search(running.output)
    assert found
    return found[1]


def stated_node(project: Project, commit: str, of: str = "node") -> object:
    note = json.loads(project.git("notes", "--ref=cobbler", "show", commit))
    return note["predicate"]["buildDefinition"]["internalParameters"].get(of)


def test_each_record_of_an_attempt_names_its_node(project: Project) -> None:
    project.configure(test_command="! test -e p-b.txt")
    seed(project, task("p-a"), task("p-b"))

    result = project.run("--cobbler-generate", timeout=200)

    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "failed"}, result.outlines
    nodes = {name: result.junit[stitch(name)].properties["cobbler_nodes"] for name in ("p-a", "p-b")}
    assert set(nodes.values()) <= set(NODES)
    (landed,) = project.landed()
    assert stated_node(project, landed.commit) == nodes["p-a"]
    (record,) = [one for one in records(project) if one.get("commit") == landed.commit]
    assert record["nodes"] == [nodes["p-a"]]
    document = json.loads((project.path / f".cobbler/{project.generation}/report.json").read_text())
    assert {one["id"]: one["attempts"][0]["node"] for one in document["tasks"]} == nodes
    shown = project.run("--cobbler-show", "p-b")
    shown.stdout.fnmatch_lines([f"agent: * s, * turns* on {nodes['p-b']}"])

    project.configure(test_command="true")
    again = project.run("--cobbler-regate", timeout=200)

    assert came_to(again) == {"stitch::p-b": "landed"}, again.outlines
    assert "cobbler_nodes" not in again.junit[stitch("p-b")].properties  # no agent was asked
    assert stated_node(project, project.landed()[-1].commit) == nodes["p-b"]
    used = sorted(set(nodes.values()))
    assert (
        f"Files of this repository on nodes of slurm: {', '.join(used)}"
        in project.run("--cobbler-clean").outlines
    )
    cleaned = project.run("--cobbler-clean=nodes", "--cobbler-force")
    assert cleaned.ret == 0
    assert [re.fullmatch(r"removed (n\d): \d+\.\d MB", line)[1] for line in cleaned.outlines] == used  # type: ignore[index]


def test_gates_run_on_their_own_nodes_and_each_landing_names_its_own(project: Project) -> None:
    project.configure(gate_site=["n3"], gate_jobs=2, test_command="! test -e p-b.txt")
    seed(project, task("p-a"), task("p-b"), task("p-c"))

    result = project.run("--cobbler-generate", timeout=200)

    came = {"stitch::p-a": "landed", "stitch::p-b": "failed", "stitch::p-c": "landed"}
    assert came_to(result) == came, result.outlines
    assert check(project, result) == []
    result.stdout.fnmatch_lines(["nodes: agents work on those of Slurm; gates on n3 --mem=400"])
    for landed in project.landed():
        assert stated_node(project, landed.commit, "gateNode") == "n3"
        assert stated_node(project, landed.commit) in ("n1", "n2")
    verified = project.run("--cobbler-verify", timeout=200)
    assert verified.ret == 0, verified.outlines


@pytest.mark.matrix
def test_the_task_of_a_node_that_dies_is_done_on_another_and_never_twice_at_the_same_time(
    project: Project, cobbler_agent: StandInAgent, shared: Path, cluster: Cluster
) -> None:
    at_work = "while :; do date +%s.%N >>/shared/first; sleep 0.2; done"
    cobbler_agent.otherwise().sleeps(3)
    cobbler_agent.task("p-a", attempt=1).runs(at_work)
    cobbler_agent.task("p-a", attempt=2).runs(f"date +%s.%N >/shared/second; {WRITES_A_FILE}")
    running = project.start("--cobbler-generate", "-v")
    node = node_of(running, "p-a")
    running.wait_until((shared / "first").exists)

    cluster.kill(f"slurmd-{node}")
    result = running.wait(timeout=220)

    assert came_to(result) == {f"stitch::{name}": "landed" for name in FOUR}, result.outlines
    properties = result.junit[stitch("p-a")].properties
    (other,) = {"n1", "n2"} - {node}
    assert properties["cobbler_nodes"] == f"{node}, {other}"  # though max_attempts is 1: it was not charged
    first = [*map(float, (shared / "first").read_text().split())]
    assert max(first) < float((shared / "second").read_text())
    assert [line for line in result.outlines if line.startswith("NODE:")] == []


@pytest.mark.matrix
def test_tasks_go_on_while_the_controller_and_the_daemons_of_nodes_are_started_again(
    project: Project, cobbler_agent: StandInAgent, shared: Path, cluster: Cluster
) -> None:
    wait = 'touch "/shared/$COBBLER_TASK_ID"; while ! [ -e /shared/go ]; do sleep 0.1; done'
    cobbler_agent.otherwise().runs(wait)
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    running = project.start("--cobbler-generate", "-v")
    running.wait_until(lambda: len(list(shared.iterdir())) == 2)

    for daemon in ("slurmctld", "slurmd-n1", "slurmd-n2"):
        cluster.restart(daemon)
    (shared / "go").touch()
    result = running.wait(timeout=200)

    assert came_to(result) == {f"stitch::{name}": "landed" for name in FOUR}, result.outlines
    assert {case.properties["cobbler_attempts"] for case in result.junit.values()} == {"1"}
    assert check(project, result) == []
