"""The JUnit report is valid, whatever text an agent or a tracker puts into it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import xmlschema

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project
from tests.support.sessions import came_to, seed, task

SCHEMA = xmlschema.XMLSchema10(Path(__file__).parents[1] / "data" / "xunit2.xsd")
ODD = "<b>&amp;]]>\"' \x01\t\x1b[31m\x7f\x85\u200b\u2028\ufffe\U0001f980 größe"
"""Markup, control characters, what XML 1.0 has no way to write, and what takes more than 16 bits."""
BYTES = b"<not> & utf-8: \x00\xff\xfe\x80 \xed\xa0\x80\n"
LIMIT = "Claude AI usage limit reached|1893456000"


@pytest.fixture
def project(cobbler_project: Project, cobbler_agent: StandInAgent) -> Project:
    """A task for each outcome, with an odd title; what agents and the gate print is odd, too."""
    octal = "".join(f"\\{byte:03o}" for byte in ODD.encode() + BYTES)
    cobbler_project.configure(test_command="cat *.txt; ! grep -a -l wrong *.txt", max_attempts=1, jobs=1)
    cobbler_agent.task("limited").prints(ODD).reports(error=LIMIT)
    cobbler_agent.otherwise().runs(
        f"""
        printf '{octal}' | tee /dev/stderr
        case $COBBLER_TASK_ID in
        landed) printf 'fine {octal}' >a.txt ;;
        gate) printf 'wrong {octal}' >b.txt ;;
        refused) echo >conftest.py ;;
        agent) exit 3 ;;
        esac
        """
    )
    first = [task(name, title=f"{name} {ODD}", priority=1) for name in ("landed", "gate", "agent", "refused")]
    seed(
        cobbler_project,
        *first,
        task("blocked", "gate", title=f"blocked {ODD}"),
        task("limited", priority=0),
        task("cancelled", title=f"cancelled {ODD}", priority=4),
    )
    return cobbler_project


def test_every_outcome_is_valid_in_the_schema_of_pytest(project: Project) -> None:
    result = project.run("--cobbler-generate", "-o", "junit_logging=all", "--maxfail=3")

    assert came_to(result) == {
        "stitch::landed": "landed",
        "stitch::gate": "failed",
        "stitch::agent": "failed",
        "stitch::refused": "failed",
        "stitch::blocked": "blocked",
        "stitch::limited": "limited",
        "stitch::cancelled": "cancelled",
        "measure::cycle-1": "cancelled",
    }
    report = project.directory / "run-1" / "junit.xml"
    assert [error.reason for error in SCHEMA.iter_errors(str(report))] == []
    shown = result.junit["configuration.yaml::stitch::landed"].properties["cobbler_title"]
    assert "<b>&amp;]]>\"'" in shown
    assert "\U0001f980 größe" in shown
    text = report.read_text("utf-8")
    assert "utf-8: " in text, "what agents printed is in it"
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe]", text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda case: case.attrib.pop("name"),
        lambda case: case.set("time", "soon"),
        lambda case: case.set("path", "configuration.yaml"),
        lambda case: ElementTree.SubElement(case, "stdout"),
        lambda case: ElementTree.SubElement(case, "flakyFailure"),
        lambda case: ElementTree.SubElement(ElementTree.SubElement(case, "properties"), "property"),
    ],
)
def test_the_schema_rejects_invalid_reports(spoil: object) -> None:
    suite = '<testsuite name="pytest" errors="0" failures="0" tests="1" time="0.1">'
    case = '<testcase classname="a" name="b" time="0.000"/>'
    root = ElementTree.fromstring(f"<testsuites>{suite}{case}</testsuite></testsuites>")
    assert SCHEMA.is_valid(root)
    assert callable(spoil)
    spoil(next(root.iter("testcase")))
    assert not SCHEMA.is_valid(root)
