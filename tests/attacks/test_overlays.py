"""Attacks of an agent whose files are an overlay, on its layers and on how its work is found there."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.sandbox.base import Job
from pytest_cobbler.sandbox.podman import PodmanSandbox
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from tests.support.attacked import Altered
from tests.support.bench_fixtures import can_have_overlays, host, host_bench, minimal_image, podman
from tests.support.repositories import Bench, UserRepository, commit_files, files_in
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user

__all__ = [
    "can_have_overlays",
    "host",
    "host_bench",
    "minimal_image",
    "no_git_of_ours",
    "podman",
    "template",
    "tmp_path",
    "user",
]

PROGRAM = resources.files("pytest_cobbler") / "data" / "attacks" / f"call-{platform.machine()}"
"""Makes system calls by their numbers, which are those of x86-64."""

ATTACKS = """
exec 2>/dev/null
try() { what=$1; shift; if "$@" >/dev/null; then echo "$what"; fi; }
write() { echo attack >"$1"; }
base=../base upper=../upper
test -f $base/README.md && test -f $upper/.git || echo "there is nothing to attack"
try "a file of the base was written" write $base/README.md
try "a file came into the base" write $base/new
try "a file of the base was removed" rm -f $base/README.md
try "the mode of a file of the base was changed" chmod 777 $base/src/app.py
try "a file came into the upper directory" write $upper/new
try "a file of the base has a link" ln $base/src/app.py linked
try "a file of the upper directory has a link" ln $upper/.git linked
try "the directory of the kernel was found" test -e ../work
if ./call 39 >/dev/null; then
  try "a whiteout was made" ./call 133 src/whiteout 8192 0
  try "a whiteout was made in the upper directory" ./call 133 $upper/whiteout 8192 0
  for name in opaque redirect metacopy whiteout origin; do
    try "the attribute $name was set" ./call 188 src trusted.overlay.$name y 1 0
    # Those of a user's overlay: a kernel may let them be set, as others than its own.
    ./call 188 src user.overlay.$name y 1 0 >/dev/null
  done
  try "a directory of the base was renamed" ./call 82 src moved
  try "a lower file was linked to" ./call 86 src/app.py ../output/linked
fi
rm -f call src/util.py
echo work >work
ln -f work src/app.py
"""
"""Each line of the output is an attack that got through. At the end there is honest work."""


def place_over_a_base(bench: Bench) -> LocalPlace:
    site = LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=0)
    tree = bench.repository.tree_of(bench.tip)
    place = site.open("t-1", parent=bench.tip, tree=tree, purpose={"task": "t"})
    assert place.worktree.base
    if PROGRAM.is_file():
        program = place.worktree.upper / "call"
        program.write_bytes(PROGRAM.read_bytes())
        program.chmod(0o755)
        if bench.sandbox.owner:
            os.chown(program, *bench.sandbox.owner)
    return place


def attacked(place: LocalPlace) -> list[str]:
    """The attacks that got through."""
    lines: list[bytes] = []
    job = Job(name="attack", argv=("sh", "-c", ATTACKS), workdir=str(place.checkout), on_line=lines.append)
    assert place.sandbox.run(job).ok
    return [line.decode() for line in lines]


@pytest.fixture
def bench(user: UserRepository, podman: PodmanSandbox) -> Bench:
    return Bench(user, user.open(), user.start(), podman)


@pytest.mark.usefixtures("can_have_overlays")
def test_attacks_on_the_layers_of_an_overlay_are_held(bench: Bench) -> None:
    place = place_over_a_base(bench)
    assert attacked(place) == []
    found = harvest(place, bench.repository, Policy())
    assert found.change.paths == ("src/app.py", "src/util.py", "work")
    assert files_in(bench.repository, found.tree)["src/app.py"] == b"work\n"
    base = place.worktree.base
    assert base
    expected = files_in(bench.repository, base.tree_id)
    assert {
        str(path.relative_to(base.files)): path.read_bytes()
        for path in base.files.rglob("*")
        if path.is_file()
    } == expected


@pytest.mark.usefixtures("can_have_overlays")
def test_attacks_on_layers_that_are_writable_get_through(bench: Bench) -> None:
    def opened(job: Job) -> Job:
        more = job.afterwards
        return replace(
            job,
            afterwards=more and replace(more, mounts=tuple(replace(one, mode="rw") for one in more.mounts)),
        )

    place = place_over_a_base(replace(bench, sandbox=Altered(bench.sandbox, job=opened)))
    assert set(attacked(place)) >= {
        "a file of the base was written",
        "a file came into the base",
        "a file came into the upper directory",
        "a file of the base was removed",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_the_host_follows_no_link_of_a_tree_that_is_laid_over_a_base(
    host_bench: Bench, tmp_path: Path
) -> None:
    bench = host_bench
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept\n")
    git = bench.repository
    link = str(outside)
    one = commit_files(
        git,
        bench.tip,
        {"d/file": "d\n", "d/e/file": "e\n", "l": link, "f": "f\n"},
        modes={"l": "120000"},
    )
    two = commit_files(
        git,
        one,
        {"d/file": None, "d/e/file": None, "d": link, "l": None, "l/file": "x\n", "f": link},
        modes={"d": "120000", "f": "120000"},
    )
    site = LocalSite(git, bench.generation.name, bench.sandbox, large=0)
    first, second = (
        site.open(f"t-{commit}", parent=commit, tree=git.tree_of(commit), purpose={"task": "t"})
        for commit in (one, two)
    )
    assert second.worktree.base == first.worktree.base
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"file": "kept\n"}
    lines: list[bytes] = []
    script = "readlink d f; cat l/file; find . -type f ! -name .git"
    job = Job(name="work", argv=("sh", "-c", script), workdir=str(second.checkout), on_line=lines.append)
    assert second.sandbox.run(job).ok
    assert [line.decode() for line in lines[:3]] == [link, link, "x"]
    assert {line.decode()[2:] for line in lines[3:]} == {
        path for path in files_in(git, git.tree_of(two)) if path not in ("d", "f")
    }
