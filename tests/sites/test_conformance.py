"""What each site promises: checkout, job and harvest lie together, and jobs need no path of its machine."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import RepositoryError, SandboxError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.bases import BASES
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.harvest import HarvestError, harvest
from pytest_cobbler.repository.kept_aside import kept_aside
from pytest_cobbler.sandbox.base import Capability, Completed, Job, Limits, Network
from pytest_cobbler.sandbox.collecting import NotTaken
from pytest_cobbler.sandbox.overlays import mount_overlay
from pytest_cobbler.sandbox.site import Place, Site
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.sites.remote import RemoteSite
from tests.support.greeters import ASK, Greeter
from tests.support.nodes import Processes, remote_site
from tests.support.pods import Pods
from tests.support.repositories import Bench, files_in


@pytest.fixture(
    params=[
        "checkouts",
        "overlays",
        pytest.param("nodes", marks=pytest.mark.slow),
        pytest.param("pods", marks=[pytest.mark.slow, pytest.mark.kubernetes]),
    ]
)
def make_site(request: pytest.FixtureRequest, bench: Bench) -> Iterator[Callable[[], Site]]:
    """Makes a site, as each command does: this machine, with and without overlays, nodes or pods."""
    if request.param == "pods":
        if Capability.CONTAINMENT not in bench.sandbox.capabilities:
            pytest.skip("pods are containers")
        pods: Pods = request.getfixturevalue("pods")
        yield lambda: pods.site(bench)
        return
    if request.param == "nodes":
        contained = Capability.CONTAINMENT in bench.sandbox.capabilities
        image = request.getfixturevalue("minimal_image") if contained else ""
        channel = Processes(nodes=["n1", "n2"])
        yield lambda: remote_site(bench, image, bench.user.path.parent / "nodes", channel)
        channel.close()
        return
    if request.param == "overlays":
        request.getfixturevalue("can_have_overlays")
    large = 0 if request.param == "overlays" else None
    yield lambda: LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=large)


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    return make_site()


def has_pods(site: Site) -> bool:
    """Whether the files of a place end with the session that made it."""
    return isinstance(site, RemoteSite) and site.archives is not None


def local(path: Path) -> Path:
    """A path of a site on this machine, without the name of its node."""
    return Path(str(path).rpartition(":")[2])


def opened(site: Site, bench: Bench, name: str = "t-1") -> Place:
    purpose = {"task": "t", "number": "1"}
    return site.open(name, parent=bench.tip, tree=bench.repository.tree_of(bench.tip), purpose=purpose)


def output(place: Place, script: str) -> str:
    """What a job in the place prints."""
    with tempfile.TemporaryFile() as printed:
        job = Job(name="work", argv=("sh", "-euc", script), workdir=str(place.checkout), stdout=printed)
        completed = place.sandbox.run(job)
        assert completed.ok, completed.stderr
        printed.seek(0)
        return printed.read().decode()


def ran(place: Place, script: str, cancellation: Cancellation | None = None, **more: Any) -> Completed:
    """How a job in the place ended."""
    limits = more.pop("limits", Limits(wall=60))
    job = Job(name="work", argv=("sh", "-euc", script), workdir=str(place.checkout), limits=limits, **more)
    return place.sandbox.run(job, cancellation)


def test_a_job_sees_the_files_of_its_place_without_a_mount(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    script = "cat README.md; git status --porcelain; ls -d ../output ../home"
    assert output(place, script) == "# Project\n../home\n../output\n"
    assert place.tree_id == bench.repository.tree_of(bench.tip)


def test_the_files_of_a_place_become_a_tree_of_the_repository(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    output(place, "echo new >new; rm src/util.py")
    harvested = harvest(place, bench.repository, Policy())
    files = files_in(bench.repository, harvested.tree)
    assert (files["new"], "src/util.py" in files, harvested.parent) == (b"new\n", False, bench.tip)
    place.remove()
    assert bench.repository.list_refs("refs/cobbler/pins") == {}
    assert not place.has_files


def test_a_job_reads_a_file_that_it_is_given_and_cannot_change_it(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    path = place.put("instructions.md", b"Read this.\n")
    assert output(place, f"cat {path}") == "Read this.\n"
    place.put("skills/1/SKILL.md", b"Ship it.\n")
    script = place.put("skills/1/run.sh", b"#!/bin/sh\necho shipped\n")
    assert output(place, f"{script}; cat {script.parent}/SKILL.md") == "shipped\nShip it.\n"
    if Capability.READ_ONLY in place.sandbox.capabilities:
        for given in (path, script):
            assert output(place, f"(echo x >{given}) 2>/dev/null || echo refused") == "refused\n"


def test_a_file_is_taken_from_the_output_and_the_home(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    output(place, f"echo 1 >{place.output}/one; mkdir {place.home}/deep; echo 2 >{place.home}/deep/two")
    assert place.take("output/one", 10) == b"1\n"
    assert place.take("home/deep/two", 10) == b"2\n"
    with pytest.raises(NotTaken, match="is larger than") as caught:
        place.take("output/one", 1)
    assert not caught.value.is_missing


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("ln -s /etc/passwd x", "cannot be read"),
        ("mkfifo x", "is not a regular file"),
        ("mkdir x", "is not a regular file"),
        (":", "is missing"),
    ],
)
def test_only_a_regular_file_is_taken(site: Site, bench: Bench, script: str, why: str) -> None:
    place = opened(site, bench)
    output(place, f"cd {place.output}; {script}")
    with pytest.raises(NotTaken, match=why) as caught:
        place.take("output/x", 10)
    assert caught.value.is_missing == (script == ":")


def test_no_file_beside_the_place_is_taken(site: Site, bench: Bench) -> None:
    with pytest.raises(NotTaken):
        opened(site, bench).take("home/../worktree.json", 1000)


def test_a_home_is_renewed_with_notes_that_outlive_a_kill(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    output(place, f"echo old >{place.home}/old")
    place.renew_home({"session": "1"}, {"deep/new": b"new\n"})
    assert output(place, f"cd {place.home}; find . -type f; cat deep/new") == "./deep/new\nnew\n"
    if has_pods(site):  # they end with their session
        assert list(site.leftovers()) == []
        return
    (left,) = site.leftovers()
    assert left.purpose == {"task": "t", "number": "1", "session": "1"}


def test_what_a_dead_run_left_can_be_harvested(make_site: Callable[[], Site], bench: Bench) -> None:
    output(opened(make_site(), bench), "echo new >new")
    again = make_site()
    again.sweep()
    if has_pods(again):
        assert list(again.leftovers()) == []
        return
    (left,) = again.leftovers()
    harvested = harvest(left, bench.repository, Policy())
    assert files_in(bench.repository, harvested.tree)["new"] == b"new\n"


@pytest.mark.usefixtures("can_have_overlays")
def test_work_over_a_checkout_that_is_gone_can_be_harvested(bench: Bench) -> None:
    site = LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=0)
    place = site.open(
        "t-1",
        parent=bench.tip,
        tree=bench.repository.tree_of(bench.tip),
        purpose={"task": "t"},
        packs_early=False,
    )
    output(place, "echo new >new; rm README.md")
    site.close()
    bases = bench.repository.work_dir / BASES
    assert [path.name for path in bases.iterdir()] == [place.tree_id]  # a worktree lies over it
    remove_tree(bases)
    again = LocalSite(bench.repository, bench.generation.name, bench.sandbox)
    (left,) = again.leftovers()
    assert harvest(left, bench.repository, Policy()).change.paths == ("README.md", "new")
    left.remove()
    again.close()
    assert not bases.exists()


def test_a_shared_checkout_that_is_deleted_is_made_again(site: Site, bench: Bench) -> None:
    opened(site, bench).remove()
    remove_tree(bench.repository.work_dir / BASES)
    assert output(opened(site, bench, "t-2"), "cat README.md") == "# Project\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_the_overlay_of_a_run_that_was_killed_is_unmounted(host_bench: Bench) -> None:
    bench = host_bench
    site = LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=0)
    place = site.open(
        "t-1", parent=bench.tip, tree=bench.repository.tree_of(bench.tip), purpose={"task": "t"}
    )
    tree = place.worktree
    assert tree.base
    mount_overlay(tree.base.files, tree.upper, tree.work, tree.tree, redirects=False)
    (tree.tree / "new").write_text("new\n")
    again = LocalSite(bench.repository, bench.generation.name, bench.sandbox)
    again.leftovers()
    assert tree.tree.is_mount()  # a job of that run may write through it until it is ended
    again.sweep()
    assert not tree.tree.is_mount()
    (left,) = again.leftovers()
    assert harvest(left, bench.repository, Policy()).change.paths == ("new",)
    mount_overlay(tree.base.files, tree.upper, tree.work, tree.tree, redirects=False)
    left.remove()
    assert not tree.directory.exists()
    assert (tree.base.files / "README.md").is_file()


def test_a_place_that_is_kept_aside_comes_back_to_be_harvested_again(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    kept = place.keep("the disk is full", again=True)
    if has_pods(site):
        with tarfile.open(kept) as archive:
            assert {"tree/README.md", "git/HEAD"} <= set(archive.getnames())
        (aside,) = kept_aside(bench.repository)
        assert (aside.path, aside.task, aside.why) == (kept.parent, "t", "the disk is full")
        assert (site.leftovers(), site.take_back(lambda _task: False)) == ([], set())
        return
    assert (local(kept) / "README.md").is_file()
    assert site.leftovers() == []
    assert site.take_back(lambda _task: True) == set()
    assert site.take_back(lambda _task: False) == {"t-1"}
    assert [left.name for left in site.leftovers()] == ["t-1"]


def test_what_a_job_reads_and_prints_is_carried_whole(site: Site, bench: Bench) -> None:
    place, content, lines = opened(site, bench), os.urandom(3_000_000), list[bytes]()
    with tempfile.TemporaryFile() as printed:
        completed = ran(
            place,
            'cat; printf "%s %s\\n" "$A" "$B" >&2; exit 7',
            stdin=content,
            stdout=printed,
            environment={"A": "a"},
            secrets={"B": "b"},
            on_error_line=lines.append,
        )
        printed.seek(0)
        assert printed.read() == content
    assert (completed.status, completed.cause, completed.stderr) == (7, Ending.EXITED, "a b\n")
    assert lines == [b"a b"]


def test_a_line_arrives_while_its_job_works_and_a_cancellation_ends_it(site: Site, bench: Bench) -> None:
    place, cancellation = opened(site, bench), Cancellation()
    script = "echo new >new; echo begun; sleep 600"
    completed = ran(place, script, cancellation, on_line=lambda _line: cancellation.cancel())
    assert completed.cause == Ending.CANCELLED
    assert harvest(place, bench.repository, Policy()).change.paths == ("new",)


def test_a_job_ends_at_its_limit_of_time(site: Site, bench: Bench) -> None:
    completed = ran(opened(site, bench), "sleep 600", limits=Limits(wall=1))
    assert completed.cause == Ending.TIMEOUT


def test_an_output_that_cannot_be_taken_ends_the_job(site: Site, bench: Bench) -> None:
    class Full:
        def write(self, _data: bytes) -> None:
            raise OSError("the disk is full")

    place = opened(site, bench)
    with pytest.raises(OSError, match="the disk is full"):
        ran(place, "echo line; sleep 600", stdout=Full())
    assert place.has_files


def test_a_job_reaches_the_service_on_its_loopback_and_nothing_else(site: Site, bench: Bench) -> None:
    place, greeter, lines = opened(site, bench), Greeter(), list[bytes]()
    if Capability.LOOPBACK not in bench.sandbox.capabilities:
        with pytest.raises(SandboxError, match="no loopback of their own"):
            ran(place, "true", network=greeter.network)
        return
    assert ran(place, ASK, network=greeter.network, on_line=lines.append).ok
    assert lines == [b"hello from the host"]
    assert greeter.ended
    assert not ran(place, ASK, network=Network.NONE).ok


def test_a_place_without_files_is_never_a_place_without_a_change(site: Site, bench: Bench) -> None:
    place = opened(site, bench)
    place.remove()
    with pytest.raises(HarvestError, match="is gone"):
        harvest(place, bench.repository, Policy())


def test_a_name_has_one_place(site: Site, bench: Bench) -> None:
    opened(site, bench)
    with pytest.raises(RepositoryError, match="File exists"):
        opened(site, bench)
