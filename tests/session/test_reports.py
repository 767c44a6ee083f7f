"""A run in pytest's own reports: JUnit, durations, captured sections, header and summary."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from pytest_cobbler.testing.project import Project, RunResult
from tests.support.sessions import WRITES_A_FILE, measure, seed, stitch, task

NOTHING_USED = {
    "cobbler_cost_usd": "0.0",
    "cobbler_attempts": "0",
    "cobbler_agent_seconds": "0.0",
    "cobbler_gate_seconds": "0.0",
    "cobbler_queue_seconds": "0.0",
    "cobbler_tokens_input": "0",
    "cobbler_tokens_output": "0",
    "cobbler_tokens_cache_read": "0",
    "cobbler_tokens_cache_write": "0",
}
SECONDS = ("cobbler_agent_seconds", "cobbler_gate_seconds", "cobbler_queue_seconds")
USAGE: dict[str, Any] = {
    "cost_usd": 0.25,
    "tokens_input": 11,
    "tokens_output": 22,
    "tokens_cache_read": 33,
    "tokens_cache_write": 44,
    "model": "tiny-1",
}


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A slow task that fails the gate at first, one that fails, one that it blocks, and a measure."""
    agent = cobbler_project.agent
    cobbler_project.configure(test_command="! grep -l wrong *.txt", max_attempts=2)
    agent.task("Slow").writes("a.txt", "wrong\n").sleeps(0.4).prints("First try").reports(**USAGE)
    agent.task("Slow", attempt=2).writes("a.txt", "right\nright\n").deletes("README.md").sleeps(0.4).prints(
        "Second try"
    ).reports(**USAGE)
    agent.task("Bad").sleeps(0.3).fails()
    agent.measure().reports(**USAGE).prints("Nothing is missing.").writes_tasks([])
    seed(
        cobbler_project,
        task("p-slow", title="Slow"),
        task("p-bad", title="Bad"),
        task("p-later", "p-bad", title="Later"),
    )
    return cobbler_project


@pytest.mark.matrix("costly")
def test_a_run_in_all_its_reports(project: Project) -> None:
    """One run, since it takes seconds; each part of the report is a function below."""
    result = project.run(
        "--cobbler-generate", "-rP", "--durations=0", "-vv", "-o", "junit_logging=system-out"
    )
    assert result.ret == 1
    junit_has_a_case_for_each_item(result)
    a_landed_item_has_every_property(project, result)
    a_failed_item_says_what_it_used_and_why(result)
    an_item_that_was_not_started_used_nothing(project, result)
    a_measure_has_no_task(project, result)
    times_are_those_of_agent_gate_and_landing(result)
    the_transcript_is_a_captured_section(project, result)
    header_and_summary_say_what_ran_and_what_came_of_it(project, result)


def junit_has_a_case_for_each_item(result: RunResult) -> None:
    outcomes = {name: case.outcome for name, case in result.junit.items()}
    assert outcomes == {
        stitch("p-slow"): "passed",
        stitch("p-bad"): "failed",
        stitch("p-later"): "skipped",
        measure(): "passed",
    }
    assert result.junit[stitch("p-later")].message == "blocked by p-bad, which did not land"


def a_landed_item_has_every_property(project: Project, result: RunResult) -> None:
    properties = dict(result.junit[stitch("p-slow")].properties)
    seconds = {name: float(properties.pop(name)) for name in SECONDS}
    transcript = project.path / properties.pop("cobbler_transcript")
    assert properties == {
        "cobbler_task": "p-slow",
        "cobbler_title": "Slow",
        "cobbler_generation": project.generation,
        "cobbler_cycle": "0",
        "cobbler_outcome": "landed",
        "cobbler_attempts": "2",
        "cobbler_commit": project.landed()[0].commit,
        "cobbler_tokens_input": "22",
        "cobbler_tokens_output": "44",
        "cobbler_tokens_cache_read": "66",
        "cobbler_tokens_cache_write": "88",
        "cobbler_cost_usd": "0.5",
        "cobbler_model": "tiny-1",
        "cobbler_insertions": "2",
        "cobbler_deletions": "1",
        "cobbler_tests": "what ran is unknown",
    }
    assert seconds["cobbler_agent_seconds"] >= 0.8
    assert seconds["cobbler_gate_seconds"] > 0
    assert "Second try" in transcript.read_text()


def a_failed_item_says_what_it_used_and_why(result: RunResult) -> None:
    properties = result.junit[stitch("p-bad")].properties
    assert properties["cobbler_outcome"] == "failed"
    assert properties["cobbler_cause"] == "agent"
    assert properties["cobbler_attempts"] == "2"
    assert (properties["cobbler_cost_usd"], properties["cobbler_cost_is_partial"]) == ("0.0", "true")
    assert float(properties["cobbler_agent_seconds"]) >= 0.6
    assert "cobbler_commit" not in properties


def an_item_that_was_not_started_used_nothing(project: Project, result: RunResult) -> None:
    assert result.junit[stitch("p-later")].properties == NOTHING_USED | {
        "cobbler_task": "p-later",
        "cobbler_title": "Later",
        "cobbler_generation": project.generation,
        "cobbler_cycle": "0",
        "cobbler_outcome": "blocked",
        "cobbler_cause": "needs",
        "cobbler_insertions": "0",
        "cobbler_deletions": "0",
    }


def a_measure_has_no_task(project: Project, result: RunResult) -> None:
    properties = dict(result.junit[measure()].properties)
    for name in (*SECONDS, "cobbler_transcript"):
        assert properties.pop(name)
    assert properties == {
        "cobbler_generation": project.generation,
        "cobbler_cycle": "1",
        "cobbler_outcome": "proposed",
        "cobbler_attempts": "1",
        "cobbler_tokens_input": "11",
        "cobbler_tokens_output": "22",
        "cobbler_tokens_cache_read": "33",
        "cobbler_tokens_cache_write": "44",
        "cobbler_cost_usd": "0.25",
        "cobbler_model": "tiny-1",
    }


def times_are_those_of_agent_gate_and_landing(result: RunResult) -> None:
    for name in ("p-slow", "p-bad", "p-later"):
        case = result.junit[stitch(name)]
        used = sum(float(case.properties[part]) for part in SECONDS[:2])
        assert used <= case.time < used + 2
    shown = {
        line.split()[2]: float(line.split("s")[0])
        for line in result.outlines
        if re.match(r"[\d.]+s call ", line)
    }
    assert shown[stitch("p-slow")] >= 0.8
    assert shown[stitch("p-bad")] >= 0.6
    assert shown[stitch("p-later")] == 0


def the_transcript_is_a_captured_section(project: Project, result: RunResult) -> None:
    result.stdout.fnmatch_lines(
        ["*___ stitch::p-slow Slow ___*", "*Captured stdout transcript call*", "| First try", "| Second try"]
    )
    (report,) = project.directory.glob("run-1/junit.xml")
    sections = {
        case.get("name"): case.findtext("system-out") or ""
        for case in ElementTree.parse(report).getroot().iter("testcase")
    }
    assert "Second try" in sections["Slow (p-slow)"]
    assert "Nothing is missing." in sections["cycle-1"]
    assert "stdout" not in sections["Later (p-later)"]


def header_and_summary_say_what_ran_and_what_came_of_it(project: Project, result: RunResult) -> None:
    commit = project.landed()[0].commit[:12]
    generation = project.generation
    result.stdout.fnmatch_lines(
        [
            f"cobbler: {generation} on main (started now)",
            "sandbox: no sandbox: jobs run as *",
            "agent: sh *agent.sh, 2 in parallel, network open",
            "gate: true; ! grep -l wrong [*].txt",
            "*- cobbler -*",
            "title * outcome * attempts * time * USD * cause/commit",
            f"p-slow Slow * LANDED * 2 * 0.5000 * {commit}",
            f"{generation}: 1 landed, 1 failed, 1 blocked; tip {commit}",
            "agents: *.* s, at least 0.7500 USD",
            "cost: landed 0.2500 USD, wasted at least 0.2500 USD, measures 0.2500 USD",
            f"transcripts: {project.path}/.cobbler/{generation}",
            f"report: {project.path}/.cobbler/{generation}/report.html",
        ]
    )


def test_the_header_lists_options_that_are_turned_off_or_weaken_the_sandbox(cobbler_project: Project) -> None:
    cobbler_project.configure(build_command=False, test_command=False)
    result = cobbler_project.run("--cobbler-generate")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "gate: none: what lands is neither built nor tested",
            "gate: build is turned off",
            "gate: test is turned off",
        ]
    )


def test_live_logging_shows_steps_as_they_happen(cobbler_project: Project) -> None:
    cobbler_project.configure(silence_agent=False)
    cobbler_project.agent.task("p-a").prints("Reading the \x1b[1mdocuments").runs(WRITES_A_FILE)
    seed(cobbler_project, task("p-a"))
    result = cobbler_project.run("--cobbler-generate", "-k", "p-a")
    step = r"??:??:?? p-a: Reading the \x1b[[]1mdocuments"
    result.stdout.fnmatch_lines([step, "configuration.yaml L *100%*"])


def test_the_notes_on_a_change_are_in_report_junit_and_commit(cobbler_project: Project) -> None:
    cobbler_project.agent.task("Fixtures").writes("tests/conftest.py", "x = 1\n")
    seed(cobbler_project, task("p-a", title="Fixtures"))
    result = cobbler_project.run("--cobbler-generate", "--cobbler-cycles=0", "-rP")
    note = "review these: tests/conftest.py"
    result.stdout.fnmatch_lines(
        [
            "gate: what ran is unknown: it leaves no report of its tests (gate_report)",
            "*Captured stdout notes call*",
            "tests: what ran is unknown",
            note,
        ]
    )
    assert result.junit[stitch("p-a")].properties["cobbler_notes"] == note
    (landed,) = cobbler_project.landed()
    assert f"\n\n* {note}\n\n" in cobbler_project.git("show", "-s", "--format=%B", landed.commit)
