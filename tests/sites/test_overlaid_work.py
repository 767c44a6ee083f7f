"""The work in an overlay outlives kills and failures, and is moved aside as plain files if that is safe."""

from __future__ import annotations

import ctypes
import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository import bases, worktrees
from pytest_cobbler.repository.bases import Base, Bases
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.harvest import HarvestError, harvest
from pytest_cobbler.sandbox import overlays
from pytest_cobbler.sandbox.base import Completed, Job, Sandbox
from pytest_cobbler.sandbox.overlays import mount_overlay, unmount_below
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from tests.support.repositories import Bench

pytestmark = pytest.mark.usefixtures("can_have_overlays")

WORK = "echo new >new; rm README.md; chmod 0 src"
CHANGED = ("README.md", "new")


@dataclass
class Noting:
    """A sandbox that notes its jobs."""

    sandbox: Sandbox
    jobs: list[Job] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.sandbox, name)

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        self.jobs.append(job)
        return self.sandbox.run(job, cancellation)


def site_of(bench: Bench) -> LocalSite:
    return LocalSite(bench.repository, bench.generation.name, bench.sandbox, large=0)


def worked(bench: Bench, script: str = WORK) -> LocalPlace:
    """A place over a shared checkout, in which a job has worked."""
    tree = bench.repository.tree_of(bench.tip)
    place = site_of(bench).open("t-1", parent=bench.tip, tree=tree, purpose={"task": "t"}, packs_early=False)
    assert place.worktree.base
    assert place.sandbox.run(Job(name="work", argv=("sh", "-euc", script), workdir=str(place.checkout))).ok
    return place


def harvested(place: LocalPlace, bench: Bench) -> tuple[str, ...]:
    """The paths that the harvest finds changed."""
    return harvest(place, bench.repository, Policy()).change.paths


def taken_back(bench: Bench) -> LocalPlace:
    """The place that was moved aside, as the next run has it."""
    site = site_of(bench)
    assert site.take_back(lambda _task: False) == {"t-1"}
    (left,) = site.leftovers()
    return left


def of_a_copy(failure: BaseException) -> Callable[[Path, Path], Path]:
    """``Path.rename``, which fails for the copy of an overlay."""
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "copy":
            raise failure
        return rename(path, target)

    return failing


def base_of(place: LocalPlace) -> Base:
    assert place.worktree.base
    return place.worktree.base


def empty(directory: Path) -> None:
    remove_tree(directory)
    directory.mkdir()


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_work_that_is_moved_aside_is_plain_files(bench: Bench) -> None:
    kept = worked(bench).keep("a reason", again=True)
    assert (kept.name, (kept / "new").read_text()) == ("tree", "new\n")
    assert sorted(path.name for path in (kept / "src").iterdir()) == ["app.py", "util.py"]
    assert not (kept / "README.md").exists()
    assert {path.name for path in kept.parent.iterdir()}.isdisjoint({"upper", "work", "copy"})
    assert harvested(taken_back(bench), bench) == CHANGED


def test_a_copy_that_cannot_be_put_in_place_costs_no_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = worked(bench)
    monkeypatch.setattr(Path, "rename", of_a_copy(OSError(errno.EIO, "the disk is broken")))
    kept = place.keep("a reason", again=True)
    monkeypatch.undo()
    assert (kept.name, (kept / "new").read_text()) == ("upper", "new\n")
    assert not (kept.parent / "copy").exists()
    assert harvested(taken_back(bench), bench) == CHANGED


def test_a_run_that_is_killed_before_the_copy_is_in_place_costs_no_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = worked(bench)
    monkeypatch.setattr(Path, "rename", of_a_copy(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        place.keep("a reason", again=True)
    monkeypatch.undo()
    (left,) = site_of(bench).leftovers()
    assert harvested(left, bench) == CHANGED


def test_a_run_that_is_killed_when_the_copy_is_in_place_costs_no_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = worked(bench)
    monkeypatch.setattr(worktrees, "write_facts", killed)
    with pytest.raises(KeyboardInterrupt):
        place.keep("a reason", again=True)
    monkeypatch.undo()
    (left,) = site_of(bench).leftovers()
    kept = left.keep("a reason", again=True)
    assert (kept.name, (kept / "new").exists(), (kept / "README.md").exists()) == ("tree", True, False)
    assert harvested(taken_back(bench), bench) == CHANGED


def test_a_mount_point_that_is_gone_is_made_again(bench: Bench) -> None:
    worked(bench).worktree.tree.rmdir()
    (left,) = site_of(bench).leftovers()
    assert harvested(left, bench) == CHANGED


def test_a_copy_has_a_limit(bench: Bench) -> None:
    noting = Noting(bench.sandbox)
    worked(replace(bench, sandbox=noting)).keep("a reason")  # type: ignore[arg-type]
    assert noting.jobs[-1].name == "keep-t-1"
    limit = noting.jobs[-1].limits.disk
    assert limit is not None
    assert limit < 100 * 1024 * 1024


@pytest.mark.parametrize("changed", ["large", "src/large"])
def test_work_with_a_huge_file_is_not_copied(bench: Bench, changed: str) -> None:
    kept = worked(bench, f"truncate -s 1T {changed}").keep("a reason")
    assert (kept.name, (kept / changed).stat().st_size) == ("upper", 1 << 40)
    assert not (kept.parent / "copy").exists()


def test_work_is_not_copied_to_a_disk_without_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    place = worked(bench)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert place.keep("a reason").name == "upper"


def test_a_base_whose_removal_was_killed_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    place = worked(bench)

    def killed_halfway(directory: Path) -> None:
        remove_tree(directory / "tree" / "src")
        raise KeyboardInterrupt

    monkeypatch.setattr(bases, "remove_tree", killed_halfway)
    with pytest.raises(KeyboardInterrupt):
        base_of(place).remove()
    monkeypatch.undo()
    (left,) = site_of(bench).leftovers()
    assert harvested(left, bench) == CHANGED


def test_a_base_without_files_is_made_again(bench: Bench) -> None:
    place = worked(bench)
    empty(base_of(place).files)
    (left,) = site_of(bench).leftovers()
    assert harvested(left, bench) == CHANGED


def test_nothing_is_harvested_over_a_base_without_files(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = worked(bench)
    empty(base_of(place).files)
    monkeypatch.setattr(Bases, "renew", lambda *_: None)
    with pytest.raises(HarvestError, match="harvest failed") as caught:
        harvested(place, bench)
    assert "the shared checkout below the worktree is gone" in caught.value.evidence


def test_an_overlay_that_cannot_be_unmounted_keeps_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [tmp_path / name / "tree" for name in ("one", "two", "three")]
    for target in targets:
        lower, upper, work = (target.parent / name for name in ("lower", "upper", "work"))
        for path in (lower, upper, work, target):
            path.mkdir(parents=True)
        mount_overlay(lower, upper, work, target)
    libc = overlays._libc()

    def umount2(place: bytes, flags: int) -> int:
        if b"/two/" in place:
            ctypes.set_errno(errno.EBUSY)
            return -1
        return int(libc.umount2(place, flags))

    with monkeypatch.context() as patched:
        patched.setattr(overlays, "_libc", lambda: SimpleNamespace(umount2=umount2))
        with pytest.raises(OSError, match="busy"):
            unmount_below(tmp_path)
    assert [target.is_mount() for target in targets] == [False, True, False]
    unmount_below(tmp_path)
