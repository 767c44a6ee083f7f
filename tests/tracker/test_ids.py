from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.ids import hash_id, id_length, issue_prefix, new_ids, prefix_in_use
from tests.support.stores import new

NOW = datetime(2024, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length", "expected"),
    [(3, "vju"), (4, "8d8e"), (5, "bi3tk"), (6, "8bi3tk"), (7, "r5sr6bm"), (8, "8r5sr6bm")],
)
def test_the_hash_is_that_of_bd(length: int, expected: str) -> None:
    # The vector of beads' own internal/idgen/hash_test.go.
    assert hash_id("Fix login", "Details", "jira-import", NOW, length, 0) == expected


@pytest.mark.parametrize(
    ("issues", "length"), [(0, 3), (163, 3), (164, 4), (983, 4), (984, 5), (10_000, 6), (10**7, 8)]
)
def test_ids_grow_with_the_number_of_issues(issues: int, length: int) -> None:
    assert id_length(issues) == length


def test_two_thousand_ids_are_all_different() -> None:
    tasks = [new(str(n), title="the same") for n in range(2000)]
    ids = list(new_ids(tasks, times(2000), "p", ()).values())
    assert len(set(ids)) == 2000
    assert {len(name) for name in ids} == {5, 6, 7}
    assert all(name.startswith("p-") for name in ids)


def times(count: int) -> dict[str, datetime]:
    return {str(n): NOW + timedelta(microseconds=n) for n in range(count)}


def test_an_id_in_use_is_not_given_again() -> None:
    first = new_ids([new("0")], times(1), "p", ())["0"]
    second = new_ids([new("0")], times(1), "p", [first])["0"]
    assert second != first
    taken = {
        f"p-{hash_id('0', '', 'cobbler', NOW, length, nonce)}"
        for length in range(3, 9)
        for nonce in range(10)
    }
    with pytest.raises(TrackerError, match="no free id"):
        new_ids([new("0")], times(1), "p", taken)


@given(st.text())
def test_a_prefix_is_letters_digits_and_underscores(name: str) -> None:
    prefix = issue_prefix(name)
    assert prefix
    assert set(prefix) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


@pytest.mark.parametrize(
    ("ids", "prefix"),
    [([], ""), (["odd"], ""), (["my-app-abc"], "my-app"), (["x-a", "y-a", "y-b.1"], "y")],
)
def test_the_prefix_in_use_is_the_most_common(ids: list[str], prefix: str) -> None:
    assert prefix_in_use(ids) == prefix
