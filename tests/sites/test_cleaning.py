"""The removal of what nodes keep of a repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.sites.cleaning import clean_node, files_on, forget_node
from pytest_cobbler.sites.remote import RemoteSite
from pytest_cobbler.sites.used import UsedNodes
from tests.support.nodes import Processes, remote_site
from tests.support.repositories import Bench


@pytest.fixture
def channel() -> Iterator[Processes]:
    channel = Processes(nodes=("n1", "n2"))
    yield channel
    channel.close()


@pytest.fixture
def directory(host_bench: Bench) -> Path:
    return host_bench.user.path.parent / "nodes"


@pytest.fixture
def site(host_bench: Bench, channel: Processes, directory: Path) -> RemoteSite:
    """Nodes of which the first has had a place, and the second has one."""
    site = remote_site(host_bench, "", directory, channel)
    tree = host_bench.repository.tree_of(host_bench.tip)
    for name in ("t-1", "t-2"):
        purpose = {"task": name, "number": "1"}
        place = site.open(name, parent=host_bench.tip, tree=tree, purpose=purpose)
        if name == "t-1":
            place.remove()
    assert place.sandbox.run(Job(name="work", argv=("true",), workdir=str(place.checkout))).ok
    channel.close()
    return site


def test_what_nodes_keep_is_removed_and_work_only_by_name(
    site: RemoteSite, host_bench: Bench, directory: Path
) -> None:
    repository, work = host_bench.repository, f"{host_bench.generation.name}/t-2"
    assert UsedNodes(repository).all() == {"slurm": ["n1", "n2"]}
    held = {node: files_on(site, node) for node in ("n1", "n2")}
    assert [one.works for one in held.values()] == [(), (work,)]
    assert all(one.megabytes > 0 for one in held.values())

    cleaned = [clean_node(site, node, everything=False) for node in ("n1", "n2")]

    assert [one.works for one in cleaned] == [(), (work,)]
    assert [path.name for path in (directory / "n1").iterdir()] == ["code"]
    assert len(list((directory / "n2").iterdir())) == 2
    assert clean_node(site, "n2", everything=True).works == (work,)
    assert [path.name for path in (directory / "n2").iterdir()] == ["code"]
    assert forget_node(repository, "slurm", "n2") == [work]
    assert (site.records.all(), repository.list_refs("refs/cobbler/pins")) == ([], {})


def test_a_node_that_does_not_answer_keeps_its_files(
    site: RemoteSite, channel: Processes, directory: Path
) -> None:
    channel.down.add("n1")
    assert clean_node(site, "n1", everything=True).silence == "the node's half did not start"
    assert len(list((directory / "n1").iterdir())) == 2


def test_code_that_no_run_has_used_for_a_day_goes(site: RemoteSite, directory: Path) -> None:
    (used,) = (directory / "n1" / "code").iterdir()
    for name in ("old", "new"):
        used.with_name(name).mkdir()
    os.utime(used.with_name("old"), (0, 0))
    os.utime(used, (0, 0))
    clean_node(site, "n1", everything=False)
    assert sorted(path.name for path in used.parent.iterdir()) == sorted(["new", used.name])
