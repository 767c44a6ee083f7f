"""The table at the end of a run fits every terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.display import width
from pytest_cobbler.session.table import Line, table
from pytest_cobbler.story.ends import Row
from pytest_cobbler.usage import NOTHING, Usage

PAID = Usage(cost_usd=0.25)


def row(
    name: str, title: str = "", outcome: str = "landed", cause: Cause = Cause.NONE, attempts: int = 1
) -> Row:
    return Row(
        key=f"stitch::{name}",
        title=title,
        outcome=outcome,
        cause=cause,
        summary="",
        commit="c0fb7ef07c68e1" if outcome == "landed" else "",
        attempts=attempts,
        seconds=12.0 if attempts else None,
        useful=PAID if outcome == "landed" else NOTHING,
        wasted=NOTHING if outcome == "landed" or not attempts else Usage(cost_usd=1.5, cost_is_partial=True),
        began=1.0 if attempts else None,
        ended=20.0,
    )


ROWS = [
    row("p-1", "Add the store"),
    row("p-2", "資料を" * 20 + "\x1b[31m\n", outcome="failed", cause=Cause.GATE, attempts=3),
    row("p-3", "Search for words", outcome="blocked", cause=Cause.NEEDS, attempts=0),
]


def lines(rows: list[Row], columns: int, verbosity: int = 0) -> list[str]:
    return ["".join((line.before, line.word, line.after)) for line in table(rows, columns, verbosity)]


def test_a_row_has_title_outcome_attempts_time_cost_and_cause() -> None:
    heading, first, second, third = lines(ROWS, 120)
    assert heading.split() == ["title", "outcome", "attempts", "time", "USD", "cause/commit"]
    assert first.split() == ["p-1", "Add", "the", "store", "LANDED", "1", "12s", "0.2500", "c0fb7ef07c68"]
    assert second.split()[-5:] == ["FAILED", "3", "12s", ">=1.5000", "gate"]
    assert third.split() == ["p-3", "Search", "for", "words", "BLOCKED", "needs"]
    assert (
        len(
            {
                line.index(word)
                for line, word in zip(lines(ROWS, 120)[1:], ("LANDED", "FAILED", "BLOCKED"), strict=True)
            }
        )
        == 2
    )


@pytest.mark.parametrize("columns", [*range(8, 60), 80, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    shown = lines(ROWS, columns)
    assert len(shown) == (4 if columns >= 80 else 3)
    assert all(width(line) <= columns and line.isprintable() for line in shown), shown
    assert all(line.startswith("p-") for line in shown[-3:])


def test_a_narrow_terminal_shows_the_outcome_and_the_most_important_rest() -> None:
    assert lines(ROWS, 40) == [
        "p-1 Add the store LANDED    0.2500",
        "p-2 資料を資料を… FAILED  >=1.5000 gate",
        "p-3 Search for w… BLOCKED          needs",
    ]


def test_agents_that_cost_nothing_have_no_column_of_costs() -> None:
    free = [replace(row(name), useful=replace(PAID, cost_usd=0.0)) for name in ("p-1", "p-2")]
    assert lines(free, 80)[0].split() == ["title", "outcome", "attempts", "time", "cause/commit"]
    assert "USD" in lines([*free, ROWS[0]], 80)[0]


def test_the_outcome_has_a_colour_and_nothing_else_has() -> None:
    shown = list(table(ROWS, 80, 0))[1:]
    assert [(line.word, dict(line.markup)) for line in shown] == [
        ("LANDED", {"green": True}),
        ("FAILED", {"red": True}),
        ("BLOCKED", {"yellow": True}),
    ]
    assert isinstance(shown[0], Line)


def test_a_quiet_run_shows_what_did_not_succeed() -> None:
    assert [line.split()[0] for line in lines(ROWS, 79, -1)] == ["p-2", "p-3"]
    assert lines(ROWS[:1], 80, -1) == []
    assert lines([], 80) == []


def test_of_many_items_those_that_did_not_succeed_come_first() -> None:
    rows = [*(row(f"l-{number}") for number in range(100)), *ROWS[1:]]
    shown = lines(rows, 79)
    assert [line.split()[0] for line in shown[:3]] == ["p-2", "p-3", "l-0"]
    assert (len(shown), shown[-1]) == (41, "and 62 more, see the report")
    assert len(lines(rows, 79, 1)) == 102
