"""The shared checkouts below worktrees: which trees lie over one, and which stay at the end of a run."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest

from pytest_cobbler.repository.bases import BASES, Bases
from pytest_cobbler.sites import local
from pytest_cobbler.sites.local import LocalPlace, LocalSite
from tests.support.repositories import Bench, commit_files

OTHER = "1" * 40
"""The tree of a base that no worktree lies over."""


@pytest.fixture
def site(host_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> LocalSite:
    """A site whose worktrees lie over bases, as if this machine had overlays."""
    monkeypatch.setattr(local, "can_overlay", lambda *_: True)
    return LocalSite(host_bench.repository, host_bench.generation.name, host_bench.sandbox, large=0)


def opened(site: LocalSite, bench: Bench) -> LocalPlace:
    place = site.open(
        "t-1", parent=bench.tip, tree=bench.repository.tree_of(bench.tip), purpose={"task": "t"}
    )
    (bench.repository.work_dir / BASES / OTHER).mkdir()
    return place


def bases_after(site: LocalSite, bench: Bench) -> list[str]:
    """The bases that stay when the site is closed."""
    site.close()
    return [path.name for path in (bench.repository.work_dir / BASES).glob("*")]


def test_a_base_stays_while_a_place_lies_over_it(site: LocalSite, host_bench: Bench) -> None:
    place = opened(site, host_bench)
    assert bases_after(site, host_bench) == [place.tree_id]
    place.remove()
    assert bases_after(site, host_bench) == []


def test_the_base_of_a_place_that_was_moved_aside_stays(site: LocalSite, host_bench: Bench) -> None:
    place = opened(site, host_bench)
    site.worktrees.keep(place.worktree, "a reason")
    site.release_pins()
    assert bases_after(site, host_bench) == [place.tree_id]
    assert host_bench.repository.resolve(f"{place.tree_id}^{{tree}}")


def test_a_base_whose_tree_git_has_removed_is_not_used(site: LocalSite, host_bench: Bench) -> None:
    host_bench.user.git("config", "gc.auto", "0")
    lost = commit_files(host_bench.repository, host_bench.tip, {"new": "new\n"})
    first = site.open("t-1", parent=lost, tree=host_bench.repository.tree_of(lost), purpose={"task": "t"})
    first.remove()
    host_bench.user.git("gc", "--quiet", "--prune=now")
    assert host_bench.repository.resolve(f"{lost}^{{commit}}") is None
    second = opened(site, host_bench)
    assert second.worktree.base
    assert second.worktree.base.tree_id == second.tree_id


def test_only_the_first_tree_decides_whether_trees_are_large(host_bench: Bench) -> None:
    asked = itertools.count()
    repository = host_bench.repository
    bases = Bases(repository, None, 1_000, lambda: next(asked) == 0)
    tree = repository.tree_of(host_bench.tip)
    assert bases.below(tree) is None
    many = commit_files(repository, host_bench.tip, {f"many/{number}": "" for number in range(1_000)})
    assert bases.below(repository.tree_of(many)) is None
    assert next(asked) == 0
    assert Bases(repository, None, 1_000, lambda: True).below(repository.tree_of(many))


@pytest.mark.parametrize(
    ("files", "modes", "is_shared"),
    [
        pytest.param({"new": "new\n", "src/app.py": None}, {}, True, id="files"),
        pytest.param({"new/.gitattributes": "* text\n"}, {}, False, id="attributes"),
        pytest.param({"new": OTHER}, {"new": "160000"}, False, id="a new submodule"),
        pytest.param(
            {"src/app.py": None, "src/util.py": None, "src": OTHER},
            {"src": "160000"},
            False,
            id="a submodule for a directory",
        ),
    ],
)
def test_a_tree_lies_over_a_base_that_can_show_it(
    site: LocalSite,
    host_bench: Bench,
    files: Mapping[str, str | None],
    modes: Mapping[str, str],
    is_shared: bool,
) -> None:
    first = opened(site, host_bench)
    commit = commit_files(host_bench.repository, host_bench.tip, files, modes=modes)
    tree = host_bench.repository.tree_of(commit)
    place = site.open("t-2", parent=commit, tree=tree, purpose={"task": "t"})
    assert place.worktree.base
    assert place.worktree.base.tree_id == (first.tree_id if is_shared else tree)
