"""The crash matrix: something is killed at every point of a command, which is then run once more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.crashes import Case, Ground, Scenario, differs, first_of_each_kind, write_result
from tests.support.forest import Planned, plant
from tests.support.generations import generation
from tests.support.images import minimal_image
from tests.support.sessions import seed, task
from tests.support.stores import BdStore, bd_program, bd_template

__all__ = ["bd_program", "bd_template", "minimal_image"]

TASKS = [Planned(number=0, kind="breaks the gate", needs=(), seconds=0.0)]
"""A task to which everything happens once: an attempt that is kept, and one that lands."""

IDLE = Planned(number=1, kind="does nothing", needs=(), seconds=0.0)
"""A task that is released."""

DETAILS = {"d/old.txt": "old\n", "d/gone.txt": "gone\n"}


def with_a_task(project: Project, **configuration: object) -> None:
    plant(project, TASKS, jobs=1, **configuration)


def with_a_dead_run(project: Project) -> None:
    """A run was killed when its agent had ended, with its work in the worktree."""
    with_a_task(project)
    plugins = Path(__file__).parents[1] / "support" / "plugins"
    env = {"KILL_AFTER": "agent:1", "PYTHONPATH": str(plugins), "TMPDIR": str(project.directory / "tmp")}
    project.run("--cobbler-generate", "-p", "killer", env=env)


def without_configuration(project: Project) -> None:
    project.git("rm", "--quiet", "configuration.yaml")
    project.python_sample()
    project.git("rm", "--quiet", "--force", "configuration.yaml")
    project.commit("Without a configuration")


def with_a_generation(project: Project) -> None:
    """A generation in which a task has landed, which changes, adds and removes files."""
    project.write(DETAILS)
    project.commit("Files")
    project.write({"left.txt": "not committed\n"})
    seed(project, task("p-1", status="closed"))
    generation(project, {"d/old.txt": "new\n", "d/gone.txt": None, "d/more/new.txt": "new\n"})


def with_two_generations(project: Project) -> None:
    for _ in range(2):
        with_a_generation(project)


def started(project: Project, _settled: Mapping[str, str]) -> list[str]:
    """Every generation that began is complete, and there is one for each start that came to its end."""
    branches = project.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/generation-*").split()
    tags = project.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags").split()
    faults = [] if 1 <= len(branches) <= 2 else [f"there are {len(branches)} generations"]
    return faults + [f"{name} has no start tag" for name in branches if f"{name}-start" not in tags]


def written(project: Project, _settled: Mapping[str, str]) -> list[str]:
    text = (project.path / "configuration.yaml").read_text()
    return [] if "gen_prefix" in text and text.endswith("\n") else ["configuration.yaml is not complete"]


OLDEST = "{oldest}"
"""In a command: the oldest generation."""

GENERATE = ("--cobbler-generate",)
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="generate", command=GENERATE, prepare=with_a_task, statuses=(0, 1)),
        Scenario(
            name="recover",
            command=GENERATE,
            prepare=with_a_dead_run,
            statuses=(0, 1),
            until="journal attempt",
        ),
        Scenario(
            name="init",
            command=("--cobbler-init",),
            prepare=without_configuration,
            judge=written,
            statuses=(0, 4),
            keeps_checkout=False,
            is_checked=False,
            programs=("git", "sh", "rm"),  # without podman, whose images it would try
        ),
        Scenario(
            name="start", command=("--cobbler-start",), prepare=with_a_task, judge=started, is_checked=False
        ),
        Scenario(
            name="stop",
            command=("--cobbler-stop",),
            prepare=with_a_generation,
            judge=differs,
            keeps_checkout=False,
        ),
        Scenario(name="reset", command=("--cobbler-reset",), prepare=with_a_generation, judge=differs),
        Scenario(
            name="switch",
            command=("--cobbler-switch", OLDEST),
            prepare=with_two_generations,
            judge=differs,
            is_checked=False,
        ),
    )
}
PARTS = {"generate": 8, "recover": 3, "init": 1, "start": 2, "stop": 4, "reset": 2, "switch": 1}
"""Into how many tests the cases of a scenario are split."""


@pytest.fixture
def place(tmp_path: Path) -> Iterable[Project]:
    with Project.create(tmp_path / "ground", StandInAgent(tmp_path / "ground" / "agent")) as project:
        project.options += ["-p", "no:hypothesispytest"]
        yield project


Some = Callable[[Sequence[str]], Sequence[str]]


def strike_all(
    ground: Ground, scenario: Scenario, cases: Sequence[Case], some: Some, subtests: pytest.Subtests
) -> None:
    by_name = {str(case): case for case in cases}
    for name in some(list(by_name)):
        with subtests.test(name):
            faults = ground.strike(by_name[name])
            write_result(scenario, by_name[name], faults)
            assert faults == []


@pytest.mark.matrix("crashes")
@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name, parts in PARTS.items() for part in range(parts)]
)
def test_a_command_is_completed_after_a_kill_at_any_point(
    place: Project, subtests: pytest.Subtests, some: Some, name: str, part: int
) -> None:
    scenario = SCENARIOS[name]
    ground = Ground(place, scenario)
    strike_all(ground, scenario, ground.cases[part :: PARTS[name]], some, subtests)


@pytest.mark.matrix("crashes in podman")
@pytest.mark.parametrize("part", range(4))
def test_a_run_in_podman_is_completed_after_a_kill_of_any_kind(
    place: Project, subtests: pytest.Subtests, some: Some, minimal_image: str, part: int
) -> None:
    def prepare(project: Project) -> None:
        arguments = project.agent.podman_arguments
        with_a_task(project, sandbox="podman", podman_image=minimal_image, podman_args=arguments)

    scenario = Scenario(name="generate in podman", command=GENERATE, prepare=prepare, statuses=(0, 1))
    ground = Ground(place, scenario)
    strike_all(ground, scenario, first_of_each_kind(ground.cases, "podman")[part::4], some, subtests)


@pytest.mark.matrix("crashes with bd")
@pytest.mark.parametrize("part", range(4))
def test_a_run_with_bd_is_completed_after_a_kill_of_any_kind(
    place: Project, subtests: pytest.Subtests, some: Some, bd_program: Path, bd_template: Path, part: int
) -> None:
    def prepare(project: Project) -> None:
        if part % 2:
            BdStore(project.path, bd_program, bd_template)  # else the run makes it, which takes seconds
        plant(project, [*TASKS, IDLE], jobs=1, tracker="bd")

    scenario = Scenario(name="generate with bd", command=GENERATE, prepare=prepare, statuses=(0, 1))
    ground = Ground(place, scenario)
    cases = first_of_each_kind(ground.cases, "bd")
    strike_all(ground, scenario, cases[part // 2 :: 2], some, subtests)
