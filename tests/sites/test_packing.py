"""The harvest in the container of the agent gives what a harvest in a container of its own gives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import Harvest, HarvestError, harvest
from pytest_cobbler.sandbox.base import Completed, Job, Network, Sandbox
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from tests.support.jobs import shell
from tests.support.repositories import Bench, UserRepository, files_in

WORK = "echo new >new; rm src/util.py; git stash push -qu; echo newer >newer; echo changed >README.md"

ATTACKS = {
    "nothing": ":",
    "its configuration": r"""
        mkdir -p "$HOME/.config/git"
        printf '*\n' >"$HOME/.config/git/ignore"
        printf '* text eol=crlf ident filter=x\n' >"$HOME/.config/git/attributes"
        printf '[core]\n excludesFile = %s\n[filter "x"]\n clean = echo forged\n' \
          "$HOME/.config/git/ignore" >"$HOME/.gitconfig"
        cp "$HOME/.gitconfig" "$HOME/.config/git/config"
        git config filter.x.clean 'echo forged'
        git config core.fsmonitor 'echo forged'
        """,
    "programs": r"""
        mkdir /tmp/bin
        for name in git sh find xargs sed cat; do
          printf '#!/bin/bash\nexit 0\n' >/tmp/bin/$name
          chmod 755 /tmp/bin/$name
        done
        """,
    "processes": r"""
        for one in 1 2 3 4; do
          (trap '' TERM HUP; setsid bash -c 'while :; do echo late | tee late >newer; done' &) </dev/null
        done
        """,
    "a full disk": r"""
        for place in /tmp /var/tmp /dev/shm /cobbler/shell; do
          dd if=/dev/zero of=$place/full bs=65536 count=2000 2>/dev/null || :
        done
        """,
    "its git": 'touch "$TREE/../git/index.lock" "$TREE/../git/HEAD.lock"; echo x >"$TREE/../git/config"',
    "the directories of the harvest": r"""
        chmod 777 "$TREE/../harvest" "$TREE/../checkouts" || :
        for place in harvest checkouts; do
          mkdir "$TREE/../$place/0" && echo x >"$TREE/../$place/0/planted" || :
        done
        """,
}


@dataclass
class Counting:
    """A sandbox that notes the names of its jobs, and changes what they are followed by."""

    sandbox: Sandbox
    jobs: list[str] = field(default_factory=list)
    program: str = ""
    """What a job is followed by instead."""

    def __getattr__(self, name: str) -> object:
        return getattr(self.sandbox, name)

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        self.jobs.append(job.name)
        if job.afterwards and self.program:
            job = replace(job, afterwards=replace(job.afterwards, argv=("sh", "-c", self.program)))
        return self.sandbox.run(job, cancellation)


@pytest.fixture
def jobs(podman: Sandbox) -> Counting:
    return Counting(podman)


@pytest.fixture
def bench(user: UserRepository, jobs: Counting) -> Bench:
    return Bench(user, user.open(), user.start(), jobs)  # type: ignore[arg-type]


def opened(bench: Bench, *, alone: bool = False, packs_early: bool = True) -> LocalPlace:
    site = LocalSite(bench.repository, bench.generation.name, bench.sandbox, alone=alone)
    tree = bench.repository.tree_of(bench.tip)
    purpose = {"task": "t", "number": "1"}
    return site.open("t-1", parent=bench.tip, tree=tree, purpose=purpose, packs_early=packs_early)


def work(place: LocalPlace, script: str, **more: Any) -> Completed:
    """Let a script work in a place as an agent does."""
    job = Job(
        name="agent",
        argv=("bash", "-c", script),
        workdir=str(place.checkout),
        environment={"TREE": str(place.checkout), "PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null"},
        arguments=("--env=PATH=/tmp/bin:/usr/bin:/bin", "--env=XDG_CONFIG_HOME=/tmp/home/.config"),
    )
    return place.sandbox.run(replace(job, **more))


def taken(place: LocalPlace, bench: Bench) -> Harvest:
    return harvest(place, bench.repository, Policy())


def anew(place: LocalPlace, bench: Bench) -> Harvest:
    """The harvest of the same files in a container of its own."""
    site = LocalSite(bench.repository, bench.generation.name, bench.sandbox)
    return taken(site.place(place.worktree), bench)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_an_agent_leaves_in_its_container_changes_no_harvest(
    bench: Bench, jobs: Counting, attack: str
) -> None:
    place = opened(bench)
    work(place, f"{WORK}; {{ {ATTACKS[attack]}\n}} 2>/dev/null")
    harvested = taken(place, bench)
    assert jobs.jobs == ["agent"]
    files = files_in(bench.repository, harvested.tree)
    if attack != "processes":
        assert (files["newer"], files["README.md"]) == (b"newer\n", b"changed\n")
        assert [work.name.partition(" ")[0] for work in harvested.left] == ["stash"]
    again = anew(place, bench)
    assert jobs.jobs == ["agent", "harvest-t-1"]
    assert (again.tree, again.left, again.removed) == (harvested.tree, harvested.left, ())
    assert files_in(bench.repository, again.tree)["newer"] == files["newer"]


def test_an_agent_that_is_ended_costs_one_container(bench: Bench, jobs: Counting) -> None:
    place = opened(bench)
    cancellation = Cancellation()
    job = shell(
        "echo new >new; echo; sleep 60",
        workdir=str(place.checkout),
        on_line=lambda _line: cancellation.cancel(),
    )
    completed = place.sandbox.run(job, cancellation)
    files = files_in(bench.repository, taken(place, bench).tree)
    assert (completed.cause, files["new"], jobs.jobs) == ("cancelled", b"new\n", ["test"])


def test_a_checkout_of_its_git_is_moved_and_kept(bench: Bench, jobs: Counting) -> None:
    place = opened(bench)
    work(place, "git worktree add -q other; echo work >other/work")
    harvested = taken(place, bench)
    assert (harvested.checkouts, len(harvested.left), jobs.jobs) == (("other",), 1, ["agent"])


@pytest.mark.parametrize(
    ("network", "alone"),
    [(Network.OPEN, False), (Network.NONE, True)],
    ids=["an open network", "no objects"],
)
def test_a_harvest_has_a_container_of_its_own_after(
    bench: Bench, jobs: Counting, network: Network, alone: bool
) -> None:
    place = opened(bench, alone=alone)
    work(place, "echo new >new", network=network)
    assert "new" in files_in(bench.repository, taken(place, bench).tree)
    assert jobs.jobs == ["agent", "harvest-t-1"]


def test_a_place_whose_files_are_not_wanted_is_not_harvested(bench: Bench, jobs: Counting) -> None:
    place = opened(bench, packs_early=False)
    jobs.program = "exit 1"
    work(place, "echo new >new")
    assert not (place.worktree.directory / "pack").exists()


def test_other_directories_to_leave_out_need_another_harvest(bench: Bench, jobs: Counting) -> None:
    place = opened(bench)
    work(place, "mkdir bin; echo new >bin/new")
    assert taken(place, bench).change.paths == ("bin/new",)
    assert harvest(place, bench.repository, Policy(left_out=("bin",))).change.paths == ()
    assert jobs.jobs == ["agent", "harvest-t-1"]


@pytest.mark.parametrize("program", ["exit 1", "printf 'tree x'; sleep 1; kill -KILL 1 $$"])
def test_a_harvest_that_fails_there_is_made_in_a_container_of_its_own(
    bench: Bench, jobs: Counting, program: str
) -> None:
    place, jobs.program = opened(bench), program
    work(place, "echo new >new")
    assert files_in(bench.repository, taken(place, bench).tree)["new"] == b"new\n"
    assert jobs.jobs == ["agent", "harvest-t-1"]


def test_the_work_of_an_earlier_job_is_not_that_of_a_later_one(bench: Bench) -> None:
    place = opened(bench)
    work(place, "echo old >new")
    work(place, "echo new >new", network=Network.OPEN)
    assert files_in(bench.repository, taken(place, bench).tree)["new"] == b"new\n"


def test_checkouts_that_a_broken_harvest_has_moved_are_not_lost(bench: Bench, jobs: Counting) -> None:
    place = opened(bench)
    jobs.program = f"mv {place.checkout}/other {place.worktree.seen(place.worktree.checkouts)}/0; exit 1"
    work(place, "mkdir other; echo work >other/work")
    assert taken(place, bench).unread == "an earlier harvest has moved checkouts"
    assert (place.worktree.checkouts / "0" / "work").read_text() == "work\n"


def test_a_file_that_is_too_large_is_named(bench: Bench, jobs: Counting) -> None:
    place = opened(bench)
    work(place, "truncate -s 60M large")
    with pytest.raises(HarvestError, match="larger than 50 MiB: large"):
        taken(place, bench)
    assert jobs.jobs == ["agent", "harvest-t-1"]
