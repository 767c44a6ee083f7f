"""How long tasks will probably take."""

from __future__ import annotations

import pytest

from pytest_cobbler.lifecycle.effort import Efforts
from pytest_cobbler.lifecycle.records import Record
from pytest_cobbler.tracker.base import Task


def task(name: str, minutes: int = 0, size: int = 100) -> Task:
    return Task(id=name, title=name, description="x" * size, minutes=minutes)


def landed(seconds: float, *, caller: str = "stitch", commit: str = "c") -> str:
    record = Record(agent_seconds=seconds).as_json(caller, generation="g", commit=commit)
    return f"A comment.\n{record}"


def test_an_estimate_counts_as_it_is_before_anything_landed() -> None:
    tasks = [task("a", 10), task("b", 30), task("c", 20)]
    efforts = Efforts(tasks)
    assert [efforts.of(one) for one in tasks] == [600, 1800, 1200]


def test_a_task_without_an_estimate_takes_as_long_as_the_median_one() -> None:
    tasks = [task("a", 10), task("b", 30), task("c", 20), task("d")]
    assert Efforts(tasks).of(tasks[-1]) == 1200


def test_estimates_are_corrected_by_what_estimated_tasks_took() -> None:
    tasks = [task("a", 10), task("b", 30), task("c", 20)]
    efforts = Efforts(tasks, {"a": [landed(60)], "b": [landed(180)]})
    assert efforts.of(tasks[-1]) == pytest.approx(120)


def test_estimates_are_corrected_by_what_other_tasks_took() -> None:
    tasks = [task("a"), task("b"), task("c"), task("d", 60), task("e", 120), task("f", 240)]
    efforts = Efforts(tasks, {"a": [landed(50)], "b": [landed(100)], "c": [landed(200)]})
    assert [efforts.of(one) for one in tasks[3:]] == [50, 100, 200]
    assert efforts.of(task("g")) == 100


@pytest.mark.parametrize(
    ("size", "factor"),
    [(0, 1), (75, 1), (130, 1), (200, 2**0.5), (50, 2**-0.5), (1, 8**-0.5), (20_000, 8**0.5)],
)
def test_a_longer_description_is_more_work(size: int, factor: float) -> None:
    tasks = [task("a"), task("b"), task("c")]
    efforts = Efforts(tasks, {"a": [landed(40)], "b": [landed(60)]})
    assert efforts.of(task("d", size=size)) == pytest.approx(50 * factor)


@pytest.mark.parametrize(
    "comment",
    [
        landed(9000, commit=""),
        landed(9000, caller="measure"),
        landed(0),
        "a comment of a person",
        "",
    ],
    ids=["did not land", "a measure", "unknown time", "a comment", "empty"],
)
def test_other_comments_say_nothing_about_the_time(comment: str) -> None:
    tasks = [task("a", 10), task("b", 20)]
    assert Efforts(tasks, {"a": [comment], "gone": [landed(1)]}).of(tasks[1]) == 1200


def test_nothing_known_is_no_difference() -> None:
    assert Efforts().of(task("a")) == Efforts().of(task("b", size=100)) > 0
