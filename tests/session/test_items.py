"""The items of a run are named, marked, selected, deselected and run again like any other items."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pytest_cobbler.testing.invariants import CheckoutState
from pytest_cobbler.testing.project import Project
from tests.support.parts import need
from tests.support.sessions import (
    WRITES_A_FILE,
    came_to,
    ids_landed,
    measure,
    seed,
    statuses,
    stitch,
    task,
    words,
)

TITLES = {"p-a": "Parse the input", "p-b": "Print the output"}


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """Two open tasks that the agent does; a measure would propose a third."""
    cobbler_project.configure(jobs=1)
    cobbler_project.agent.otherwise().runs(WRITES_A_FILE)
    cobbler_project.agent.measure().writes_tasks([{"title": "Proposed"}])
    seed(cobbler_project, *(task(name, title=title) for name, title in TITLES.items()))
    return cobbler_project


@pytest.mark.quick
def test_open_tasks_come_first_then_what_a_measure_proposes(project: Project) -> None:
    result = project.run("--cobbler-generate", "-v")
    new = project.task("Proposed").id
    assert result.ret == 0
    assert words(result) == {
        "stitch::p-a": "LANDED",
        "stitch::p-b": "LANDED",
        "measure::cycle-1": "PROPOSED",
        f"stitch::{new}": "LANDED",
    }
    assert list(words(result))[2:] == ["measure::cycle-1", f"stitch::{new}"]
    result.stdout.fnmatch_lines(
        ["*collected 3 items", "*::measure::cycle-1 (*) PROPOSED*75%*", "*LANDED*100%*"]
    )
    result.assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (["-m", "cobbler_stitch(task='p-b')"], ["stitch::p-b"]),
        (["-k", "measure or proposed"], ["measure::cycle-1", "stitch::NEW"]),
        (["configuration.yaml::stitch"], ["stitch::p-a", "stitch::p-b"]),
        (
            ["configuration.yaml::stitch::p-b", "configuration.yaml::measure"],
            ["stitch::p-b", "measure::cycle-1"],
        ),
        (["--deselect", stitch("p-a"), "--deselect", measure()], ["stitch::p-b"]),
    ],
)
def test_only_selected_items_run(project: Project, selection: list[str], expected: list[str]) -> None:
    result = project.run("--cobbler-generate", *selection)
    assert result.ret == 0
    new = "".join(t.id for t in project.tasks() if t.title == "Proposed")
    assert list(came_to(result)) == [name.replace("NEW", new) for name in expected]
    assert ids_landed(project) == [
        name.removeprefix("stitch::") for name in came_to(result) if "stitch" in name
    ]


def test_a_task_that_a_hook_gives_a_skip_mark_is_not_done(project: Project) -> None:
    hook = """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.get_closest_marker("cobbler_stitch") and "print" not in item.title.lower():
                    item.add_marker(pytest.mark.skip("not today"))
    """
    seed(
        project,
        task("p-a", title="Parse"),
        task("p-b", title="Print"),
        task("p-c", "p-a", title="Print more"),
    )
    project.write({"conftest.py": "\n".join(line[8:] for line in hook.splitlines())})
    result = project.run("--cobbler-generate", "-v", "configuration.yaml::stitch")
    assert words(result) == {"stitch::p-a": "SKIPPED", "stitch::p-b": "LANDED", "stitch::p-c": "BLOCKED"}
    result.stdout.fnmatch_lines(["*stitch::p-a Parse SKIPPED (not today)*"])
    assert ids_landed(project) == ["p-b"]
    assert statuses(project) == {"p-a": "open", "p-b": "closed", "p-c": "open"}
    assert not list(project.path.glob(".cobbler/*/attempts/p-a"))


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("configuration.yaml::stitch::p-z", "ERROR: not found: configuration.yaml::stitch::p-z"),
        ("configuration.yaml::measure::cycle-2", "ERROR: not found: configuration.yaml::measure::cycle-2"),
        ("configuration.yaml::stitch::p-late", "ERROR: not found: *::stitch::p-late (deferred)"),
        (
            "configuration.yaml::stitch::p-more",
            "ERROR: not found: *::stitch::p-more (left for a later run: max_issues)",
        ),
        (".", "ERROR: --cobbler-generate takes configuration.yaml, configuration.yaml::measure*, not ."),
    ],
)
def test_an_argument_that_is_not_an_item_is_rejected(project: Project, argument: str, complaint: str) -> None:
    seed(project, task("p-a"), task("p-late", status="deferred"), task("p-more", priority=3))
    result = project.run("--cobbler-generate", "--cobbler-max-issues=1", argument)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([complaint])
    assert ids_landed(project) == []


def test_a_task_that_a_dead_run_had_claimed_can_be_selected(project: Project) -> None:
    at_work = project.agent.directory / "at-work"
    project.agent.task("Parse the input").runs(f"touch {at_work}; sleep 60")
    project.agent.task("Parse the input", attempt=2).runs(WRITES_A_FILE)
    running = project.start("--cobbler-generate")
    running.wait_until(at_work.exists)
    running.kill()
    assert statuses(project)["p-a"] == "in_progress"
    result = project.run("--cobbler-generate", "configuration.yaml::stitch::p-a")
    assert (result.ret, came_to(result)) == (0, {"stitch::p-a": "landed"})


def test_testpaths_do_not_select_what_is_generated(project: Project) -> None:
    project.write(
        {"pytest.ini": "[pytest]\ntestpaths = tests\n", "tests/test_it.py": "def test_it(): assert False\n"}
    )
    result = project.run("--cobbler-generate", "--collect-only", "-k", "p-a")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*<StitchItem p-a: *", "*1/3 tests collected*"])
    result.stdout.no_fnmatch_line("testpaths:*")


def test_a_run_also_starts_from_a_subdirectory(project: Project) -> None:
    project.write({"src/deep/file.txt": ""})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--cobbler-generate",
        "-v",
        "-p",
        "no:cacheprovider",
        "-k",
        "p-b",
    ]
    completed = subprocess.run(command, cwd=project.path / "src" / "deep", capture_output=True, text=True)
    assert completed.returncode == 0
    assert ids_landed(project) == ["p-b"]
    assert not list(project.path.glob("src/**/.cobbler"))


def test_a_proposed_task_can_be_deselected(project: Project) -> None:
    first = project.run("--cobbler-generate", "configuration.yaml::measure")
    new = project.task("Proposed").id
    assert came_to(first) == {"measure::cycle-1": "proposed"}
    project.agent.measure(cycle=1, attempt=1).writes_tasks([{"title": "Later"}])
    result = project.run(
        "--cobbler-generate", "--deselect", stitch(new), "--deselect", stitch("p-a"), "-k", "not later"
    )
    assert result.ret == 0
    assert list(came_to(result)) == ["stitch::p-b", "measure::cycle-1"]
    assert result.outcomes() == {"passed": 2, "deselected": 3}
    assert project.task("Later").status == "open"


def test_a_need_that_is_not_selected_blocks_and_the_run_fails(project: Project) -> None:
    seed(project, task("p-a"), task("p-b"), task("p-c", "p-a"))
    result = project.run(
        "--cobbler-generate", "-v", "configuration.yaml::stitch", "--deselect", stitch("p-a")
    )
    assert words(result) == {"stitch::p-b": "LANDED", "stitch::p-c": "BLOCKED"}
    result.stdout.fnmatch_lines(["*BLOCKED (blocked by p-a, which was not selected)*"])
    assert result.outcomes() == {"passed": 1, "skipped": 1, "deselected": 1}
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_last_failed_tries_the_failed_tasks_again_and_measures_nothing(project: Project) -> None:
    project.agent.task("p-b").fails()
    project.agent.task("p-b", attempt=3).runs(WRITES_A_FILE)
    seed(project, task("p-a"), task("p-b"))
    assert project.run("--cobbler-generate").ret == 1
    result = project.run("--cobbler-generate", "--lf", "-v")
    assert words(result) == {"stitch::p-b": "LANDED"}
    result.stdout.fnmatch_lines(["run-last-failure: rerun previous 1 failure"])
    assert result.ret == 0


def test_failed_first_changes_the_order_shown_and_not_the_work(project: Project) -> None:
    project.agent.task("p-b").fails()
    seed(project, task("p-a"), task("p-b"), task("p-c"))
    project.configure(max_attempts=1)
    project.run("--cobbler-generate", stitch("p-b"))
    result = project.run("--cobbler-generate", "--ff", "configuration.yaml::stitch")
    assert came_to(result) == {"stitch::p-a": "landed", "stitch::p-b": "failed", "stitch::p-c": "landed"}


def test_a_run_works_without_the_cache_and_terminal_plugins(project: Project) -> None:
    result = project.run("--cobbler-generate", "-p", "no:cacheprovider", "-p", "no:terminal")
    warning = "configuration.yaml has sandbox: none: agents and the gate can do what you can"
    assert (result.ret, result.outlines, result.errlines) == (0, [warning], [])
    assert list(came_to(result).values()) == ["landed", "landed", "proposed", "landed"]
    assert not (project.path / ".pytest_cache").exists()


def test_collect_only_shows_the_plan_and_changes_nothing(project: Project) -> None:
    seed(
        project,
        task("p-a", title="Parse"),
        task("p-b", "p-a", title="Print \x1b[31m"),
        task("p-c", status="deferred"),
    )
    before, tasks = CheckoutState.of(project), project.tasks()
    refs = project.git("for-each-ref")
    result = project.run("--cobbler-generate", "--collect-only", "-p", "no:cacheprovider")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "cobbler: no generation yet, nothing is started",
            "waiting: p-c: deferred",
            "collected 3 items",
            "*<StitchItem p-a: Parse>",
            r"*<StitchItem p-b: Print \x1b[[]31m, needs p-a>",
            "*<MeasureItem cycle-1>",
            "*3 tests collected*",
        ]
    )
    assert (CheckoutState.of(project), project.tasks(), project.git("for-each-ref")) == (before, tasks, refs)
    assert not (project.path / ".cobbler").exists()

    result = project.run("--cobbler-generate", "-k", "p-a")
    assert result.ret == 0
    assert "To do the open tasks: pytest --cobbler-resume" in result.outlines, "p-b was not selected"
    assert not any("--cobbler-stop" in line for line in result.outlines)
    tip = project.git("rev-parse", project.generation or "")
    result = project.run("--cobbler-generate", "--co", "-q")
    assert result.outlines[:2] == ["configuration.yaml::stitch::p-b", "configuration.yaml::measure::cycle-1"]
    assert project.git("rev-parse", project.generation or "") == tip


def test_setup_plan_starts_no_agent(project: Project) -> None:
    result = project.run("--cobbler-generate", "--setup-plan")
    assert result.ret == 0
    assert project.generation is None
    assert statuses(project) == {"p-a": "open", "p-b": "open"}


def test_addopts_that_deselect_everything_are_named(project: Project) -> None:
    project.write({"pytest.ini": "[pytest]\naddopts = -m unit\nmarkers = unit\n"})
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(
        ["all 3 items were deselected; addopts: -m unit (not in this run: -o addopts=)"]
    )
    one = project.run("--cobbler-generate", "configuration.yaml::stitch::p-a")
    one.stdout.fnmatch_lines(["the only item was deselected; addopts: -m unit (*"])


@pytest.mark.usefixtures("cobbler_agent")
def test_an_empty_group_has_no_work(cobbler_project: Project) -> None:
    result = cobbler_project.run("--cobbler-generate", "configuration.yaml::stitch")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert cobbler_project.tasks() == []


def test_items_have_one_name_wherever_pytest_is_called(project: Project) -> None:
    below = project.path / "below"
    below.mkdir()
    seed(project, task("p-a"))
    result = project.run("--cobbler-generate", "--collect-only", "-q", f"--rootdir={below}")
    assert "../configuration.yaml::stitch::p-a" in result.outlines


@pytest.mark.parametrize("tracker", ["embedded", "bd"])
def test_a_store_that_cannot_be_created_is_reported_before_an_agent_starts(
    project: Project, tracker: str
) -> None:
    if tracker == "bd":
        need("bd")
    project.write({"taken": "a file\n"})
    project.configure(tracker=tracker, beads_dir="taken/beads")
    result = project.run("--cobbler-generate")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "taken" in result.stderr.str()
    assert project.generation is None


def test_agents_do_not_run_far_ahead_of_a_slow_gate(project: Project) -> None:
    seed(project, *(task(f"p-{number}") for number in range(12)))
    project.configure(cycles=0, max_issues=12, test_command="[ ! -e p-0.txt ] || [ -e p-1.txt ] || sleep 5")
    result = project.run("--cobbler-generate")
    assert set(came_to(result).values()) == {"landed"}
    [journal] = project.path.glob(".cobbler/*/journal.jsonl")
    events = [json.loads(line)["event"] for line in journal.read_text().splitlines()]
    # All twelve agents would have ended before the first landing.
    assert events[: events.index("land")].count("attempt") <= 5
