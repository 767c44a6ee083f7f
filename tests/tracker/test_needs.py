"""What a task waits for beyond the edges of its own."""

from __future__ import annotations

import pytest

from pytest_cobbler.tracker.base import Task
from pytest_cobbler.tracker.needs import with_all_needs


def needs(*tasks: Task) -> dict[str, tuple[str, ...]]:
    return {task.id: task.needs for task in with_all_needs(tasks) if task.needs}


def test_a_need_of_an_epic_is_a_need_of_its_children_at_any_depth() -> None:
    epic = Task(id="epic", title="", type="epic", needs=("x",))
    story = Task(id="story", title="", type="story", parent="epic", needs=("y",))
    task = Task(id="task", title="", parent="story", needs=("z", "x"))
    assert needs(epic, story, task) == {"epic": ("x",), "story": ("y", "x"), "task": ("z", "x", "y")}


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
