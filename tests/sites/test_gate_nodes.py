"""Gates on nodes: the tree that is tested, what travels, and nodes that are lost or have other files."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import SandboxError
from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecords
from pytest_cobbler.languages.base import Step
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Job, Mount, Network
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sites.gate_nodes import GateNodes
from tests.support.nodes import Processes, Wire, remote_site
from tests.support.repositories import Bench, commit_files


class Gates:
    """A gate on nodes that are processes of this machine."""

    def __init__(self, bench: Bench, directory: Path, image: str = "", most: int = 1) -> None:
        self._directory = directory
        self.bench = bench
        self.channel = Processes()
        site = remote_site(bench, image, directory / "nodes", self.channel)
        self.nodes = GateNodes(bench.repository, site, ("n1", "n2"), most)
        self.gate = Gate(
            steps=(),
            sandbox=HostSandbox(repository=uuid.uuid4().hex, run_id="here"),
            network=Network.NONE,
            image=None,
            timeout=60,
            environment={},
        )

    def tree(self, **files: str) -> str:
        return self.tree_of(files)

    def tree_of(self, files: Mapping[str, str], modes: Mapping[str, str] | None = None) -> str:
        commit = commit_files(self.bench.repository, self.bench.tip, files, modes=modes)
        return self.bench.repository.tree_of(commit)

    def run(self, tree: str, script: str) -> GateResult:
        steps = (Step(name="test", argv=("sh", "-c", script), shown=script),)
        records = TreeRecords(self._directory / "records")
        gate = TreeGate(gate=replace(self.gate, steps=steps), places=self.nodes, records=records)
        result, record = gate.record(tree, self._directory / "gate.log", Cancellation())
        assert record is None or record.node == result.node
        return result

    @property
    def last(self) -> Wire:
        return self.channel.streams[-1][0]

    def close(self) -> None:
        self.nodes.remove()
        self.channel.close()


@pytest.fixture
def gates(host_bench: Bench) -> Iterator[Gates]:
    gates = Gates(host_bench, host_bench.user.path.parent)
    yield gates
    gates.close()


def test_a_gate_on_a_node_has_exactly_its_tree_and_only_what_is_new_travels(gates: Gates) -> None:
    one = gates.tree_of({f"file-{number}": "x" * 40 * number for number in range(50)})
    two = gates.tree_of({f"file-{number}": "x" * 40 * number for number in range(50)} | {"other": "new"})

    first = gates.run(one, "ls | grep -c file-; test ! -e other; echo left >left")
    assert (first.passed, first.node) == (True, "n1"), first.output
    sent = gates.last.sent
    second = gates.run(two, "cat other; test ! -e left")

    assert (second.passed, second.node) == (True, "n1")  # the same session goes on
    assert "new" in second.output
    assert gates.last.sent - sent < 8_000
    assert len(gates.channel.streams) == 1


def test_a_red_gate_on_a_node_names_its_step_and_its_status(gates: Gates) -> None:
    result = gates.run(gates.tree(a="a"), "echo what is wrong; exit 3")
    assert (result.failed, result.status, result.cause) == ("test", 3, Ending.EXITED)
    assert "what is wrong" in result.output


def test_gates_beside_each_other_are_on_different_nodes(host_bench: Bench) -> None:
    gates = Gates(host_bench, host_bench.user.path.parent, most=2)
    meet = host_bench.user.path.parent / "meet"
    meet.mkdir()
    script = f"touch {meet}/$$; while [ $(ls {meet} | wc -l) -lt 2 ]; do sleep 0.05; done"
    results: list[GateResult] = []

    def work(tree: str) -> None:
        results.append(gates.run(tree, script))

    threads = [threading.Thread(target=work, args=(gates.tree(a=name),)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gates.close()

    assert [one.passed for one in results] == [True, True], results
    assert {one.node for one in results} == {"n1", "n2"}


def test_files_that_are_not_those_of_the_tree_are_noticed_before_the_gate_runs(
    gates: Gates, tmp_path: Path
) -> None:
    tree = gates.tree(a="right")
    assert gates.run(tree, "true").passed
    (written,) = tmp_path.glob("**/gate/*/tree/a")
    written.write_text("wrong")

    with pytest.raises(SandboxError, match=r"node n1 has the files of the tree [0-9a-f]+, and not those of"):
        gates.run(tree, "true")


def test_a_tree_with_ends_of_lines_that_its_attributes_do_not_fit_is_tested(
    gates: Gates, tmp_path: Path
) -> None:
    tree = gates.tree_of({".gitattributes": "* text eol=lf\n", "dos": "one\r\ntwo\r\n", "unix": "one\n"})
    assert gates.run(tree, "grep -c . dos").passed
    (written,) = tmp_path.glob("**/gate/*/tree/dos")
    written.write_text("one\ntwo\n")
    with pytest.raises(SandboxError, match="has the files of the tree"):
        gates.run(tree, "true")


def test_a_tree_with_a_submodule_a_link_and_a_program_is_tested(gates: Gates) -> None:
    modes = {"module": "160000", "link": "120000", "program": "100755"}
    files = {"module": gates.bench.tip, "link": "program", "program": "#!/bin/sh\nexit 0\n"}
    tree = gates.tree_of(files, modes)
    result = gates.run(tree, "test -d module && test -L link && ./link")
    assert result.passed, result.output


def cut_off(wire: Wire) -> None:
    wire.is_deaf = True


def end(wire: Wire) -> None:
    os.killpg(wire.process, signal.SIGKILL)


@pytest.mark.parametrize("lose", [cut_off, end])
def test_a_gate_whose_node_is_lost_runs_again_on_another_one(
    gates: Gates, tmp_path: Path, lose: Callable[[Wire], None]
) -> None:
    tree, began = gates.tree(a="a"), tmp_path / "began"
    results: list[GateResult] = []
    script = f"if [ -e {began} ]; then exit 0; fi; touch {began}; sleep 600"
    thread = threading.Thread(target=lambda: results.append(gates.run(tree, script)))
    thread.start()
    while not began.exists():
        assert thread.is_alive()
        threading.Event().wait(0.05)
    lose(gates.last)
    thread.join()
    assert [(one.passed, one.node) for one in results] == [(True, "n2")]


def test_a_node_that_does_not_start_leaves_its_gates_to_the_others(gates: Gates) -> None:
    gates.channel.down.add("n1")
    assert gates.run(gates.tree(a="a"), "true").node == "n2"
    gates.channel.down.add("n2")
    gates.nodes.remove()
    with pytest.raises(SandboxError, match="the node's half did not start"):
        gates.run(gates.tree(a="b"), "true")


def test_each_node_is_tried_and_the_one_that_cannot_run_a_gate_is_named(gates: Gates) -> None:
    gates.nodes.check()
    gates.channel.down.add("n2")
    with pytest.raises(SandboxError, match="gate_site: node n2 cannot run a gate: the node's half did not"):
        gates.nodes.check()


def test_a_gate_that_needs_a_file_of_the_coordinator_is_refused(gates: Gates, tmp_path: Path) -> None:
    with gates.nodes.on(gates.tree(a="a"), Cancellation()) as place:
        job = Job(name="gate", argv=("true",), workdir="/", mounts=(Mount(source=tmp_path, target="/more"),))
        with pytest.raises(SandboxError, match=r"the gate needs .* of this machine, and runs on another one"):
            place.sandbox.run(job, Cancellation())


def test_the_checkouts_of_dead_runs_are_removed_from_a_node(gates: Gates, tmp_path: Path) -> None:
    assert gates.run(gates.tree(a="a"), "true").passed
    (written,) = tmp_path.glob("**/gate/*/tree")
    dead = written.parent.parent / "dead0run-17"
    dead.mkdir()
    gates.nodes.remove()

    assert gates.run(gates.tree(a="b"), "true").passed

    assert not dead.exists()
    assert not written.exists()


@pytest.mark.podman
@pytest.mark.slow
def test_a_gate_in_a_container_of_a_node_finds_python_and_may_write_its_files(
    host_bench: Bench, python_image: str
) -> None:
    gates = Gates(host_bench, host_bench.user.path.parent, python_image)
    result = gates.run(gates.tree(a="a"), "python --version && echo other >a && cat a")
    engine = gates.nodes.engine(None)
    gates.close()
    assert result.passed, result.output
    assert "Python 3" in result.output
    assert "other" in result.output
    assert engine.image.startswith("sha256:")
