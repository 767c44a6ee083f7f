"""A run on the page of a GitHub job: complete, at most 1 MiB, and no text of an agent is markup."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from pytest_cobbler.causes import Cause
from pytest_cobbler.publishing.step_summary import LARGEST, step_summary
from pytest_cobbler.story.fold import read_story
from pytest_cobbler.story.model import Attempt, Item, Phase, Run, Span
from pytest_cobbler.usage import Usage
from tests.support.hostile_texts import ATTACKS
from tests.support.reported import GENERATION, MadeUp

REPORT = "report: .cobbler/generation/report.html"


def item(name: str, title: str, outcome: str = "landed", summary: str = "", needs: int = 0) -> Item:
    begin = 1_800_000_000.0 + needs
    return Item(
        key=f"stitch::{name}",
        title=title,
        outcome=outcome,
        cause=Cause.GATE if outcome == "failed" else Cause.NONE,
        summary=summary,
        commit="c0ffee" * 6 if outcome == "landed" else "",
        spans=[Span(phase=Phase.AGENT, begin=begin, end=begin + 5)],
        attempts=[
            Attempt(
                number=1, begin=begin, usage=Usage(cost_usd=0.5), commit="c" if outcome == "landed" else ""
            )
        ],
        ended=begin + 5,
    )


def elements(markdown: str) -> set[str]:
    """The elements of which the page is made, all of which GitHub keeps."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    return set(re.findall(r"<([a-z][a-z0-9]*)", page))


def run_of(*items: Item) -> Run:
    return Run(id="r", began=1.0, last=1_800_000_100.0, items={one.key: one for one in items})


def test_the_summary_has_the_table_the_causes_and_the_timeline(tmp_path: Path) -> None:
    config, _ = MadeUp(tasks=12).make(tmp_path)
    run = read_story(config.cobbler_dir / GENERATION / "journal.jsonl").run
    assert run is not None
    text = html.unescape(step_summary(run, GENERATION, REPORT)).replace("\u2060", "")
    assert text.startswith(f"### {GENERATION}: 10 landed, 2 failed\n")
    assert re.search(
        r"^\| t-000 .* \(0\) \| ✅ landed \| 1 \| \d+s \| \d\.\d{4} \| [0-9a-f]{12} \|$", text, re.M
    )
    assert re.search(r"^\| t-004 .* \(4\) \| ❌ failed \| 2 \| .* \| gate \|$", text, re.M)
    assert text.index("| t-004") < text.index("| t-000"), "what needs a look comes first"
    assert re.search(r"^Cost: landed \d+\.\d{4} USD, wasted \d+\.\d{4} USD$", text, re.M)
    assert re.search(r"^\*\*gate\*\*\n\n\* t-004 .*: gate: FAILED tests/test_words.py", text, re.M)
    gantt = text.partition("```mermaid\n")[2].partition("```")[0].split("\n")
    assert gantt[:3] == ["gantt", "  dateFormat x", "  axisFormat %H:%M:%S"]
    assert len(gantt[3:-1]) == 12
    assert re.fullmatch(r"  ✓ t-000 [\w .]+ :done, \d{13}, \d{13}", gantt[3])
    assert text.rstrip().endswith(f"\n{REPORT}")


def test_what_was_paid_for_work_that_goes_on_is_not_called_wasted() -> None:
    items = [item("a", "A"), item("b", "B", "cancelled"), item("c", "C", "limited"), item("d", "D", "failed")]
    shown = "Cost: landed 0.5000 USD, unfinished 1.0000 USD, wasted 0.5000 USD"
    text = html.unescape(step_summary(run_of(*items), GENERATION, REPORT)).replace("\u2060", "")
    assert shown in text.split("\n")


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "```\n# x", "@octocat #1 :tada: www.evil.example a@b.c", "| x |\n| - |"]
)
def test_no_text_of_an_agent_is_markup(attack: str) -> None:
    text = step_summary(run_of(item("p-1", attack, "failed", attack)), GENERATION, REPORT)
    before, _, rest = text.partition("```mermaid\n")
    gantt, _, after = rest.partition("```\n")
    assert re.fullmatch(r"gantt\n  dateFormat x\n  axisFormat %H:%M:%S\n  ✗ [\w .-]+:crit, \d+, \d+\n", gantt)
    fixed = re.sub(r"&#\d+;", "", before + after)
    assert "`" not in fixed
    assert not re.search(r"[<>\[\]@_~]|www\.|://", fixed), fixed
    assert elements(text) == {
        *("h3", "h4", "p", "strong", "ul", "li", "pre", "code", "table", "thead", "tbody", "tr", "th", "td")
    }
    shown = html.unescape(before)
    assert not re.search(
        r"[@#:](?=[^\s\u2060])(?!#)", shown.partition("\n\n")[2].replace(":--", "").replace("--:", "")
    )
    assert [line.count("|") for line in text.split("\n") if line.startswith("|")] == [7, 7, 7]


@pytest.mark.slow
def test_ten_thousand_tasks_fit_into_a_mebibyte() -> None:
    items = [item(f"p-{number}", "Größe & <b>" * 12, "landed", "", number) for number in range(9_000)]
    items += [item(f"f-{number}", "Break", "failed", "x" * 400, number) for number in range(1_000)]
    text = step_summary(run_of(*items), GENERATION, REPORT)
    assert LARGEST - 5_000 < len(text.encode()) <= LARGEST
    rows = len(re.findall(r"^\| [fp]&#45;", text, re.M))
    assert f"\n{10_000 - rows} more items are in the report.\n" in text
    assert rows > 1_000
    assert "\n900 more\n" in text
    assert "The timeline has the first 100 of 10000 items." in text
    assert len(text.partition("```mermaid")[2].partition("```")[0]) < 50_000


def test_the_summary_takes_no_more_room_than_there_is() -> None:
    items = [item(f"p-{number}", "Title") for number in range(200)]
    assert step_summary(run_of(*items), GENERATION, REPORT, room=100) == ""
    for room in (14_000, 16_000):
        text = step_summary(run_of(*items), GENERATION, REPORT, room=room)
        assert room - 300 < len(text.encode()) <= room
