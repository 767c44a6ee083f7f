"""The block of a live view, as lines for a terminal of any size."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.display import width
from pytest_cobbler.story.following import Doing
from pytest_cobbler.story.model import Attempt, Item, Phase, Run, Span
from pytest_cobbler.usage import Usage
from pytest_cobbler.view.lines import block, counted_tokens, run_lines, text_of

NOW = 1_000.0


def item(name: str, phase: Phase, *, since: float = 60.0, **facts: Any) -> Item:
    """An item that began so many seconds ago and is in a phase."""
    spans = [Span(phase=phase, begin=NOW - since)]
    attempts = facts.pop("attempts", [Attempt(number=1, begin=NOW - since)])
    return Item(key=f"stitch::{name}", spans=spans, attempts=attempts, **facts)


def run_of(*items: Item, **facts: Any) -> Run:
    return Run(id="r", began=NOW - 754, last=NOW, items={one.key: one for one in items}, facts=facts)


def shown(run: Run, columns: int, rows: int = 20, doing: Doing | None = None, **more: Any) -> list[str]:
    lines = block(run, lambda one: doing if one.phase is Phase.AGENT else None, NOW, columns, rows, **more)
    return [text_of(line) for line in lines]


ONE = item("p-1", Phase.AGENT, title="Name lock files after their owner", since=73)
ONE.attempts[0].charged = 0.125
TWO = item("words-7yh", Phase.QUEUED, title="Count words", attempts=[Attempt(number=12, begin=NOW)])
LANDED = Item(key="stitch::p-0", outcome="landed")
WAITING = Item(key="stitch::p-3")
RUN = run_of(ONE, TWO, LANDED, WAITING, limits={"budget_usd": 5.0})
STEP = Doing(step="Bash pytest -q tests/test_store.py", noticed=NOW)


def test_a_line_for_each_item_at_work_and_one_for_the_run() -> None:
    assert shown(RUN, 99, doing=STEP) == [
        "p-1 Name lock files aft…  agent            #1   Bash pytest -q tests/test_store.py  1m13s  0.12 USD",
        "words-7yh Count words     waiting to land  #12                                      1m00s          ",
        "12m34s, 2 running, 1 landed, 1 waiting, 0.12 of 5.00 USD spent",
    ]


def test_a_narrow_terminal_has_short_words_and_no_room_for_steps() -> None:
    assert shown(RUN, 39, doing=STEP) == [
        "p-1 Name loc… agent  #1  1m13s 0.12 USD",
        "words-7yh Co… queued #12 1m00s         ",
        "12m34s, 2 running, 1 landed, 1 waiting,",
        "0.12 of 5.00 USD spent",
    ]


def test_the_steps_get_the_room_that_the_titles_leave() -> None:
    assert shown(run_of(item("p-1", Phase.AGENT)), 60, doing=STEP)[0] == (
        "p-1  agent  #1  Bash pytest -q tests/test_store.py     1m00s"
    )


def test_the_agent_and_the_node_of_an_attempt_stand_behind_its_number() -> None:
    one = item("p-1", Phase.AGENT, attempts=[Attempt(number=2, begin=NOW, agent="codex", node="n\x1b3")])
    assert "  #2 n\\x1b3  " in shown(run_of(one), 80)[0]
    one.names_agents = True
    assert "  #2 codex n\\x1b3  " in shown(run_of(one), 80)[0]


def test_the_cost_of_an_agent_that_reported_none_makes_the_sum_a_lower_bound() -> None:
    ended = [Attempt(number=1, begin=NOW, usage=usage) for usage in (Usage(cost_usd=0.25), Usage())]
    lines = [shown(run_of(item("p-1", Phase.BETWEEN, attempts=part)), 80) for part in (ended, ended[1:])]
    # That nothing is known is told once, on the line of the run.
    assert [("USD" in row and row.split("  ")[-1], run) for row, run in lines] == [
        (">=0.25 USD", "12m34s, 1 running, 0 landed, 0 waiting, at least 0.25 USD spent"),
        (False, "12m34s, 1 running, 0 landed, 0 waiting, at least 0.00 USD spent"),
    ]


@pytest.mark.parametrize(("rows", "lines"), [(20, 7), (7, 7), (6, 6), (3, 3), (2, 2), (1, 1)])
def test_more_items_than_rows_are_counted(rows: int, lines: int) -> None:
    run = run_of(*(item(f"p-{number}", Phase.AGENT) for number in range(6)))
    texts = shown(run, 80, rows)
    assert len(texts) == lines
    assert texts[-1] == "12m34s, 6 running, 0 landed, 0 waiting"
    if 1 < rows < 7:
        assert texts[-2] == f"and {6 - (rows - 2)} more at work"


def test_what_an_agent_does_is_relative_to_its_worktree_and_cannot_steer_the_terminal() -> None:
    one = item("p-1", Phase.AGENT, attempts=[Attempt(number=1, begin=0, worktree="/w/p-1-1")])
    doing = Doing(step="Read /w/p-1-1/src/a.py \x1b[2J\r##[error]no\u202e", noticed=NOW)
    assert r"  Read src/a.py \x1b[2J \x23#[error]no\u202e  " in shown(run_of(one), 100, doing=doing)[0]


def test_an_agent_that_prints_nothing_is_thinking() -> None:
    recent = Doing(step="Bash make", noticed=NOW - 2, is_thinking=True, tokens=12_345)
    silent = Doing(step="Bash make", noticed=NOW - 9, is_thinking=True, tokens=12_345)
    working = Doing(step="Bash make", noticed=NOW - 900)
    for doing, words in ((recent, "Bash make"), (silent, "thinking, 12.3k tokens"), (working, "Bash make")):
        assert f"#1  {words}  " in shown(run_of(ONE), 100, doing=doing)[0]


def test_between_attempts_the_reason_is_shown() -> None:
    attempt = Attempt(number=1, begin=0, summary="gate: tests failed")
    line = shown(run_of(item("p-1", Phase.BETWEEN, attempts=[attempt])), 80)[0]
    assert line.startswith("p-1  between attempts  #1  gate: tests failed ")


def test_the_line_of_the_run_names_what_it_waits_for_and_how_it_ends() -> None:
    run = run_of(Item(key="stitch::a", outcome="failed"), Item(key="measure::cycle-1"))
    run.api = "API error 429; 1 agent from 14:32:10"
    assert [text_of(line) for line in run_lines(run, NOW, 200, stopping="stopping: 1 item to end")] == [
        "12m34s, 0 running, 0 landed, 1 failed, 1 waiting, "
        "agents wait: API error 429; 1 agent from 14:32:10, stopping: 1 item to end"
    ]


def test_the_line_of_the_run_has_an_estimate_which_a_measure_may_exceed() -> None:
    tasks = [Item(key="stitch::a", effort=600.0), Item(key="stitch::b", effort=60.0)]
    assert text_of(run_lines(run_of(*tasks), NOW, 200)[0]).endswith("2 waiting, about 11m00s left")
    with_measure = run_of(*tasks, Item(key="measure::cycle-1"), jobs=2)
    assert text_of(run_lines(with_measure, NOW, 200)[0]).endswith("3 waiting, at least 10m00s left")


@pytest.mark.parametrize(
    ("tokens", "words"),
    [(1, "1 token"), (999, "999 tokens"), (12_345, "12.3k tokens"), (999_950, "1.0M tokens")],
)
def test_tokens_are_short(tokens: int, words: str) -> None:
    assert counted_tokens(tokens) == words


TEXTS = st.text(max_size=60)


@given(
    st.lists(st.tuples(TEXTS, st.sampled_from(Phase), st.floats(0, 1e6), TEXTS), max_size=8),
    st.integers(1, 220),
    st.integers(1, 12),
    TEXTS,
)
def test_no_block_is_larger_than_its_room(
    facts: list[tuple[str, Phase, float, str]], columns: int, rows: int, step: str
) -> None:
    items = []
    for number, (title, phase, charged, summary) in enumerate(facts):
        attempt = Attempt(number=number, begin=0, charged=charged, summary=summary)
        items.append(item(f"p-{number}", phase, title=title, attempts=[attempt]))
    lines = shown(run_of(*items), columns, rows, Doing(step=step, noticed=NOW), stopping=step)
    assert len(lines) <= rows
    assert all(width(line) <= columns for line in lines)
    assert all(line.isprintable() for line in lines)
