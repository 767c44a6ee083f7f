"""A random generation from the first measure to the last task that can land, by as many runs as it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.testing.invariants import CheckoutState, check
from pytest_cobbler.testing.project import Case, Project, RunResult
from tests.support.forest import KINDS, Planned, gate_of_every_commit, grow, plant, titles_that_can_land
from tests.support.images import minimal_image
from tests.support.stores import bd_program, bd_project, bd_template

pytestmark = pytest.mark.matrix("random generations")
__all__ = ["bd_program", "bd_project", "bd_template", "minimal_image"]

MOST_RUNS = 15
"""Each lands something, or takes a task past the attempts at which it fails."""


def test_a_random_generation_on_the_host_keeps_the_invariants(
    cobbler_project: Project, tmp_path: Path, every_case: bool
) -> None:
    tasks = grow(seed=5, count=60) if every_case else grow(seed=3, count=24)
    assert {task.kind for task in tasks} == set(KINDS)
    plant(cobbler_project, tasks, jobs=8)
    run_until_nothing_more_can_land(cobbler_project, tasks, tmp_path)


def test_a_random_generation_in_podman_with_bd_keeps_the_invariants(
    bd_project: Project, tmp_path: Path, minimal_image: str, every_case: bool
) -> None:
    tasks = grow(seed=3, count=24) if every_case else grow(seed=122, count=12)
    plant(
        bd_project,
        tasks,
        jobs=8,
        sandbox="podman",
        podman_image=minimal_image,
        podman_args=bd_project.agent.podman_arguments,
    )
    run_until_nothing_more_can_land(bd_project, tasks, tmp_path)


def run_until_nothing_more_can_land(project: Project, tasks: list[Planned], directory: Path) -> None:
    before = CheckoutState.of(project)
    able = titles_that_can_land(tasks)
    first = project.run("--cobbler-generate", timeout=900)

    assert first.ret == 1
    assert check(project, first, before=before) == []
    assert len(project.tasks()) == len(tasks)
    assert_says_what_became_of_each(first, tasks)

    runs, landed = 1, titles(project)
    assert landed
    while landed < able:
        again = project.run("--cobbler-generate", timeout=900)
        runs += 1
        assert check(project, again, before=before) == []
        # A run takes what is open and nothing else: what has landed does not come again.
        assert {one.properties["cobbler_title"] for one in stitches(again)} == all_of(tasks) - landed
        assert titles(project) >= landed
        landed = titles(project)
        assert runs <= MOST_RUNS, f"after {runs} runs {able - landed} have not landed"

    assert landed == able
    assert gate_of_every_commit(project, directory) == {}
    assert_needs_landed_first(project, tasks)


def assert_says_what_became_of_each(result: RunResult, tasks: list[Planned]) -> None:
    cases = {case.properties["cobbler_title"]: case.properties for case in stitches(result)}
    assert cases.keys() == all_of(tasks)
    causes = {"fails always": "agent", "breaks the gate always": "gate", "does nothing": "no-change"}
    for task in tasks:
        case = cases[task.title]
        needed = [cases[tasks[number].title]["cobbler_outcome"] for number in task.needs]
        blocking = [outcome for outcome in needed if outcome != "landed"]
        assert (case["cobbler_outcome"] == "blocked") == bool(blocking), task
        if not blocking and task.kind in causes:
            assert (case["cobbler_outcome"], case["cobbler_cause"]) == ("failed", causes[task.kind]), task
        elif not blocking and task.kind == "fails twice":
            assert (case["cobbler_outcome"], case["cobbler_attempts"]) == ("failed", "2"), task
        elif not blocking and task.kind != "appends":
            assert (case["cobbler_outcome"], case["cobbler_attempts"]) == ("landed", str(task.lands_at)), task


def assert_needs_landed_first(project: Project, tasks: list[Planned]) -> None:
    place = {commit.title: number for number, commit in enumerate(project.landed())}
    for task in tasks:
        for number in task.needs:
            if task.title in place:
                assert place[tasks[number].title] < place[task.title]


def stitches(result: RunResult) -> list[Case]:
    return [case for name, case in result.junit.items() if "::stitch::" in name]


def titles(project: Project) -> set[str]:
    return {commit.title for commit in project.landed()}


def all_of(tasks: list[Planned]) -> set[str]:
    return {task.title for task in tasks}
