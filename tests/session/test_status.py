"""The line below pytest's output: who is running, as far as it fits."""

from __future__ import annotations

import pytest

from pytest_cobbler.display import width
from pytest_cobbler.session.status import Running, running_line

FIRST = Running("words-7yh", "Name lock files after their owner", 57.2, "Bash printf 'a' >a")
SECOND = Running("words-1jv", "Count how often a lock was taken", 3, "")


def test_every_running_item_is_seen_on_a_narrow_screen() -> None:
    assert running_line([FIRST, SECOND], 3, 79) == (
        "cobbler: 2 running (words-7yh Name loc 57s; words-1jv Count how 3s), 3 waiting"
    )


def test_title_and_step_are_seen_where_there_is_room() -> None:
    assert running_line([FIRST], 0, 110) == (
        "cobbler: 1 running (words-7yh Name lock files after their ow 57s Bash printf 'a' >a), 0 waiting"
    )


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("count", [0, 1, 3, 8])
def test_the_line_has_all_names_and_no_more_columns_than_there_are(count: int, columns: int) -> None:
    items = [Running(f"p-{number}", "資料 を読む " * 9, 100, "資料 " * 40) for number in range(count)]
    line = running_line(items, 2, columns)
    assert all(f"p-{number}" in line for number in range(count))
    if columns >= 34 + 11 * count:
        assert width(line) <= columns


def test_the_line_says_what_new_agents_wait_for() -> None:
    api = "API error 429: slow down; up to 4 agents from 14:32:10"
    assert running_line([], 3, 110, api) == f"cobbler: 3 waiting: {api}"
    line = running_line([FIRST], 3, 110, api)
    assert line.startswith("cobbler: 1 running (words-7yh ")
    assert line.endswith(f"57s), 3 waiting: {api}")
    assert width(line) <= 110
