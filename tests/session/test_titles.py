"""What a person reads of a run: titles beside ids, the cause of a failure, and what to do next."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from tests.support.parts import surroundings
from tests.support.sessions import WRITES_A_FILE, measure, seed, stitch, task

MISSING = "ModuleNotFoundError: No module named 'words'"


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A task that lands, one that the gate fails, and one that it blocks."""
    agent = cobbler_project.agent
    noise = "; ".join(f"echo noise {number}" for number in (1, 2))
    lines = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; done"
    failing = f'[ ! -e red.txt ] || {{ {noise}; echo "E   {MISSING}"; {lines}; exit 1; }}'
    cobbler_project.configure(max_attempts=1, jobs=1, test_command=failing)
    agent.otherwise().runs(WRITES_A_FILE)
    agent.task("Index the words").writes("red.txt", "red\n").prints("Indexing \x1b[31mnow")
    seed(
        cobbler_project,
        task("p-a", title="Add the store of [all] documents"),
        task("p-red", title="Index the words"),
        task("p-later", "p-red", title="Search for words"),
    )
    return cobbler_project


def names(report: Path) -> dict[str, str | None]:
    """Name of each case -> its file."""
    return {case.get("name", ""): case.get("file") for case in ElementTree.parse(report).iter("testcase")}


def test_a_title_stands_wherever_an_id_stands(project: Project) -> None:
    project.agent.measure().writes_tasks([{"title": "Print a page"}, {"title": "Größe \u2014 日本"}])
    result = project.run("--cobbler-generate", "-v", "-rA", "--durations=3", "--durations-min=0")
    assert result.ret == 1
    new = project.task("Print a page").id
    a_line_of_a_verbose_run_has_the_title(result, new)
    the_proposals_are_listed_below_the_measure(project, result)
    the_short_summary_has_titles(result)
    durations_have_titles(result)
    the_report_for_other_programs_has_titles_and_files(project, new)
    the_run_ends_with_what_to_do_next(project, result)


def a_line_of_a_verbose_run_has_the_title(result: RunResult, new: str) -> None:
    result.stdout.re_match_lines(
        [
            rf"{stitch('p-red')} Index the words \(\d+s\) FAILED +\[ 25%\]",
            rf"{stitch('p-later')} Search for words BLOCKED \(blocked by p-red.*\) +\[ 50%\]",
            rf"{stitch('p-a')} Add the store of \[all\] documents \(\d+s\) LANDED +\[ 75%\]",
            rf"{measure()} \(\d+s\) PROPOSED +\[ \d+%\]",
            rf"{stitch(new)} Print a page \(\d+s\) LANDED +\[ \d+%\]",
        ]
    )


def the_proposals_are_listed_below_the_measure(project: Project, result: RunResult) -> None:
    first, second = project.task("Print a page").id, project.task("Größe \u2014 日本").id
    at = result.outlines.index("cycle-1: 2 proposed")
    assert re.match(rf"{measure()} \(\d+s\) PROPOSED", result.outlines[at - 1])
    assert result.outlines[at + 1 : at + 3] == [f"  {first} Print a page", f"  {second} Größe \u2014 日本"]


def the_short_summary_has_titles(result: RunResult) -> None:
    at = next(number for number, line in enumerate(result.outlines) if "short test summary" in line)
    lines = result.outlines[at:]
    assert f"LANDED {stitch('p-a')} Add the store of (all) documents" in lines
    assert f"FAILED {stitch('p-red')} Index the words - gate: {MISSING}; test failed (exit 1)" in lines
    blocked = f"BLOCKED {stitch('p-later')} Search for words - blocked by"
    assert any(line.startswith(blocked) for line in lines)


def durations_have_titles(result: RunResult) -> None:
    result.stdout.re_match_lines([rf"[\d.]+s call +{stitch('p-red')} Index the words"])


def the_report_for_other_programs_has_titles_and_files(project: Project, new: str) -> None:
    cases = names(project.directory / "run-1" / "junit.xml")
    assert (
        cases.items()
        >= {
            "Add the store of [all] documents (p-a)": "configuration.yaml",
            "Index the words (p-red)": "configuration.yaml",
            f"Print a page ({new})": "configuration.yaml",
            "cycle-1": "configuration.yaml",
        }.items()
    )
    text = (project.directory / "run-1" / "junit.xml").read_text("utf-8")
    assert str(project.path) not in text, "paths are relative to the repository"


def the_run_ends_with_what_to_do_next(project: Project, result: RunResult) -> None:
    at = next(number for number, line in enumerate(result.outlines) if "- next -" in line)
    assert "short test summary" in "\n".join(result.outlines[:at])
    assert result.outlines[at + 1 : -1] == [
        f"p-red Index the words: gate: {MISSING}; test failed (exit 1)",
        "To see what its agent did: pytest --cobbler-show p-red",
        "To try again what did not land: pytest --cobbler-resume",
        f"To look at what landed: git diff main...{project.generation}",
    ]


def test_a_red_gate_shows_the_failing_line_twenty_lines_and_the_log(project: Project) -> None:
    result = project.run("--cobbler-generate", stitch("p-red"))
    at = result.outlines.index(f"gate: {MISSING}; test failed (exit 1)")
    end = next(at + n for n, line in enumerate(result.outlines[at:]) if line.startswith("The whole output: "))
    evidence = result.outlines[at + 1 : end]
    assert len(evidence) <= 20
    assert f"| E   {MISSING}" in evidence
    assert "| line 40" in evidence
    log = project.path / result.outlines[end].removeprefix("The whole output: ")
    assert log.is_relative_to(project.path / ".cobbler")
    assert "line 20" in log.read_text()


def test_node_ids_have_no_title_and_cases_have_ids_on_request(project: Project) -> None:
    project.configure(junit_name="id")
    result = project.run("--cobbler-generate", stitch("p-a"))
    assert list(names(project.directory / "run-1" / "junit.xml")) == ["p-a"]
    assert project.run("--cobbler-generate", "--lf", "--collect-only").ret == 0
    assert list(result.junit) == [stitch("p-a")]


def test_a_measure_that_proposed_nothing_says_so(project: Project) -> None:
    project.agent.measure().writes_tasks([])
    seed(project)
    result = project.run("--cobbler-generate")
    assert result.ret == 0
    assert result.outlines.count("cycle-1: 0 proposed") == 2  # above its letter, and in the summary
    result.stdout.fnmatch_lines(["cycle-1: 0 proposed", "configuration.yaml . *100%*"])


def test_a_finished_run_says_how_to_look_at_the_work_and_how_to_merge_it(project: Project) -> None:
    seed(project, task("p-a", title="Add the store"))
    project.agent.measure().writes_tasks([])
    result = project.run("--cobbler-generate", "-q")
    at = next(number for number, line in enumerate(result.outlines) if "- next -" in line)
    commands = [line.partition(": ")[2] for line in result.outlines[at + 1 : at + 4]]
    assert commands == [
        f"git diff main...{project.generation}",
        "pytest --cobbler-stop",
        "pytest --cobbler-resume",
    ]
    assert "+++ b/p-a.txt" in project.git(*shlex.split(commands[0])[1:])
    assert project.run("--cobbler-stop").ret == 0
    result = project.run("--cobbler-generate")
    assert "To let agents propose more: pytest --cobbler-resume" in result.outlines
    assert not [line for line in result.outlines if line.startswith(("To look at", "To merge"))], "empty"


def test_the_commands_work_where_the_run_was_started(project: Project, tmp_path: Path) -> None:
    """Run from a directory outside the repository, with the path of its configuration."""
    seed(project, task("p-a", title="Add the store"))
    project.agent.measure().writes_tasks([])
    argv = [sys.executable, "-m", "pytest", "--cobbler-generate", str(project.path / "configuration.yaml")]
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "PYTEST_ADDOPTS": ""}
    output = subprocess.run(
        argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout
    (command,) = [line.partition(": ")[2] for line in output.splitlines() if line.startswith("To look at")]
    seen = subprocess.run(shlex.split(command), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "+++ b/p-a.txt" in seen.stdout
    assert f"pytest --cobbler-stop {project.path}/configuration.yaml" in output


def test_titles_leave_room_at_eighty_columns(project: Project) -> None:
    env = {"COLUMNS": "80", "CI": "", "BUILD_NUMBER": ""}  # in CI, pytest does not cut the summary
    result = project.run("--cobbler-generate", "-v", "configuration.yaml::stitch", env=env)
    shown = [line for line in result.outlines if line.startswith((f"{FILE}::", f"FAILED {FILE}"))]
    assert len(shown) == 4
    assert all(len(line) <= 80 for line in shown), shown
    assert re.match(rf"{stitch('p-a')} Add the store of \S* \w*… \(\d+s\) LANDED +\[100%\]", shown[2])
    assert shown[-1].startswith(f"FAILED {stitch('p-red')} Index the words - gate: Mod")


FILE = "configuration.yaml"


def test_a_run_without_a_terminal_reporter_is_the_same(project: Project) -> None:
    result = project.run("--cobbler-generate", "-p", "no:terminal", "configuration.yaml::stitch")
    assert result.ret == 1
    assert {name: case.outcome for name, case in result.junit.items()} == {
        stitch("p-a"): "passed",
        stitch("p-red"): "failed",
        stitch("p-later"): "skipped",
    }


def test_titles_stand_beside_the_ids_of_another_reporter(project: Project) -> None:
    """pytest-sugar prints lines of its own."""
    result = project.run(
        "--cobbler-generate", "-v", "--force-sugar", stitch("p-a"), env={"PYTHONPATH": str(surroundings())}
    )
    assert result.ret == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(result.outlines))
    assert text.count("stitch::p-a Add the store of [all] documents") == 1


@pytest.mark.usefixtures("fresh_start")  # Python reads the locale when it starts
def test_titles_outside_the_encoding_of_the_locale_are_escaped(project: Project) -> None:
    """A task whose title the locale cannot write ended with an error, after its agent was paid."""
    seed(project, task("p-a", title="Größe — 日本"))
    project.agent.measure().writes_tasks([{"title": "Straße"}])
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    result = project.run("--cobbler-generate", "-v", "-s", env=plain)
    assert result.ret == 0, "\n".join([*result.outlines, *result.errlines])
    assert [commit.title for commit in project.landed()] == ["Größe — 日本", "Straße"]
    assert "Größe — 日本 (p-a)" in names(project.directory / "run-1" / "junit.xml")
    result.stdout.fnmatch_lines([r"*::p-a Gr\xf6\xdfe \u2014 \u65e5\u672c (*s) LANDED", r"  * Stra\xdfe"])
    shown = project.run("--cobbler-show", "p-a", "-s", env=plain)
    assert (shown.ret, shown.outlines[0]) == (0, r"p-a Gr\xf6\xdfe \u2014 \u65e5\u672c (closed)")


def test_a_repository_below_a_directory_with_brackets(project: Project, tmp_path: Path) -> None:
    """The doctor was content; then the run ended with exit 4, after it had made a branch."""
    place = tmp_path / "a[1]" / "project"
    place.parent.mkdir()
    project.path.rename(place)
    project.path = place
    seed(project, task("p-a", title="Add the store"))
    project.agent.measure().writes_tasks([])
    assert project.run("--cobbler-generate", "--collect-only").ret == 0
    result = project.run("--cobbler-generate")
    assert result.ret == 0, "\n".join([*result.outlines, *result.errlines])
    assert [commit.task for commit in project.landed()] == ["p-a"]
    named = project.run("--cobbler-generate", f"{place}/configuration.yaml::measure")
    assert named.ret == 0, "\n".join(named.errlines)
    assert project.run("--cobbler-stop").ret == 0
