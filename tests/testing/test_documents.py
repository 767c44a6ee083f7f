"""The examples of the documentation work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_cobbler.cycle.prompts import MeasureFacts, measure_prompt

DOCS = Path(__file__).parents[2] / "docs"


def example(name: str, language: str) -> str:
    [found] = re.findall(
        rf"^```{language}\n(.*?)^```$", (DOCS / name).read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    return str(found)


def test_the_fixtures_example_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(example("fixtures.md", "python"))
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_template_example_is_a_template() -> None:
    facts = MeasureFacts(limit=3, output_path="/tmp/out.json", lines_min=10, lines_max=20)
    assert measure_prompt(example("prompts.md", "markdown"), facts).startswith(
        "Propose at most 3 tasks of 10 to 20 lines for this repository. Read docs/VISION.md first.\n\n"
        "These are known: []\n\n"
        "Write a JSON array of objects with index, title, description and dependency to /tmp/out.json.\n"
    )
