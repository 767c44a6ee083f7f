"""The table of agents in the documentation, made of the reports of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.agent_table import BEGIN, END, PAGE, main
from tests.support.real_agents import EVERY, FACTS

REPORT = """<testsuites><testsuite>
<testcase name="test_lands[claude]"><properties>
<property name="agent" value="claude"/><property name="shown" value="lands"/>
</properties></testcase>
<testcase name="test_limits[acp]"><properties>
<property name="agent" value="acp"/><property name="shown" value="limited"/>
</properties><failure/></testcase>
<testcase name="test_lands[acp-gemini]"><properties>
<property name="agent" value="acp-gemini"/><property name="shown" value="lands"/>
</properties></testcase>
</testsuite></testsuites>"""


def test_the_table_has_what_was_shown_and_names_what_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{BEGIN}old\n{END}\nAfter.\n")
    (tmp_path / "1.xml").write_text(REPORT)

    assert main(str(tmp_path), page) == 1

    before, _, rest = page.read_text().partition(BEGIN)
    rows = rest.partition(END)[0].split("\n")[1:]
    assert (before, rows[0]) == ("Before.\n\n", "|  | claude | acp | acp-gemini |")
    assert rows[2] == "| lands | yes |  | yes |"
    assert "| limited |  | yes | as acp |" in rows
    assert "| killed and gone on |  |  | no: [a new one](acp.md) |" in rows
    assert len([row for row in rows if row]) == len(FACTS) + 2
    assert capsys.readouterr().err == "acp: test_limits[acp] failed\n"


def test_without_reports_the_table_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("as it was")
    assert main(str(tmp_path), page) == 1
    assert page.read_text() == "as it was"


def test_the_page_has_every_agent_that_is_built_in() -> None:
    head = PAGE.read_text("utf-8").partition(BEGIN)[2].strip().splitlines()[0]
    assert set(EVERY) <= set(head.strip("| ").split(" | "))
