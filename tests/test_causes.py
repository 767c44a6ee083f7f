"""Causes: which of them a new run goes on from, which end the attempts, what the next prompt has."""

from __future__ import annotations

import pytest

from pytest_cobbler.causes import Cause, Ending


def test_every_way_in_which_an_agent_can_end_is_a_cause() -> None:
    assert {ending: ending.cause for ending in Ending} == {
        Ending.EXITED: Cause.AGENT,
        Ending.TIMEOUT: Cause.TIMEOUT,
        Ending.IDLE: Cause.IDLE,
        Ending.DISK: Cause.DISK,
        Ending.KILLED: Cause.KILLED,
        Ending.LOST: Cause.LOST,
        Ending.CANCELLED: Cause.CANCELLED,
    }


def test_a_new_run_goes_on_from_good_work_and_not_from_bad_work() -> None:
    afresh = {cause for cause in Cause if not cause.continues}
    assert afresh.isdisjoint({Cause.GATE, Cause.CONFLICT, Cause.INTERRUPTED, Cause.LANDING, Cause.TIMEOUT})
    assert afresh.isdisjoint({Cause.LIMITED, Cause.BUDGET, Cause.ACCESS, Cause.MODEL, Cause.AGENT})
    assert {Cause.DISK, Cause.REFUSED, Cause.HARVEST, Cause.UNKNOWN} <= afresh


def test_no_further_attempt_is_made_where_it_would_not_help() -> None:
    final = {cause for cause in Cause if cause.is_final}
    limits = {Cause.LIMITED, Cause.BUDGET, Cause.ACCESS, Cause.MODEL, Cause.PROMPT}
    assert final == limits | {Cause.CANCELLED, Cause.NO_CHANGE, Cause.LANDING}


def test_the_next_prompt_has_one_of_six_kinds_of_feedback() -> None:
    kinds = {cause.feedback for cause in Cause}
    assert kinds == {
        *(Cause.GATE, Cause.CONFLICT, Cause.REFUSED, Cause.HARVEST, Cause.NO_CHANGE, Cause.AGENT),
    }
    assert all(kind.feedback is kind for kind in kinds)


def test_no_cause_is_false_and_every_other_one_is_true() -> None:
    assert [cause for cause in Cause if not cause] == [Cause.NONE]


@pytest.mark.parametrize("word", ["", "weather", "Gate"])
def test_a_word_of_another_version_is_an_unknown_cause(word: str) -> None:
    assert Cause.parse(word) is Cause.UNKNOWN
    assert Cause.parse("gate") is Cause.GATE
