"""A fault that lies with no task ends the run, and the tasks that are left are not touched."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.invariants import check
from pytest_cobbler.testing.project import Project
from tests.support.images import minimal_image, podman
from tests.support.sessions import by_title, came_to, charged, seed, statuses, task

__all__ = ["minimal_image"]


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    seed(cobbler_project, *(task(f"p-{at}", title=f"task {at}", priority=min(at, 4)) for at in range(6)))
    cobbler_project.configure(cycles=0, jobs=1, max_attempts=2)
    return cobbler_project


def test_agents_that_all_end_alike_at_once_end_the_run_after_three_tasks(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    started = project.directory / "started"
    cobbler_agent.task("task 0").writes("fine.txt", "fine\n")
    cobbler_agent.otherwise().runs(f"echo x >>{started}; echo no such option >&2").fails(2)
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    failed = {f"stitch::p-{at}": "failed" for at in (1, 2, 3)}
    assert came_to(result) == {"stitch::p-0": "landed", "stitch::p-4": "cancelled"} | failed | {
        "stitch::p-5": "cancelled"
    }
    assert len(started.read_text().splitlines()) == 5, "the third task is not tried again"
    assert charged(project) == {}
    (line,) = [line for line in result.outlines if "!! Interrupted" in line]
    assert "3 tasks failed alike: agent: exited with 2: no such option" in line
    assert statuses(project)["p-4"] == statuses(project)["p-5"] == "open"
    assert check(project, result) == []


@pytest.fixture
def small() -> Iterator[Callable[[Path], None]]:
    """Mounts a file system with little room at a directory."""
    mounted: list[Path] = []

    def mount(place: Path) -> None:
        aside = place.with_name("aside")
        if place.is_dir():
            place.rename(aside)
        place.mkdir()
        options = ["-t", "tmpfs", "-o", "size=60m", "small", str(place)]
        done = subprocess.run(["mount", *options], capture_output=True)
        if done.returncode != 0:
            pytest.skip(f"needs the right to mount: {done.stderr.decode()}")
        mounted.append(place)
        if aside.is_dir():
            shutil.copytree(aside, place, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(aside)

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("name", [".cobbler", "work", ".git", ".beads"])
def test_a_disk_that_fills_ends_the_run_with_its_place_and_whole_reports(
    project: Project, cobbler_agent: StandInAgent, small: Callable[[Path], None], name: str
) -> None:
    place = project.directory / "small" if name == "work" else project.path / name
    small(place)
    if name == "work":
        project.configure(work_dir=str(place))
    fill = f"cat /dev/zero >{place}/filler 2>/dev/null || true"
    cobbler_agent.otherwise().writes("a.txt", "a\n" * 5000).runs(fill)
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    outcomes = came_to(result)
    assert len(outcomes) == 6
    started = 3  # two are at work, and one more may have been claimed before the disk was full
    assert list(outcomes.values()).count("cancelled") >= len(outcomes) - started, "\n".join(result.outlines)
    assert "Traceback" not in "\n".join(result.outlines)
    assert any(f"!! Interrupted: disk full: {place}" in line for line in result.outlines)


def test_a_gate_that_hangs_costs_its_time_limit_a_few_times_and_not_once_a_task(
    project: Project, cobbler_agent: StandInAgent
) -> None:
    hang, runs = project.directory / "hang", project.directory / "runs"
    gate = f"[ ! -e {hang} ] || {{ echo x >>{runs}; sleep 61; }}"
    project.configure(jobs=6, max_attempts=1, gate_timeout="1s", test_command=gate)
    cobbler_agent.otherwise().runs(f'[ -e {runs} ] || touch {hang}; echo x >"$COBBLER_TASK_ID"')
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert len(runs.read_text().splitlines()) == 3, "a change, and twice the tip"
    assert set(statuses(project).values()) == {"open"}
    hang.unlink()
    again = project.run("--cobbler-resume")
    assert set(came_to(again).values()) == {"landed"}


@pytest.mark.parametrize(("program", "status"), [("no-such-program", 127), ("./README.md", 126)])
def test_a_gate_whose_program_cannot_start_on_three_changes_ends_the_run_and_charges_no_task(
    project: Project, cobbler_agent: StandInAgent, program: str, status: int
) -> None:
    started = project.directory / "started"
    project.configure(max_attempts=1, test_command=f"! ls broken-*.txt || {program}")
    cobbler_agent.task("task 0").writes("fine.txt", "fine\n")
    cobbler_agent.otherwise().runs(f'echo x >>{started}; echo x >"broken-$COBBLER_TASK_ID.txt"')
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    outcomes = list(came_to(result).values())
    failed = outcomes.count("failed")
    assert failed in (3, 4), "the third ends the run, beside which one more may be at work"
    assert (outcomes.count("landed"), outcomes.count("cancelled")) == (1, 5 - failed)
    assert len(started.read_text().splitlines()) == failed
    told = f"3 tasks failed alike: gate: test failed (exit {status})"
    assert len([line for line in result.outlines if told in line and "!! Interrupted" in line]) == 1
    assert set(statuses(project).values()) == {"closed", "open"}
    assert charged(project) == {}
    assert check(project, result) == []


@pytest.mark.podman
def test_an_image_that_is_removed_during_a_run_ends_it_after_three_tasks(
    project: Project, cobbler_agent: StandInAgent, minimal_image: str
) -> None:
    image = f"localhost/vanishing:{uuid.uuid4().hex}"
    podman("tag", minimal_image, image)
    project.write(
        {
            "conftest.py": "import subprocess\n"
            "def pytest_cobbler_reported(item, outcome):\n"
            # With one name, podman takes every name from the image.
            f"    subprocess.run(['podman', 'untag', '{image}', '{image}'], capture_output=True)\n"
        }
    )
    project.configure(
        sandbox="podman", podman_image=image, podman_args=cobbler_agent.podman_arguments, test_command="true"
    )
    cobbler_agent.otherwise().runs('echo x >"$COBBLER_TASK_ID"')
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    outcomes = list(came_to(result).values())
    assert (len(outcomes), outcomes.count("landed")) == (6, 1)
    assert outcomes.count("failed") in (3, 4), "the third ends the run, beside which one more may be at work"
    assert outcomes.count("cancelled") == 5 - outcomes.count("failed")
    (line,) = [line for line in result.outlines if "!! Interrupted" in line]
    assert f"3 tasks failed alike: podman has no image {image}" in line
    causes = {title: case.properties.get("cobbler_cause") for title, case in by_title(result).items()}
    lost = [title for title, cause in causes.items() if cause == "sandbox"]
    assert lost, "two at most were at work, and failed at their gates"
    assert set(causes.values()) <= {None, "landing", "sandbox", "cancelled"}
    assert set(statuses(project).values()) == {"closed", "open"}
    assert check(project, result) == []
    assert charged(project) == {}
    podman("tag", minimal_image, image)
    (project.path / "conftest.py").unlink()
    again = project.run("--cobbler-resume")
    assert set(came_to(again).values()) == {"landed"}
    assert {by_title(again)[title].properties["cobbler_attempts"] for title in lost} == {"1"}


@pytest.mark.podman
def test_work_that_was_done_before_its_image_was_removed_goes_on_in_the_next_run(
    project: Project, cobbler_agent: StandInAgent, minimal_image: str
) -> None:
    image = f"localhost/vanishing:{uuid.uuid4().hex}"
    podman("tag", minimal_image, image)
    project.configure(
        sandbox="podman",
        podman_image=image,
        podman_args=cobbler_agent.podman_arguments,
        max_attempts=1,
        agent_history="tip",  # the harvest then needs a container of its own
        test_command="true",
    )
    seed(project, task("p-a", title="task a"))
    steps = cobbler_agent.task("task a").writes("first.txt", "1\n")
    steps.runs("until [ -e go.txt ]; do sleep 0.1; done; rm -f go.txt")
    cobbler_agent.task("task a", attempt=2).runs("cp first.txt second.txt")
    running = project.start("--cobbler-generate")
    works = project.directory / "work"
    running.wait_until(lambda: any(works.glob("*/*/p-a-1/tree/first.txt")))
    podman("untag", image, image)
    [tree] = works.glob("*/*/p-a-1/tree")
    (tree / "go.txt").touch()
    result = running.wait()
    assert by_title(result)["task a"].properties["cobbler_cause"] == "sandbox"
    assert check(project, result) == []
    podman("tag", minimal_image, image)

    again = project.run("--cobbler-resume")

    assert came_to(again) == {"stitch::p-a": "landed"}
    assert {"first.txt", "second.txt"} <= set(project.files())
    assert check(project, again) == []
