"""What a task waits for beyond the edges of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_cobbler.tracker.base import Task
from pytest_cobbler.tracker.needs import put_off, with_all_needs


def needs(*tasks: Task) -> dict[str, tuple[str, ...]]:
    return {task.id: task.needs for task in with_all_needs(tasks) if task.needs}


def tasks(*names: str) -> list[Task]:
    return [Task(id=name, title="") for name in names]


def test_a_need_of_an_epic_is_a_need_of_its_children_at_any_depth() -> None:
    epic = Task(id="epic", title="", type="epic", needs=("x",))
    story = Task(id="story", title="", type="story", parent="epic", needs=("y",))
    task = Task(id="task", title="", parent="story", needs=("z", "x"))
    found = needs(epic, story, task, *tasks("x", "y", "z"))
    assert found == {"epic": ("x",), "story": ("y", "x"), "task": ("z", "x", "y")}


def test_an_epic_that_is_closed_does_not_pass_its_needs_on() -> None:
    top = Task(id="top", title="", type="epic", needs=("x",))
    epic = Task(id="epic", title="", type="epic", status="closed", parent="top", needs=("x",))
    task = Task(id="task", title="", parent="epic")
    assert needs(top, epic, task, *tasks("x")) == {"top": ("x",), "epic": ("x",)}


def test_a_need_whose_issue_is_gone_or_pinned_is_met() -> None:
    sticky = Task(id="sticky", title="", status="pinned")
    assert needs(sticky, Task(id="a", title="", needs=("sticky", "gone"))) == {}


def test_waiting_for_any_child_ends_with_the_first_that_is_closed() -> None:
    parts = [Task(id=name, title="", parent="epic") for name in ("a", "b")]
    waiting = Task(id="after", title="", waits_for_any=("epic",))
    epic = Task(id="epic", title="", type="epic")
    assert needs(epic, *parts, waiting) == {"after": ("a", "b")}
    assert needs(epic, parts[0], replace(parts[1], status="closed"), waiting) == {}


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({}, ""),
        ({"defer_until": "2026-05-01T12:00:01Z"}, "deferred until 2026-05-01T12:00:01Z"),
        ({"defer_until": "2026-05-01T13:00:00+01:00"}, ""),
        ({"defer_until": "soon"}, ""),
        ({"parent": "later"}, "deferred until 2027-01-01T00:00:00Z, with later"),
        ({"parent": "below"}, ""),
        ({"parent": "gone"}, ""),
        ({"is_pinned": True}, "pinned"),
        ({"is_ephemeral": True}, "ephemeral"),
        ({"is_template": True}, "a template"),
    ],
)
def test_a_task_that_is_put_off_has_a_reason(facts: dict[str, Any], why: str) -> None:
    task = Task(id="task", title="", **facts)
    later = Task(id="later", title="", defer_until="2027-01-01T00:00:00Z")
    issues = [task, later, Task(id="below", title="", parent="later")]
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert put_off(task, {issue.id: issue for issue in issues}, now) == why


def test_waiting_for_an_epic_means_needing_its_children() -> None:
    parts = [Task(id=name, title="", parent="epic") for name in ("a", "b")]
    waiting = Task(id="after", title="", waits_for=("epic", "nowhere"))
    assert needs(Task(id="epic", title="", type="epic"), *parts, waiting) == {"after": ("a", "b")}


def test_an_epic_that_waits_for_its_own_child_does_not_block_it() -> None:
    epic = Task(id="epic", title="", type="epic", needs=("a",))
    parts = [Task(id=name, title="", parent="epic") for name in ("a", "b")]
    assert needs(epic, *parts) == {"epic": ("a",)}


@pytest.mark.parametrize("parent", ["a", "b", "nowhere"])
def test_circles_and_unknown_parents_do_not_hang(parent: str) -> None:
    assert needs(Task(id="a", title="", parent=parent), Task(id="b", title="", parent="a")) == {}
