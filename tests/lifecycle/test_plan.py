"""Which item may start next, and which tasks a session does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.lifecycle.selection import Selection, select_tasks
from pytest_cobbler.tracker.base import ACTOR, Task

ENDS = {State.DONE, State.FAILED}


def plan_of(**needs: str) -> Plan:
    """``plan_of(a="", b="a")``: b needs a; created in this order."""
    plan = Plan()
    for number, (key, words) in enumerate(needs.items()):
        plan.add(key, needs=words.split(), age=(number,))
    return plan


# Needs


def test_items_without_needs_are_ready_in_the_order_of_creation() -> None:
    assert plan_of(b="", a="", c="").ready() == ["b", "a", "c"]


def test_a_need_must_be_done_and_not_only_running() -> None:
    plan = plan_of(a="", b="a")
    assert plan.ready() == ["a"]
    plan.mark("a", State.RUNNING)
    assert plan.ready() == []
    assert plan.waiting() == ["b"]
    plan.mark("a", State.DONE)
    assert plan.ready() == ["b"]


def test_all_needs_must_be_done() -> None:
    plan = plan_of(a="", b="", c="a b")
    plan.mark("a", State.DONE)
    assert plan.ready() == ["b"]
    plan.mark("b", State.DONE)
    assert plan.ready() == ["c"]


def test_a_need_that_failed_blocks_and_is_named() -> None:
    plan = plan_of(a="", b="", c="b a", d="c")
    plan.mark("a", State.FAILED)
    plan.mark("b", State.FAILED)
    assert plan.blocked() == {"c": ["a", "b"]}
    plan.mark("c", State.FAILED)
    assert plan.blocked() == {"d": ["c"]}
    plan.mark("d", State.FAILED)
    assert (plan.blocked(), plan.ready(), plan.waiting()) == ({}, [], [])


def test_a_need_outside_the_plan_blocks_until_it_is_added() -> None:
    plan = plan_of(b="a")
    assert plan.blocked() == {"b": ["a"]}
    plan.add("a")
    assert plan.blocked() == {}
    assert plan.ready() == ["a"]


def test_needs_that_ended_earlier_count() -> None:
    plan = plan_of(a="", b="")
    plan.mark("a", State.DONE)
    plan.mark("b", State.FAILED)
    plan.add("c", needs=["a"])
    plan.add("d", needs=["a", "b"])
    assert plan.ready() == ["c"]
    assert plan.blocked() == {"d": ["b"]}


# What comes after


@pytest.mark.parametrize("end", sorted(ENDS, key=str))
def test_after_waits_for_any_end(end: State) -> None:
    plan = plan_of(a="")
    plan.add("m", after=["a"])
    plan.mark("a", State.RUNNING)
    assert plan.ready() == []
    plan.mark("a", end)
    assert plan.ready() == ["m"]


def test_after_an_unknown_item_waits_only_once_it_is_added() -> None:
    plan = Plan()
    plan.add("m", after=["a"])
    assert plan.ready() == ["m"]
    plan.add("a")
    assert plan.ready() == ["a"]


def test_follow_adds_to_what_it_comes_after() -> None:
    plan = plan_of(a="", b="", c="")
    plan.add("m", after=["a"], age=(9,))
    plan.mark("a", State.DONE)
    plan.mark("c", State.DONE)
    assert plan.ready() == ["b", "m"]
    plan.follow("m", ["b", "c"])
    assert plan.ready() == ["b"]
    plan.mark("b", State.FAILED)
    assert plan.ready() == ["m"]


# The order


def test_the_longest_chain_that_waits_comes_first() -> None:
    plan = plan_of(lone="", short="", s1="short", long="", l1="long", l2="l1")
    assert plan.ready() == ["long", "short", "lone"]


def test_items_that_come_after_count_as_a_chain() -> None:
    plan = plan_of(lone="", first="")
    plan.add("m", after=["first"])
    assert plan.ready() == ["first", "lone"]


def test_a_chain_is_as_long_as_its_efforts() -> None:
    plan = Plan()
    plan.add("chained", effort=2)
    plan.add("waits", effort=3, needs=["chained"])
    plan.add("long", effort=6)
    plan.add("short", effort=4)
    assert plan.ready() == ["long", "chained", "short"]


def test_priority_then_the_longest_chain_then_creation_then_the_order_of_addition() -> None:
    plan = Plan()
    plan.add("late", priority=1, age=(2,))
    plan.add("b", priority=1, age=(1,))
    plan.add("a", priority=1, age=(1,))
    plan.add("urgent", priority=0, age=(3,))
    plan.add("chained", priority=4, age=(9,))
    plan.add("waits", needs=["chained"], priority=4)
    plan.add("root", priority=1, age=(9,))
    plan.add("leaf", needs=["root"], priority=1)
    assert plan.ready() == ["urgent", "root", "b", "a", "late", "chained"]


def test_an_item_is_as_urgent_as_the_first_that_needs_it() -> None:
    plan = Plan()
    plan.add("plain", priority=1)
    plan.add("root", priority=4)
    plan.add("middle", needs=["root"], priority=3)
    plan.add("urgent", needs=["middle"], priority=0)
    plan.add("measure", after=["plain"], priority=0)
    assert plan.ready() == ["root", "plain"]


def test_circles_do_not_grow_with_each_query() -> None:
    plan = plan_of(x="", a="x b", b="a")
    plan.add("long", effort=3.5)
    for _ in range(5):
        plan.follow("x", [])
        assert plan.ready() == ["long", "x"]


def test_the_order_follows_what_is_added_later() -> None:
    plan = plan_of(a="", b="")
    assert plan.ready() == ["a", "b"]
    plan.add("c", needs=["b"])
    assert plan.ready() == ["b", "a"]
    plan.follow("a", [])
    plan.add("d", needs=["a"])
    plan.add("e", needs=["d"])
    assert plan.ready() == ["a", "b"]


# Circles


def test_a_circle_is_stuck_once_nothing_else_can_happen() -> None:
    plan = plan_of(x="a", a="b", b="c", c="a", free="")
    plan.add("m", after=["x", "a", "b", "c", "free"])
    assert plan.stuck() == []
    plan.mark("free", State.RUNNING)
    assert plan.stuck() == []
    plan.mark("free", State.DONE)
    # Neither x, which only needs one of them, nor m.
    assert plan.stuck() == ["a", "b", "c"]


def test_the_end_of_one_in_a_circle_ends_all() -> None:
    plan = plan_of(a="b", b="a", x="b")
    plan.add("m", after=["a", "b", "x"])
    plan.mark(plan.stuck()[0], State.FAILED)
    for blocked in (["b"], ["x"]):
        assert list(plan.blocked()) == blocked
        assert plan.stuck() == []
        plan.mark(blocked[0], State.FAILED)
    assert plan.ready() == ["m"]


def test_an_item_that_needs_itself_is_a_circle() -> None:
    assert plan_of(a="a").stuck() == ["a"]


def test_an_empty_plan_is_not_stuck() -> None:
    plan = plan_of(a="")
    plan.mark("a", State.DONE)
    assert (plan.stuck(), plan.waiting(), plan.ready()) == ([], [], [])


# What may not be


def test_an_item_is_added_once_and_ends_once() -> None:
    plan = plan_of(a="")
    with pytest.raises(ValueError, match="a is already in the plan"):
        plan.add("a")
    plan.mark("a", State.DONE)
    for state in State:
        with pytest.raises(ValueError, match="a is done and cannot become"):
            plan.mark("a", state)


def test_the_plan_knows_which_items_it_has_and_which_ended() -> None:
    plan = plan_of(a="")
    assert "a" in plan
    assert "b" not in plan
    assert (plan.state("a"), plan.ended("a")) == (State.WAITING, False)
    plan.mark("a", State.RUNNING)
    assert (plan.state("a"), plan.ended("a")) == (State.RUNNING, False)
    plan.mark("a", State.FAILED)
    assert (plan.state("a"), plan.ended("a")) == (State.FAILED, True)


# Any graph at all


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, set[int]]:
    """Item -> needs: mostly earlier ones, some later ones (circles), some that do not exist."""
    count = draw(st.integers(1, 12))
    return {
        number: draw(st.sets(st.integers(-1, count - 1 if draw(st.booleans()) else number - 1), max_size=3))
        for number in range(count)
    }


@given(graphs(), st.randoms(use_true_random=False), st.integers(1, 4), st.booleans())
def test_a_session_ends_every_item_once(
    graph: dict[int, set[int]], dice: object, jobs: int, added_late: bool
) -> None:
    """Drives a plan as the session's loop does."""
    choose = getattr(dice, "choice")  # noqa: B009
    plan = Plan()
    late = [number for number in graph if added_late and number % 2]
    for number in graph:
        if number not in late:
            plan.add(str(number), needs=map(str, graph[number]))
    for number in late:
        plan.add(str(number), needs=map(str, graph[number]))
    plan.add("measure", after=[str(number) for number in graph])

    ended: dict[str, State] = {}
    running: list[str] = []

    def end(key: str, state: State) -> None:
        plan.mark(key, state)
        assert key not in ended
        ended[key] = state

    while plan.waiting() or running:
        if blocked := plan.blocked():
            for key, needs in blocked.items():
                expected = {str(need) for need in graph[int(key)]}
                bad = {n for n in expected if n not in plan or ended.get(n) is State.FAILED}
                assert set(needs) == bad
            end(next(iter(blocked)), State.FAILED)
        elif stuck := plan.stuck():
            assert not running
            for key, need in zip(stuck, [*stuck[1:], stuck[0]], strict=True):
                assert int(need) in graph[int(key)]
            end(stuck[0], State.FAILED)
        elif plan.ready() and len(running) < jobs:
            key = plan.ready()[0]
            assert key != "measure" or ended.keys() == {str(number) for number in graph}
            if key != "measure":
                assert all(ended.get(str(need)) is State.DONE for need in graph[int(key)])
            plan.mark(key, State.RUNNING)
            running.append(key)
        else:
            assert running, "nothing can happen any more"
            key = choose(running)
            running.remove(key)
            end(key, choose([State.DONE, State.DONE, State.FAILED]))

    assert ended.keys() == {"measure", *map(str, graph)}
    assert ended["measure"] in ENDS


@given(graphs())
def test_ready_items_come_by_the_longest_chain_that_waits(graph: dict[int, set[int]]) -> None:
    acyclic = {number: {need for need in needs if 0 <= need < number} for number, needs in graph.items()}
    plan = Plan()
    for number, needs in acyclic.items():
        plan.add(str(number), needs=map(str, needs), age=(number,))

    def height(number: int) -> int:
        return 1 + max((height(n) for n, needs in acyclic.items() if number in needs), default=0)

    roots = [number for number, needs in acyclic.items() if not needs]
    expected = sorted(roots, key=lambda number: (-height(number), number))
    assert plan.ready() == [str(number) for number in expected]


# Which tasks a session takes on


def task(name: str, needs: str = "", **more: object) -> Task:
    return replace(Task(id=name, title=name.title(), needs=tuple(needs.split())), **more)  # type: ignore[arg-type]


def choose(
    tasks: Sequence[Task],
    *,
    finished: str = "",
    foreign: str = "",
    task_label: str | None = None,
    limit: int = 10,
) -> Selection:
    return select_tasks(
        tasks,
        finished=finished.split(),
        foreign_labels=frozenset(foreign.split()),
        task_label=task_label,
        limit=limit,
    )


def ids(tasks: Sequence[Task]) -> str:
    return " ".join(task.id for task in tasks)


def test_open_tasks_are_taken_needs_first() -> None:
    selection = choose([task("c", "b"), task("b", "a"), task("a")])
    assert ids(selection.taken) == "a b c"
    assert (selection.left, selection.waiting) == ((), {})


def test_closed_and_finished_tasks_are_met_needs_and_not_taken() -> None:
    tasks = [task("a", status="closed"), task("c", "a b"), task("d", status="in_progress")]
    selection = choose([*tasks, task("b", status="in_progress")], finished="b d")
    assert ids(selection.taken) == "c"
    assert selection.waiting == {}


def test_a_reopened_task_is_done_again_before_its_dependants() -> None:
    selection = choose([task("a"), task("b", "a"), task("c")], finished="a b")
    assert ids(selection.taken) == "a c b"


def test_the_limit_leaves_the_rest_and_stays_closed_under_needs() -> None:
    tasks = [task("a"), task("b"), task("c", "a"), task("d", "c"), task("e")]
    selection = choose(tasks, limit=3)
    assert ids(selection.taken) == "a b e"
    assert ids(selection.left) == "c d"


def test_priority_then_the_longest_chain_then_creation() -> None:
    tasks = [
        task("old", created_at="2026-01-01T00:00:00Z"),
        task("new", created_at="2026-01-02T00:00:00Z"),
        task("urgent", priority=0, created_at="2026-01-03T00:00:00Z"),
        task("root", priority=4),
        task("leaf", "root", priority=0),
    ]
    assert ids(choose(tasks).taken) == "root urgent old new leaf"


def test_creation_is_a_time_and_not_a_text() -> None:
    """Stores write a time with or without fractions of a second, and in any time zone."""
    tasks = [
        task("third", created_at="2026-01-01T00:00:30.000001Z"),
        task("second", created_at="2026-01-01T00:00:30Z"),
        task("first", created_at="2026-01-01T01:00:29+01:00"),
    ]
    assert ids(choose(tasks).taken) == "first second third"


def test_the_task_that_probably_takes_longest_comes_first() -> None:
    tasks = [task("a", minutes=5), task("b", minutes=30), task("c", minutes=10), task("d", "c", minutes=30)]
    assert ids(choose(tasks).taken) == "c b a d"


def test_only_tasks_and_only_ours() -> None:
    tasks = [
        task("epic", type="epic"),
        task("other", labels=("generation-2",)),
        task("own", labels=("generation-1", "backend")),
        task("plain"),
    ]
    assert ids(choose(tasks, foreign="generation-2").taken) == "own plain"
    assert ids(choose(tasks, foreign="generation-2", task_label="backend").taken) == "own"


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (task("a", status="in_progress", assignee="jane"), "in progress, held by jane"),
        (task("a", status="in_progress"), "in progress, held by another user"),
        (task("a", status="deferred"), "deferred"),
        (task("a", status="blocked"), "blocked"),
        (task("a", assignee="jane"), "assigned to jane"),
        (task("a", "epic"), "waits for epic"),
        (task("a", "other"), "waits for other"),
    ],
)
def test_a_task_that_waits_has_a_reason(held: Task, why: str) -> None:
    around = [task("epic", type="epic"), task("other", labels=("generation-2",)), task("free")]
    selection = choose([task("c", "b"), task("b", "a"), held, *around], foreign="generation-2")
    assert selection.waiting == {"a": why, "b": "waits for a", "c": "waits for b"}
    assert ids(selection.taken) == "free"


def test_an_open_task_assigned_to_cobbler_is_taken() -> None:
    assert ids(choose([task("a", assignee=ACTOR)]).taken) == "a"


def test_a_long_circle_is_not_shown_in_full() -> None:
    selection = choose([task(f"t{n:02}", f"t{(n + 1) % 50:02}") for n in range(50)])
    assert selection.waiting["t49"] == (
        "waits for itself: t00 -> t01 -> t02 -> t03 -> t04 -> t05 -> t06 -> t07 -> ... -> t00"
    )


def test_blocked_items_are_in_the_order_in_which_they_were_added() -> None:
    plan = Plan()
    plan.add("a")
    names = [f"item {number}" for number in range(20)]
    for name in names:
        plan.add(name, needs=["a"])
    plan.mark("a", State.FAILED)
    assert list(plan.blocked()) == names


def test_circles_and_their_dependants_are_not_taken() -> None:
    tasks = [
        task("x", "b"),
        task("a", "b"),
        task("b", "c"),
        task("c", "a"),
        task("self", "self"),
        task("free"),
    ]
    selection = choose(tasks)
    assert ids(selection.taken) == "free"
    assert selection.waiting == {
        "a": "waits for itself: b -> c -> a -> b",
        "b": "waits for itself: b -> c -> a -> b",
        "c": "waits for itself: b -> c -> a -> b",
        "x": "waits for b",
        "self": "waits for itself: self -> self",
    }


@st.composite
def trackers(draw: st.DrawFn) -> list[Task]:
    kinds = st.fixed_dictionaries(
        {
            "status": st.sampled_from(["open"] * 6 + ["closed", "in_progress", "deferred"]),
            "type": st.sampled_from(["task"] * 8 + ["epic"]),
            "labels": st.sampled_from([()] * 4 + [("generation-2",)]),
            "assignee": st.sampled_from([""] * 6 + [ACTOR, "jane"]),
            "priority": st.integers(0, 4),
        }
    )
    return [
        task(f"t{number}", " ".join(f"t{need}" for need in sorted(needs)), **draw(kinds))
        for number, needs in draw(graphs()).items()
    ]


@given(trackers(), st.integers(1, 8), st.sets(st.integers(0, 11)))
def test_every_open_task_is_taken_left_or_explained(
    tasks: list[Task], limit: int, finished: set[int]
) -> None:
    done = {f"t{number}" for number in finished}
    selection = choose(tasks, limit=limit, finished=" ".join(done), foreign="generation-2")
    taken = [one.id for one in selection.taken]
    left = [one.id for one in selection.left]
    ours = {
        one.id
        for one in tasks
        if one.type == "task" and not one.labels and one.status != "closed"
        if one.status == "open" or one.id not in done
    }
    assert sorted([*taken, *left, *selection.waiting]) == sorted(ours)
    assert len(taken) <= limit
    assert not left or len(taken) == limit
    met = done - {one.id for one in tasks if one.status == "open"}
    met |= {one.id for one in tasks if one.status == "closed"}
    for one in (*selection.taken, *selection.left):
        assert (one.status, one.assignee in ("", ACTOR)) == ("open", True)
        assert set(one.needs) <= met, "closed under needs, needs first"
        met.add(one.id)
    assert all(selection.waiting.values())


# Size


def shapes(count: int) -> dict[str, list[Task]]:
    chain = [task(f"t{n:05}", f"t{n - 1:05}" if n else "") for n in range(count)]
    circle = [task(f"t{n:05}", f"t{(n + 1) % count:05}") for n in range(count)]
    star = [task("hub"), *(task(f"t{n:05}", "hub") for n in range(count - 2))]
    return {
        "chain": chain,
        "chain, last first": chain[::-1],
        "held chain, last first": [*chain[:0:-1], replace(chain[0], assignee="jane")],
        "circle": circle,
        "star": [*star, task("end", " ".join(one.id for one in star))],
        "free": [task(f"t{n:05}") for n in range(count)],
    }


@pytest.mark.slow
@pytest.mark.parametrize("shape", shapes(1))
def test_the_cost_of_a_task_does_not_grow_with_their_number(shape: str) -> None:
    """Ten times the tasks may take a little over ten times the calls; a hundred times would be quadratic."""
    few, many = (shapes(count)[shape] for count in (500, 5000))
    assert calls(lambda: drive(choose(many, limit=5000))) < 20 * calls(lambda: drive(choose(few, limit=500)))


def calls(work: Callable[[], object]) -> int:
    """The number of function calls in ``work``: a cost that is the same on every machine."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def drive(selection: Selection) -> None:
    """A session's loop with four agents that all succeed."""
    plan = Plan()
    taken = {one.id for one in selection.taken}
    for one in selection.taken:
        plan.add(one.id, needs=taken & set(one.needs))
    plan.add("measure", after=taken)
    running: list[str] = []
    while plan.ready() or running:
        assert not plan.blocked()
        assert not plan.stuck()
        for key in plan.ready()[: 4 - len(running)]:
            plan.mark(key, State.RUNNING)
            running.append(key)
        plan.mark(running.pop(0), State.DONE)
    assert plan.waiting() == []
