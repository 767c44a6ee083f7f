"""git that removes unreferenced objects beside a run, and references whose objects it had removed before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.harvest import harvest
from pytest_cobbler.repository.pins import Pins
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sites.local import LocalSite
from pytest_cobbler.testing.project import Project
from tests.support.jobs import own_host
from tests.support.sessions import seed, task, words

ATTEMPTS = "refs/cobbler/attempts"
PINS = "refs/cobbler/pins"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    cobbler_project.configure(cycles=0, max_attempts=1, test_command="test ! -e bad.txt")
    cobbler_project.agent.otherwise().runs('echo 1 >"$COBBLER_TASK_ID.txt"')
    return cobbler_project


@pytest.fixture
def kept(project: Project) -> Project:
    """One task has landed, and failed work on another is kept, from before that landing."""
    seed(project, task("t-1"), task("t-2"))
    project.agent.task("t-2").writes("bad.txt", "bad\n").writes("t-2.txt", "first\n")
    result = project.run("--cobbler-generate", "-v")
    assert words(result) == {"stitch::t-1": "LANDED", "stitch::t-2": "FAILED"}
    return project


def collect_garbage(project: Project) -> str:
    """A command that removes all that no reference holds."""
    return f"git -C {project.path} gc --quiet --prune=now"


def refs(project: Project, prefix: str) -> list[str]:
    return project.git("for-each-ref", "--format=%(refname)", prefix).split()


def lose(project: Project, revision: str) -> str:
    """Remove an object as `git prune` would; return its id."""
    project.git("repack", "-q", "-d")
    for pack in (project.path / ".git" / "objects" / "pack").glob("*.pack"):
        content = pack.read_bytes()
        for file in pack.parent.glob(f"{pack.stem}.*"):
            file.unlink()
        _unpack(project, content)
    name = project.git("rev-parse", revision).strip()
    _loose(project, name).unlink()
    return name


def _unpack(project: Project, content: bytes) -> None:
    pack = project.directory / "unpacked"
    pack.write_bytes(content)
    project.git("-c", f"alias.unpack=!git unpack-objects -q <{pack}", "unpack")


def _loose(project: Project, name: str) -> Path:
    return project.path / ".git" / "objects" / name[:2] / name[2:]


def test_work_that_goes_on_from_a_merge_survives_a_gc_beside_its_agent(kept: Project) -> None:
    continues = kept.agent.task("t-2", attempt=2)
    continues.runs(f"{collect_garbage(kept)}; rm bad.txt; echo 2 >>t-2.txt")
    result = kept.run("--cobbler-resume", "-v")
    assert words(result) == {"stitch::t-2": "LANDED"}
    assert kept.files()["t-2.txt"] == "first\n2\n"
    assert refs(kept, PINS) == []


def test_a_merge_survives_a_gc_beside_its_gate(project: Project) -> None:
    seed(project, task("t-1"), task("t-2"))
    both = "[ -e t-1.txt ] && [ -e t-2.txt ]"
    project.configure(test_command=f"if {both}; then {collect_garbage(project)}; fi")
    ready = project.directory / "ready"
    wait = f"while ! [ -e {ready} ]; do sleep 0.02; done"
    project.agent.task("t-1").runs(f"touch {ready}; echo 1 >t-1.txt")
    project.agent.task("t-2").runs(f"{wait}; echo 1 >t-2.txt")
    result = project.run("--cobbler-generate", "-v")
    assert words(result) == {"stitch::t-1": "LANDED", "stitch::t-2": "LANDED"}
    assert refs(project, PINS) == []


def test_the_merge_with_the_base_survives_a_gc_beside_its_gate(project: Project) -> None:
    seed(project, task("t-1"))
    both = "[ -e t-1.txt ] && [ -e mine.txt ]"
    project.configure(test_command=f"if {both}; then {collect_garbage(project)}; fi")
    assert project.run("--cobbler-generate").ret == 0
    project.write({"mine.txt": "mine\n"})
    project.commit("Mine")
    assert project.run("--cobbler-stop").ret == 0
    assert {"mine.txt", "t-1.txt"} <= project.files("main").keys()
    assert refs(project, PINS) == []


@pytest.mark.parametrize("part", ["^{commit}", "^{tree}", ":t-2.txt"])
def test_kept_work_that_is_damaged_is_named_and_dropped_and_its_task_done(kept: Project, part: str) -> None:
    [ref] = refs(kept, ATTEMPTS)
    commit = kept.git("rev-parse", ref).strip()
    lose(kept, f"{ref}{part}")
    kept.agent.task("t-2", attempt=2).writes("t-2.txt", "2\n")
    result = kept.run("--cobbler-resume", "-v")
    patch = kept.path / ".cobbler" / str(kept.generation) / "attempts" / "t-2" / "1" / "change.patch"
    result.stdout.fnmatch_lines(
        [f"recovered: dropped {ref}: objects of its commit {commit} are missing; its change is in {patch}"]
    )
    assert "+first" in patch.read_text().splitlines()
    assert words(result) == {"stitch::t-2": "LANDED"}
    assert refs(kept, ATTEMPTS) == []


@pytest.mark.parametrize("action", ["--cobbler-stop --cobbler-force", "--cobbler-reset"])
def test_damaged_work_does_not_keep_a_generation_from_its_end(kept: Project, action: str) -> None:
    [ref] = refs(kept, ATTEMPTS)
    lose(kept, ref)
    for other in (f"heads/task/{kept.generation}-t-2", f"cobbler/left/{kept.generation}/t-2/1/1"):
        path = kept.path / ".git" / "refs" / other
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((kept.path / ".git" / ref).read_text())
    result = kept.run(*action.split())
    assert result.ret == 0, result.errlines
    assert len([line for line in result.outlines if line.startswith("recovered: dropped ")]) == 3
    kept.git("gc", "--quiet", "--prune=now")


def test_damage_is_seen_by_the_doctor_and_does_not_hide_the_plan(kept: Project) -> None:
    [ref] = refs(kept, ATTEMPTS)
    lose(kept, ref)
    result = kept.run("--cobbler-doctor")
    result.stdout.fnmatch_lines(
        [f"warning    repository *: objects of kept work are missing: {ref}", "*The next run drops *"]
    )
    assert kept.run("--cobbler-resume", "--collect-only").ret == 0
    assert kept.run("--cobbler-show", "t-2").ret == 0


def test_a_branch_whose_commit_is_missing_is_named_with_the_way_back(project: Project) -> None:
    seed(project, task("t-1"), task("t-2", "t-1"))
    assert project.run("--cobbler-generate").ret == 0
    first, tip = (landed.commit for landed in project.landed())
    lose(project, tip)
    result = project.run("--cobbler-resume")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    command = f"git update-ref refs/heads/{project.generation} {first}"
    result.stderr.fnmatch_lines(
        [f"*branch {project.generation} is damaged: its commit {tip} is missing", f"*{command}"]
    )
    assert any(line.startswith("FAILED     generation") for line in project.run("--cobbler-doctor").outlines)
    project.git(*command.split()[1:])
    project.run("--cobbler-resume").stderr.no_fnmatch_line("*is missing*")


def test_objects_that_git_removes_while_work_is_taken_over_are_brought_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pack of a harvest is in the repository, and no reference has it: then git prunes."""
    repository = Repository(project.path, project.directory / "work")
    site = LocalSite(repository, "generation-1", own_host())
    head = project.git("rev-parse", "HEAD").strip()
    place = site.open("t-1-1", parent=head, tree=repository.tree_of(head), purpose={"task": "t-1"})
    (place.checkout / "new.txt").write_text("new\n")
    hold, prunes = Pins.hold, iter([True, True, False])

    def late(pins: Pins, name: str, objects: Mapping[str, str]) -> None:
        if next(prunes):
            project.git("prune", "--expire=now")
        hold(pins, name, objects)

    monkeypatch.setattr(Pins, "hold", late)
    harvested = harvest(place, repository, Policy())
    assert project.git("cat-file", "blob", f"{harvested.tree}:new.txt") == "new\n"
    assert list(prunes) == []
    project.git("prune", "--expire=now")
    assert project.git("cat-file", "blob", f"{harvested.tree}:new.txt") == "new\n"


LOSES_WORK = """
from pytest_cobbler.repository.repository import Repository

move_ref = Repository.move_ref

def too_late(repository, ref, new, *rest, **more):
    moved = move_ref(repository, ref, new, *rest, **more)
    if "/task/" in ref:
        (repository.common_dir / "objects" / new[:2] / new[2:]).unlink()
    return moved

Repository.move_ref = too_late
"""


def test_the_worktree_of_work_whose_commit_git_removes_at_once_is_kept(project: Project) -> None:
    seed(project, task("t-1"))
    project.write({"conftest.py": LOSES_WORK})
    result = project.run("--cobbler-generate", "-v")
    assert words(result) == {"stitch::t-1": "FAILED"}
    [case] = result.junit.values()
    assert " of the work is missing in the repository\nThe work is kept in " in case.message
    [work] = (project.directory / "work").glob("*/kept/*/t-1-1.1/tree/t-1.txt")
    assert work.read_text() == "1\n"
    (project.path / "conftest.py").unlink()
    project.agent.task("t-1", attempt=2).runs("cp t-1.txt again.txt")
    assert words(project.run("--cobbler-resume", "-v")) == {"stitch::t-1": "LANDED"}
    assert "t-1.txt" in project.files()
