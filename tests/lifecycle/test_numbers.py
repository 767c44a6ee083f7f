"""Attempts are counted over all runs of a generation."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.lifecycle.numbers import AttemptNumbers


def taken(numbers: AttemptNumbers, name: str) -> int:
    """Take the next number, as an attempt does."""
    number = numbers.next(name)
    numbers.directory(name, number).mkdir(parents=True)
    return number


def test_each_name_is_counted_alone(tmp_path: Path) -> None:
    numbers = AttemptNumbers(tmp_path, {})
    assert [taken(numbers, "t-1"), taken(numbers, "t-1"), taken(numbers, "t-2")] == [1, 2, 1]


def test_a_later_run_goes_on_counting(tmp_path: Path) -> None:
    taken(AttemptNumbers(tmp_path, {}), "t-1")
    assert AttemptNumbers(tmp_path, {}).next("t-1") == 2


def test_a_kept_attempt_has_its_number_though_its_directory_is_gone(tmp_path: Path) -> None:
    assert AttemptNumbers(tmp_path, {"t-1": 4}).next("t-1") == 5


def test_a_number_that_is_forgotten_is_given_again(tmp_path: Path) -> None:
    numbers = AttemptNumbers(tmp_path, {})
    numbers.forget("t-1", taken(numbers, "t-1"))
    assert numbers.next("t-1") == 1


def test_a_number_that_is_forgotten_is_free_for_a_later_run(tmp_path: Path) -> None:
    numbers = AttemptNumbers(tmp_path, {})
    numbers.forget("t-1", taken(numbers, "t-1"))
    later = AttemptNumbers(tmp_path, {})
    assert later.next("t-1") == 1
    assert AttemptNumbers(tmp_path, {}).next("t-1") == 2


def test_a_directory_of_other_things_is_not_an_attempt(tmp_path: Path) -> None:
    numbers = AttemptNumbers(tmp_path, {})
    (numbers.directories("t-1") / "notes").mkdir(parents=True)
    assert numbers.next("t-1") == 1
