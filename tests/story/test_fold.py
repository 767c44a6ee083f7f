"""The fold over a journal, on events as a run writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.causes import Cause
from pytest_cobbler.story.events import GrowingFile, events_of
from pytest_cobbler.story.fold import fold, read_story
from pytest_cobbler.story.model import Item, Phase, Run
from pytest_cobbler.story.waits import WaitKind, Waits, seconds_left
from pytest_cobbler.usage import Usage

START = 1_800_000_000.0


def at(second: float, event: str, **facts: Any) -> dict[str, Any]:
    """An event, so many seconds after the start."""
    time = datetime.fromtimestamp(START + second, UTC).isoformat()
    return {"time": time, "event": event, **facts}


def begin(jobs: int = 1, *items: dict[str, Any]) -> list[dict[str, Any]]:
    return [at(0, "run", run="r1", jobs=jobs, limits={"budget_usd": 2.0}), at(0, "plan", items=list(items))]


def planned(name: str, *needs: str, effort: float = 10.0) -> dict[str, Any]:
    keys = [f"stitch::{need}" for need in needs]
    return {"key": f"stitch::{name}", "title": name.upper(), "needs": keys, "effort": effort}


def worked(name: str, start: float, number: int = 1) -> list[dict[str, Any]]:
    """An agent that works for two seconds."""
    usage = {"cost_usd": 0.25, "tokens": {"output": 5}, "turns": 2, "model": "m"}
    return [
        at(start, "attempt", task=name, attempt=number, worktree="/w"),
        at(start + 2, "agent", task=name, attempt=number, seconds=2.0, usage=usage),
        at(start + 2, "harvest", task=name, attempt=number, files=1),
        at(start + 2, "attempt-end", task=name, attempt=number),
    ]


def landed(name: str, queued: float, lane: float) -> list[dict[str, Any]]:
    """A landing whose gate takes three seconds."""
    return [
        at(queued, "queue", task=name, attempt=1),
        at(lane, "lane", task=name),
        at(lane, "merge", task=name, tip="t", tree="u"),
        at(lane + 3, "gate", task=name, tree="u", passed=True, seconds=3.0, tests="1 passed"),
        at(lane + 3, "land", task=name, commit="c"),
        at(lane + 3, "close", task=name, commit="c"),
        at(lane + 3, "item", key=f"stitch::{name}", outcome="landed", commit="c"),
    ]


def run_of(*events: dict[str, Any]) -> Run:
    run = fold(events).run
    assert run is not None
    return run


def spans(item: Item) -> list[tuple[str, float, float | None]]:
    return [(s.phase, s.begin - START, None if s.end is None else s.end - START) for s in item.spans]


def test_a_task_that_landed() -> None:
    run = run_of(
        *begin(1, planned("a")),
        at(1, "claim", task="a"),
        *worked("a", 2),
        *landed("a", 4, 6),
        at(10, "end", exit=0),
    )
    item = run.items["stitch::a"]
    assert spans(item) == [
        ("waiting", 0, 1),
        ("starting", 1, 2),
        ("agent", 2, 4),
        ("checking", 4, 4),
        ("waiting to land", 4, 6),
        ("merging", 6, 6),
        ("gate", 6, 9),
        ("landing", 9, 9),
    ]
    assert (item.title, item.outcome, item.commit, item.phase) == ("A", "landed", "c", Phase.ENDED)
    assert item.ended == START + 9
    [attempt] = item.attempts
    assert attempt.usage == Usage(cost_usd=0.25, tokens_output=5, turns=2, model="m")
    assert [gate.tests for gate in attempt.gates] == ["1 passed"]
    assert (run.is_over, run.exit, run.limits) == (True, 0, {"budget_usd": 2.0})
    assert run.outcomes == {"landed": 1}
    assert run.usage.cost_usd == 0.25


def test_a_failed_landing_is_followed_by_a_wait_for_the_next_attempt() -> None:
    run = run_of(
        *begin(1, planned("a")),
        at(1, "claim", task="a"),
        *worked("a", 1),
        at(3, "queue", task="a", attempt=1),
        at(3, "lane", task="a"),
        at(3, "merge", task="a"),
        at(4, "gate", task="a", passed=False, summary="test failed", seconds=1.0),
        at(4, "not-landed", task="a", attempt=1, cause="gate", summary="gate: test failed"),
        at(4, "keep", task="a", attempt=1, ref="refs/x", cause="gate"),
    )
    item = run.items["stitch::a"]
    assert (item.phase, item.since - START) == (Phase.BETWEEN, 4)
    assert item.attempt is not None
    assert (item.attempt.cause, item.attempt.summary) == (Cause.GATE, "gate: test failed")
    assert item.attempt.kept == "refs/x"


def test_a_run_that_was_killed_ends_with_its_last_event() -> None:
    story = fold(
        [*begin(1, planned("a")), at(1, "claim", task="a"), *worked("a", 2)[:1], at(20, "run", run="r2")]
    )
    killed = story.runs[0]
    assert (killed.is_over, killed.ended, [run.id for run in story.runs]) == (True, None, ["r1", "r2"])
    assert spans(killed.items["stitch::a"])[-1] == ("agent", 2, 2)
    assert killed.items["stitch::a"].outcome == ""


def test_an_item_that_never_started_has_its_outcome() -> None:
    run = run_of(
        *begin(1, planned("a")),
        at(1, "item", key="stitch::a", outcome="blocked", cause="needs", summary="blocked by b"),
    )
    item = run.items["stitch::a"]
    assert (item.outcome, item.cause, item.began) == ("blocked", Cause.NEEDS, None)


def test_waits_name_what_ended_them() -> None:
    run = run_of(
        *begin(1, planned("a"), planned("b"), planned("c", "a")),
        at(0, "claim", task="a"),
        *worked("a", 0),
        at(2, "claim", task="b"),
        *landed("a", 2, 2)[:3],
        *worked("b", 2),
        at(4, "queue", task="b", attempt=1),
        *landed("a", 2, 2)[3:],
        *landed("b", 4, 5)[1:],
        at(8, "claim", task="c"),
        *worked("c", 8),
        *landed("c", 10, 10),
    )
    waits = Waits(run, START + 20)
    found = {
        name: [(w.kind, w.begin - START, w.end - START, w.on) for w in waits.of(f"stitch::{name}")]
        for name in "abc"
    }
    assert found == {
        "a": [(WaitKind.GATE, 2, 5, "")],
        "b": [
            (WaitKind.SLOT, 0, 2, "stitch::a"),
            (WaitKind.LANE, 4, 5, "stitch::a"),
            (WaitKind.GATE, 5, 8, ""),
        ],
        "c": [
            (WaitKind.NEED, 0, 5, "stitch::a"),
            (WaitKind.SLOT, 5, 8, "stitch::b"),
            (WaitKind.GATE, 10, 13, ""),
        ],
    }
    assert waits.unblocked() == {"stitch::a": ["stitch::b", "stitch::c"], "stitch::b": ["stitch::c"]}
    path = [(step.key, step.begin - START, step.end - START) for step in waits.critical_path()]
    assert [key for key, _, _ in path] == ["stitch::a", "stitch::b", "stitch::c"]
    assert all(first[2] == second[1] for first, second in pairwise(path))


def test_what_is_left_is_the_longest_chain_or_the_work_for_all_places() -> None:
    chain = begin(9, planned("a"), planned("b", "a", effort=30.0), planned("c", effort=5.0))
    assert seconds_left(run_of(*chain), START) == 40
    assert seconds_left(run_of(*begin(1, planned("a"), planned("b"), planned("c"))), START) == 30
    started = [*begin(1, planned("a")), at(1, "claim", task="a")]
    assert seconds_left(run_of(*started), START + 5) == 6
    assert seconds_left(run_of(*begin(1, planned("a", effort=0.0) | {"effort": None})), START) is None


def test_tasks_that_landed_correct_what_is_left() -> None:
    """The first one worked for 3 s and was 3 s in its gate, instead of 10 s."""
    done = [at(1, "claim", task="a"), *worked("a", 2), *landed("a", 4, 6)]
    assert seconds_left(run_of(*begin(1, planned("a"), planned("b")), *done), START) == pytest.approx(6)
    unknown = planned("b") | {"effort": None}
    assert seconds_left(run_of(*begin(1, planned("a"), unknown), *done), START) == pytest.approx(6)


def test_time_in_which_a_task_waits_is_not_its_effort() -> None:
    run = run_of(*begin(1, planned("a")), at(1, "claim", task="a"), *worked("a", 2), at(4, "queue", task="a"))
    assert seconds_left(run, START + 100) == 7


def test_the_money_of_an_agent_at_work_is_what_was_charged_until_its_end_is_known() -> None:
    begun = [*begin(1, planned("a")), at(1, "claim", task="a"), at(2, "attempt", task="a", attempt=1)]
    spent = [at(3, "spent", task="a", usd=0.125), at(4, "spent", task="a", usd=0.25)]
    run = run_of(*begun, *spent)
    assert (run.items["stitch::a"].spent, run.spent) == (0.375, 0.375)
    assert run_of(*begun, *spent, *worked("a", 2)[1:]).spent == 0.25
    unknown = at(5, "agent", task="a", seconds=2.0, usage={"tokens": {"output": 5}})
    assert run_of(*begun, *spent, unknown).spent == 0.375
    measure = [at(1, "measure", item="cycle-1", attempt=1), at(2, "spent", item="cycle-1", usd=0.5)]
    assert run_of(*begin(), *measure).spent == 0.5


def test_a_wait_for_the_api_has_an_end() -> None:
    waits = [*begin(), at(1, "api", waits="API error 429; 1 agent from 14:32:10")]
    assert run_of(*waits).api == "API error 429; 1 agent from 14:32:10"
    assert run_of(*waits, at(2, "api")).api == ""


def test_tasks_that_need_each_other_do_not_stop_the_estimate() -> None:
    assert seconds_left(run_of(*begin(9, planned("a", "b"), planned("b", "a"))), START) == 20


def test_of_a_file_that_grows_fast_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "transcript.jsonl"
    path.write_bytes(b"one\ntwo\nthree\n")
    file = GrowingFile(path)
    assert file.new_lines(8) == [b"three"]
    path.write_bytes(path.read_bytes() + b"four\nfi")
    assert file.new_lines(8) == [b"four"]
    path.write_bytes(path.read_bytes() + b"ve\n")
    assert file.new_lines(8) == [b"five"]


@pytest.mark.parametrize("journal", ["", "\n", "no JSON\n", '{"time": 1, "event": "run"}\n', "[]\n{}\n"])
def test_a_damaged_journal_is_an_empty_story(journal: str, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(journal)
    assert read_story(tmp_path / "journal.jsonl").runs == []
    assert read_story(tmp_path / "missing").runs == []


ODD = [None, True, -1, 1e308, "", "a", "gate", "stitch::a", [], ["a"], [{"key": "a"}], [1], {}, {"tokens": 1}]
NAMES = ["run", "plan", "claim", "attempt", "agent", "queue", "lane", "merge", "gate", "land", "item", "end"]
FACTS = ["task", "key", "items", "attempt", "usage", "seconds", "outcome", "cause", "notes", "jobs", "limits"]
EVENTS = st.tuples(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(FACTS), st.sampled_from(ODD)))


@given(events=st.lists(EVENTS, max_size=12))
def test_no_event_is_an_error(events: list[tuple[str, dict[str, Any]]]) -> None:
    story = fold([at(0, "run", run="r"), *(at(i, name, **facts) for i, (name, facts) in enumerate(events))])
    for run in story.runs:
        seconds_left(run, START)
        Waits(run, START).critical_path()
        assert all(run.items[key].key == key for key in run.items)


def test_a_growing_file_gives_each_complete_line_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    file = GrowingFile(path)
    assert file.new_lines() == []
    first, second = json.dumps(at(0, "run")), json.dumps(at(1, "end"))
    path.write_text(f"{first}\n{second[:9]}")
    assert [event["event"] for event in events_of(file.new_lines())] == ["run"]
    with path.open("a") as opened:
        opened.write(f"{second[9:]}\n")
    assert [event["event"] for event in events_of(file.new_lines())] == ["end"]
    path.write_text(f"{second}\n")
    assert len(file.new_lines()) == 1
