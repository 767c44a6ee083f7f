"""Usage: sums and differences, unknown costs, and the forms in which it is written down."""

from __future__ import annotations

import json

import pytest

from pytest_cobbler.usage import NOTHING, Usage

WHOLE = Usage(
    turns=3,
    tokens_input=10,
    tokens_output=20,
    tokens_cache_read=30,
    tokens_cache_write=40,
    cost_usd=0.5,
    seconds=2.0,
    model="a",
)


def test_a_sum_adds_every_number_and_keeps_the_latest_model() -> None:
    total = WHOLE + Usage(turns=1, tokens_output=5, cost_usd=0.25, seconds=1.0, model="b")
    assert total == Usage(
        attempts=2,
        turns=4,
        tokens_input=10,
        tokens_output=25,
        tokens_cache_read=30,
        tokens_cache_write=40,
        cost_usd=0.75,
        seconds=3.0,
        model="b",
    )
    assert (WHOLE + Usage()).model == "a"


def test_the_time_of_a_gate_without_an_agent_makes_no_cost_unknown() -> None:
    gate = Usage.from_json({"attempts": 0, "duration_s": 4.5})
    for total in (WHOLE + gate, gate + WHOLE):
        assert (total.cost_usd, total.cost_is_partial, total.seconds) == (0.5, False, 6.5)
    unpriced = Usage(attempts=0, turns=1, tokens_output=5)
    assert (WHOLE + unpriced).cost_is_partial


def test_nothing_changes_no_sum() -> None:
    for usage in (NOTHING, Usage(cost_usd=0.0, cost_is_partial=True), WHOLE):
        assert usage + NOTHING == NOTHING + usage == usage
    assert sum([], NOTHING) == NOTHING


@pytest.mark.parametrize(
    ("costs", "total", "is_partial", "shown"),
    [
        ([0.25, 0.5], 0.75, False, "0.7500 USD"),
        ([None, 0.5], 0.5, True, "at least 0.5000 USD"),
        ([0.5, None, 0.25], 0.75, True, "at least 0.7500 USD"),
        ([None, None], 0.0, True, "at least 0.0000 USD"),
        ([None], 0.0, True, "at least 0.0000 USD"),
        ([0.0], 0.0, False, "0.0000 USD"),
        ([], 0.0, False, ""),
    ],
)
def test_a_sum_with_an_unknown_cost_is_a_lower_bound(
    costs: list[float | None], total: float, is_partial: bool, shown: str
) -> None:
    usage = sum((Usage(cost_usd=cost) for cost in costs), NOTHING)
    assert (usage.cost_usd, usage.cost_is_partial, usage.cost_shown) == (total, is_partial, shown)


def test_a_difference_is_what_the_sum_had_more() -> None:
    part = Usage(turns=1, tokens_output=5, cost_usd=0.25, seconds=1.0)
    assert (WHOLE + part) - part == WHOLE
    assert WHOLE - NOTHING == WHOLE


def test_a_difference_has_no_negative_numbers() -> None:
    assert Usage(cost_usd=0.5, seconds=1.0) - WHOLE - WHOLE == Usage(attempts=0, cost_usd=0.0, seconds=0.0)
    unknown = Usage() - WHOLE
    assert (unknown.cost_usd, unknown.seconds) == (None, None)


@pytest.mark.parametrize("number", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["tokens_input", "turns", "cost_usd", "seconds", "attempts"])
def test_negative_and_infinite_numbers_are_rejected(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=name):
        Usage(**{name: number})  # type: ignore[arg-type]


def test_a_record_is_read_as_it_was_written() -> None:
    written = json.dumps((WHOLE + WHOLE).to_json())
    assert written == (
        '{"duration_s": 4.0, "attempts": 2, '
        '"tokens": {"input": 20, "output": 40, "cache_read": 60, "cache_write": 80}, "cost_usd": 1.0}'
    )
    read = Usage.from_json(json.loads(written))
    assert read.to_json() == json.loads(written)
    assert Usage.from_json({}) + NOTHING == NOTHING


@pytest.mark.parametrize(
    "record",
    [{"tokens": 5}, {"tokens": {"input": "5"}}, {"attempts": "many"}, {"attempts": -1}, {"cost_usd": "free"}],
)
def test_a_record_with_another_kind_of_value_is_rejected(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"tokens|input|attempts|cost_usd"):
        Usage.from_json(record)


def test_a_lower_bound_stays_one_wherever_it_is_written() -> None:
    usage = WHOLE + Usage()
    assert usage.cost_is_partial
    record = Usage.from_json(json.loads(json.dumps(usage.to_json())))
    commit = Usage.from_trailers(usage.to_trailers())
    for read in (record, commit):
        assert read.cost_shown == (read + WHOLE - WHOLE).cost_shown == "at least 0.5000 USD"
    assert not Usage.from_json(WHOLE.to_json()).cost_is_partial


def test_trailers_hold_what_is_known() -> None:
    assert WHOLE.to_trailers() == {
        "Cobbler-Cost-USD": "0.500000",
        "Cobbler-Tokens-Input": "10",
        "Cobbler-Tokens-Output": "20",
        "Cobbler-Tokens-Cache-Read": "30",
        "Cobbler-Tokens-Cache-Write": "40",
    }
    assert Usage().to_trailers() == NOTHING.to_trailers() == {}
    assert Usage.from_trailers(WHOLE.to_trailers()).to_trailers() == WHOLE.to_trailers()
    assert Usage.from_trailers({}) == Usage()
