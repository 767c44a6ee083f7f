"""What the JUnit report has of each item, as another program reads it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import xmlschema
from junitparser import xunit2

from pytest_cobbler.causes import Cause
from pytest_cobbler.story.model import Attempt, Item
from pytest_cobbler.story.retries import add_flaky_tests, add_retries
from pytest_cobbler.testing.project import Project
from tests.support.sessions import seed, task

SCHEMA = xmlschema.XMLSchema10(Path(__file__).parents[1] / "data" / "xunit2.xsd")


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """A task that lands in its second attempt, one that never does, and one that it blocks."""
    agent = cobbler_project.agent
    cobbler_project.configure(max_attempts=2, jobs=1, cycles=0, test_command="! grep -l wrong *.txt")
    agent.task("Twice").writes("a.txt", "wrong\n").prints("First <try>")
    agent.task("Twice", attempt=2).writes("a.txt", "right\n").prints("Second \x1b[31m<try>")
    agent.task("Never").writes("b.txt", "wrong\n").prints("I cannot.")
    agent.task("Never", attempt=2).prints("I give up.").fails()
    seed(
        cobbler_project,
        task("p-a", title="Twice"),
        task("p-b", title="Never"),
        task("p-c", "p-b", title="Later"),
    )
    return cobbler_project


def cases_of(report: Path) -> Mapping[str, Any]:
    return {case.name: case for suite in xunit2.JUnitXml.fromfile(str(report)) for case in suite}


@pytest.mark.parametrize("family", ["xunit2", "xunit1"])
def test_causes_attempts_and_transcripts_are_read_back(project: Project, family: str) -> None:
    assert project.run("--cobbler-generate", "-o", f"junit_family={family}", "-p", "xdist").ret == 1
    report = project.directory / "run-1" / "junit.xml"
    cases = cases_of(report)
    twice, never, later = (cases[name] for name in ("Twice (p-a)", "Never (p-b)", "Later (p-c)"))
    assert [case._elem.get("file") for case in cases.values()] == ["configuration.yaml"] * 3
    attempts = f".cobbler/{project.generation}/attempts"

    assert (twice.is_passed, twice.is_flaky, twice.is_rerun) == (True, True, False)
    [flaky] = twice.flaky_failures()
    assert (flaky.type, flaky.message) == ("gate", "gate: test failed (exit 1)")
    assert flaky.stack_trace == f"attempt 1: {flaky.message}\n{attempts}/p-a/1"
    assert twice.system_out == "| First <try>\n| Second \\x1b[31m<try>"

    assert (never.is_failure, never.is_flaky, never.is_rerun) == (True, False, True)
    assert [result.type for result in never.result] == ["agent"]
    [rerun] = never.rerun_failures()
    assert (rerun.type, rerun.stack_trace.split("\n")[1]) == ("gate", f"{attempts}/p-b/1")
    assert never.system_out == "| I cannot.\n| I give up."

    assert (later.is_skipped, later.interim_result) == (True, [])
    assert [result.type for result in later.result] == ["needs"]
    assert str(project.path) not in report.read_text("utf-8")
    if family == "xunit2":
        assert [error.reason for error in SCHEMA.iter_errors(str(report))] == []


def test_a_transcript_that_pytest_has_written_is_not_written_again(project: Project) -> None:
    assert project.run("--cobbler-generate", "-o", "junit_logging=all").ret == 1
    tree = ElementTree.parse(project.directory / "run-1" / "junit.xml")
    outputs = [output.text or "" for output in tree.iter("system-out")]
    assert "".join(outputs).count("I give up.") == 1


def test_only_attempts_that_did_not_decide_the_outcome_are_retries() -> None:
    landed = Attempt(number=3, begin=0.0, commit="c")
    failed = [Attempt(number=n, begin=0.0, cause=Cause.GATE, summary=f"\x1b<{n}>") for n in (1, 2)]
    expected = {
        "landed": (Item(key="stitch::a", outcome="landed", attempts=[*failed, landed]), ["flakyFailure"] * 2),
        "failed": (Item(key="stitch::a", outcome="failed", attempts=failed), ["rerunFailure"]),
        "once": (Item(key="stitch::a", outcome="landed", attempts=[landed]), []),
        "never": (Item(key="stitch::a", outcome="blocked"), []),
        "proposed": (
            Item(key="measure::a", outcome="proposed", attempts=[failed[0], Attempt(number=2, begin=0.0)]),
            ["flakyFailure"],
        ),
    }
    for item, tags in expected.values():
        case = ElementTree.Element("testcase", name="a")
        add_retries(case, item, "dir")
        assert [retry.tag for retry in case] == tags
        assert all((retry.get("type"), retry.get("message")) == ("gate", r"\x1b<1>") for retry in case[:1])
        assert [retry.findtext("stackTrace") for retry in case[:1]] == [
            "attempt 1: \\x1b<1>\ndir/attempts/a/1"
        ] * len(tags[:1])


def test_flaky_tests_of_a_gate_are_one_flaky_failure() -> None:
    case = ElementTree.Element("testcase", name="a")
    add_flaky_tests(case, "tests/a.py::b")
    [flaky] = case
    assert (flaky.tag, flaky.get("type")) == ("flakyFailure", "gate")
    assert flaky.get("message") == "failed and passed on the same files: tests/a.py::b"
