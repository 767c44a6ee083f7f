"""``--cobbler-reset``: what it removes, and that a tag or a ref holds all of it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Project
from tests.support.faults import git_that_sends
from tests.support.generations import everything, refs
from tests.support.images import minimal_image
from tests.support.sessions import WRITES_A_FILE, came_to, ids_landed, seed, statuses, task
from tests.support.stores import bd_program, bd_project, bd_template

__all__ = ["bd_program", "bd_project", "bd_template", "minimal_image"]

KILLED = -signal.SIGKILL


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """``p-a`` can land, ``p-b`` fails and is kept."""
    cobbler_agent.otherwise().runs(WRITES_A_FILE)
    cobbler_agent.task("p-b").writes("half.txt", "half\n").fails(1)
    cobbler_project.configure(max_attempts=1)
    return cobbler_project


def generate(project: Project) -> str:
    """Land ``p-a``, keep an attempt at ``p-b``; the generation."""
    seed(project, task("p-a", title="Write it"), task("p-b"), task("p-z", status="closed"))
    assert project.run("--cobbler-generate", "configuration.yaml::stitch").ret == 1
    assert statuses(project) == {"p-a": "closed", "p-b": "open", "p-z": "closed"}
    return str(project.generation)


def branches(project: Project) -> list[str]:
    return [ref for ref in refs(project) if ref.startswith("refs/heads/")]


def test_a_reset_without_a_generation_changes_nothing(project: Project) -> None:
    result = project.run("--cobbler-reset")
    assert (result.ret, result.outlines) == (0, ["No generation is active."])


def test_a_reset_tags_the_last_commit_keeps_attempts_and_reopens_tasks(project: Project) -> None:
    name = generate(project)
    tip, before = refs(project)[f"refs/heads/{name}"], refs(project)
    project.run("--cobbler-switch", name)
    project.write({"README.md": "edited\n", "staged.txt": "", "untracked.txt": ""})
    project.git("add", "staged.txt")
    checkout, files = CheckoutState.of(project), everything(project)

    result = project.run("--cobbler-reset")

    assert (result.ret, result.outlines) == (
        0,
        [
            f"Abandoned {name}; its last commit, with 1 task, is tagged {name}-abandoned.",
            "Open again: p-a Write it",
        ],
    )
    del before[f"refs/heads/{name}"], before[f"refs/cobbler/landed/{name}/p-a"]
    assert refs(project) == before | {f"refs/tags/{name}-abandoned": tip}
    assert f"refs/cobbler/attempts/{name}/p-b/1" in before
    assert statuses(project) == {"p-a": "open", "p-b": "open", "p-z": "closed"}
    assert everything(project) == files
    assert check(project, before=checkout) == []
    assert not list((project.directory / "work").glob(f"*/{name}"))
    assert project.run("--cobbler-list").outlines[0].split()[:2] == [name, "abandoned"]


def test_the_next_generation_does_the_reopened_tasks(project: Project) -> None:
    first = generate(project)
    project.run("--cobbler-reset")
    result = project.run("--cobbler-generate", "configuration.yaml::stitch::p-a")
    assert came_to(result) == {"stitch::p-a": "landed"}
    assert project.generation != first


def test_every_active_generation_is_abandoned(project: Project) -> None:
    project.run("--cobbler-start")
    project.run("--cobbler-start")
    assert len(branches(project)) == 3
    result = project.run("--cobbler-reset")
    assert (result.ret, len(result.outlines)) == (0, 2)
    assert branches(project) == ["refs/heads/main"]
    assert len([ref for ref in refs(project) if ref.endswith("-abandoned")]) == 2


def test_a_reset_keeps_the_work_of_a_dead_run(project: Project, cobbler_agent: StandInAgent) -> None:
    begun = project.directory / "begun"
    cobbler_agent.task("p-c").writes("begun.txt", "1\n").runs(f"touch {begun}").sleeps(300)
    seed(project, task("p-c"))
    running = project.start("--cobbler-generate")
    running.wait_until(begun.exists)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    name = project.generation

    result = project.run("--cobbler-reset")

    kept = f"refs/cobbler/attempts/{name}/p-c/1"
    result.stdout.fnmatch_lines([f"recovered: kept the work on p-c as {kept}", "recovered: released p-c"])
    assert project.files(kept)["begun.txt"] == "1\n"
    assert statuses(project) == {"p-c": "open"}
    assert branches(project) == ["refs/heads/main"]
    assert check(project) == []


def test_a_generation_that_is_merged_into_its_base_is_not_abandoned(project: Project) -> None:
    name = generate(project)
    project.git("merge", "--quiet", name)
    result = project.run("--cobbler-reset")
    assert result.outlines == [f"{name} is in its base already; its last commit is tagged {name}-finished."]
    assert branches(project) == ["refs/heads/main"]
    assert {f"refs/tags/{name}-{kind}" for kind in ("start", "finished", "merged")} <= refs(project).keys()
    assert f"refs/tags/{name}-abandoned" not in refs(project)
    assert statuses(project)["p-a"] == "closed"


def test_a_reset_names_a_branch_that_is_checked_out_elsewhere_and_changes_nothing(project: Project) -> None:
    name = generate(project)
    project.git("worktree", "add", "--quiet", "../elsewhere", name)
    before = refs(project), statuses(project)
    result = project.run("--cobbler-reset")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: branch {name} is checked out in *elsewhere", "*git -C * switch --detach"]
    )
    assert (refs(project), statuses(project)) == before


def test_a_reset_names_a_missing_worktree_and_the_command_that_prunes_it(project: Project) -> None:
    name = generate(project)
    project.git("worktree", "add", "--quiet", "../elsewhere", name)
    shutil.rmtree(project.path.parent / "elsewhere")
    result = project.run("--cobbler-reset")
    result.stderr.fnmatch_lines([f"ERROR: branch {name} is checked out in *", "*git worktree prune"])
    project.git("worktree", "prune")
    assert project.run("--cobbler-reset").ret == 0


def test_a_reset_does_not_move_a_tag_of_another_commit(project: Project) -> None:
    project.run("--cobbler-start")
    other = project.commit("Something else")
    project.git("tag", f"{project.generation}-abandoned", other)
    before = refs(project)
    result = project.run("--cobbler-reset")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: the tag *-abandoned exists, and was not made for *", "*git tag NAME *"]
    )
    assert refs(project) == before


def test_a_reset_moves_the_tag_of_a_killed_reset_to_the_newest_landing(project: Project) -> None:
    project.run("--cobbler-start")
    project.git("tag", f"{project.generation}-abandoned", project.generation or "")
    name = generate(project)
    tip = refs(project)[f"refs/heads/{name}"]
    assert project.run("--cobbler-reset").ret == 0
    assert refs(project)[f"refs/tags/{name}-abandoned"] == tip


def test_a_reset_leaves_a_branch_that_only_looks_like_a_generation(project: Project) -> None:
    project.run("--cobbler-start")
    project.git("branch", "generation-of-mine")
    before = refs(project)
    result = project.run("--cobbler-reset")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: branch generation-of-mine is not a generation*"])
    assert refs(project) == before


def test_a_reset_that_was_killed_is_completed_by_the_same_command(
    project: Project, subtests: pytest.Subtests
) -> None:
    name = generate(project)
    tip, saved = refs(project)[f"refs/heads/{name}"], project.directory / "saved"
    shutil.copytree(project.path, saved)
    for call in itertools.count(1):
        directory = project.directory / f"bin-{call}"
        result = project.run("--cobbler-reset", env=git_that_sends(signal.SIGKILL, directory, call))
        if result.ret != KILLED:
            assert call > 2, "a tag and the deletion of a branch are two changes"
            break
        with subtests.test(call=call):
            assert tip in refs(project).values()
            assert project.run("--cobbler-reset").ret == 0
            assert (branches(project), refs(project)[f"refs/tags/{name}-abandoned"]) == (
                ["refs/heads/main"],
                tip,
            )
            assert statuses(project) == {"p-a": "open", "p-b": "open", "p-z": "closed"}
        shutil.rmtree(project.path)
        shutil.copytree(saved, project.path)


@pytest.mark.matrix("costly")
def test_a_reset_works_with_bd_and_podman(bd_project: Project, minimal_image: str) -> None:
    """Tasks that need each other are reopened in bd, too."""
    agent = bd_project.agent
    agent.measure().writes_tasks([{"title": "One"}, {"title": "Two", "dependency": 0}])
    agent.otherwise().runs(WRITES_A_FILE)
    bd_project.configure(sandbox="podman", podman_image=minimal_image, podman_args=agent.podman_arguments)
    assert bd_project.run("--cobbler-generate").ret == 0
    name, landed = bd_project.generation, ids_landed(bd_project)
    assert set(statuses(bd_project).values()) == {"closed"}

    result = bd_project.run("--cobbler-reset")

    titles = [f"Open again: {name} {title}" for name, title in zip(landed, ("One", "Two"), strict=True)]
    assert result.outlines[1:] == titles
    assert set(statuses(bd_project).values()) == {"open"}
    assert f"refs/tags/{name}-abandoned" in refs(bd_project)
