"""The state of the API that all agents of a run share, on a clock of the test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pytest_cobbler.agents.health import FIRST_WAIT, LONGEST_WAIT, ApiHealth, Caller
from pytest_cobbler.agents.troubles import Trouble, end_of_wait, trouble_of, unreached
from pytest_cobbler.causes import Cause

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
BUSY = Trouble(cause=Cause.LIMITED, passes=True, status=529, words="overloaded")
SPENT = Trouble(cause=Cause.LIMITED, status=402, words="no credit")
ACCESS = Trouble(cause=Cause.ACCESS, status=401, words="invalid x-api-key")
FORBIDDEN = Trouble(cause=Cause.ACCESS, status=403, words="no")
MODEL = Trouble(cause=Cause.MODEL, status=404, words="model: claude-none")
PROMPT = Trouble(cause=Cause.PROMPT, status=400, words="prompt is too long")


class Api:
    """A run's view of the API at a time that the test sets."""

    def __init__(self, agents: int = 8, patience: float | None = 1200.0) -> None:
        self.time = NOON
        self.changes = 0
        self.health = ApiHealth(agents, patience, lambda: self.time, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def later(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def asks_to_wait(self, seconds: float) -> Trouble:
        until = self.time + timedelta(seconds=seconds)
        return Trouble(cause=Cause.LIMITED, passes=True, status=429, words="slow down", until=until)

    def caller(self, item: str = "p-a", *, is_seen: bool = True) -> Caller:
        return Caller(self.health, item, is_seen=is_seen)


def test_a_rate_limit_halves_the_agents_and_holds_new_ones_for_the_time_that_it_names() -> None:
    api = Api()
    api.caller().met(api.asks_to_wait(30))
    assert (api.health.allowed, api.health.waits_until) == (4, NOON + timedelta(seconds=30))
    assert not api.health.may_start(0)
    api.later(29)
    assert not api.health.may_start(0)
    api.later(1)
    assert [api.health.may_start(working) for working in (0, 3, 4)] == [True, True, False]
    assert api.health.stop is None
    assert api.health.waited == timedelta(seconds=30)


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize("patience", [1200.0, None])
@pytest.mark.parametrize("is_seen", [True, False])
def test_the_end_of_a_limit_is_at_most_eight_days_away(
    passes: bool, patience: float | None, is_seen: bool
) -> None:
    api = Api(patience=patience)
    for item in ("p-a", "p-b"):
        api.caller(item, is_seen=is_seen).met(replace(api.asks_to_wait(999_999_999), passes=passes))
    end = api.health.stop.until if api.health.stop else api.health.waits_until
    assert end == NOON + timedelta(days=8)


def test_agents_that_meet_with_one_trouble_together_count_once_and_the_longest_wait_counts() -> None:
    api = Api()
    for number in range(8):
        api.caller(f"p-{number}").met(api.asks_to_wait(10 + number))
    assert (api.health.allowed, api.health.waits_until) == (4, NOON + timedelta(seconds=17))
    api.later(18)
    api.caller().met(api.asks_to_wait(1))
    assert api.health.allowed == 2
    for _ in range(5):
        api.later(60)
        api.caller().met(api.asks_to_wait(1))
    assert api.health.allowed == api.health.least == 1


def test_each_answer_lets_one_more_agent_work_but_not_one_that_was_under_way() -> None:
    api = Api()
    api.caller().met(BUSY)
    before, caller = NOON - timedelta(seconds=1), api.caller()
    caller.answered(before)
    assert api.health.allowed == 4
    api.later(1)
    grown = []
    for _ in range(6):
        caller.answered(api.time)
        grown.append(api.health.allowed)
    assert grown == [5, 6, 7, 8, 8, 8]
    assert api.changes == 4


def test_a_wait_that_the_api_names_is_kept_even_if_it_answers_before_and_a_guess_is_not() -> None:
    api = Api()
    api.caller().met(api.asks_to_wait(30))
    api.later(10)
    api.caller().answered(api.time)
    assert not api.health.may_start(0)
    guess = Api()
    guess.caller().met(BUSY)
    guess.later(1)
    guess.caller().answered(guess.time)
    assert guess.health.may_start(0)
    assert guess.health.waited == timedelta(seconds=1)


def test_waits_without_a_time_double_up_to_the_longest() -> None:
    api, waits = Api(patience=None), []
    for _ in range(9):
        api.caller().met(BUSY)
        until = api.health.waits_until
        assert until is not None
        waits.append(until - api.time)
        api.time = until
    assert waits[:3] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    api.caller().answered(api.time + timedelta(seconds=1))
    api.later(2)
    api.caller().met(BUSY)
    assert api.health.waits_until == api.time + FIRST_WAIT


@pytest.mark.parametrize(("seconds", "ends"), [(1200, False), (1201, True)])
def test_a_longer_wait_than_allowed_ends_the_run_but_not_those_who_work(seconds: float, ends: bool) -> None:
    api = Api()
    api.caller().met(api.asks_to_wait(seconds))
    stop = api.health.stop
    assert (stop is not None) is ends
    if stop is not None:
        assert (stop.cause, stop.until, stop.at_once) == (
            Cause.LIMITED,
            NOON + timedelta(seconds=1201),
            False,
        )
        assert not api.health.may_start(0)


def test_short_waits_without_an_answer_between_them_add_up_and_an_answer_ends_the_sum() -> None:
    api = Api()
    for _ in range(3):
        api.caller().met(api.asks_to_wait(500))
        api.later(501)
    assert api.health.stop is not None
    api = Api()
    for _ in range(5):
        api.caller().met(api.asks_to_wait(500))
        api.later(501)
        api.caller().answered(api.time)
        api.later(1)
    assert api.health.stop is None


def test_without_a_limit_any_time_is_waited() -> None:
    api = Api(patience=None)
    api.caller().met(api.asks_to_wait(7 * 86400))
    assert api.health.stop is None
    assert api.health.waits_for(NOON + timedelta(days=7))


def test_a_time_in_the_past_is_no_time() -> None:
    api = Api()
    api.caller().met(api.asks_to_wait(-5))
    assert api.health.waits_until == NOON + FIRST_WAIT


@pytest.mark.parametrize("trouble", [ACCESS, FORBIDDEN, MODEL])
def test_a_refusal_before_the_first_answer_ends_the_run_at_once(trouble: Trouble) -> None:
    for is_seen in (True, False):
        api = Api()
        caller = api.caller(is_seen=is_seen)
        caller.begins()
        caller.met(trouble)
        caller.ended()
        assert api.health.stop is not None
        assert (api.health.stop.cause, api.health.stop.at_once) == (trouble.cause, True)
        assert api.health.stop.is_claimed is not is_seen
        assert caller.was_refused


@pytest.mark.parametrize("trouble", [FORBIDDEN, MODEL])
def test_a_refusal_that_an_agent_may_have_brought_about_ends_nothing_but_its_item(trouble: Trouble) -> None:
    api = Api()
    hostile = api.caller("p-a")
    hostile.answered()
    for _ in range(3):
        hostile.met(trouble)
    hostile.ended()
    assert api.health.stop is None
    assert not hostile.was_refused
    other = api.caller("p-b")
    other.met(trouble)
    other.ended()
    assert api.health.stop is not None


def test_a_program_that_does_without_a_model_goes_on() -> None:
    api = Api()
    caller = api.caller()
    caller.met(MODEL)
    caller.answered()
    caller.ended()
    assert api.health.stop is None


def test_a_refused_credential_and_spent_credit_count_at_any_time_if_the_proxy_saw_them() -> None:
    for trouble in (ACCESS, SPENT):
        api = Api()
        caller = api.caller()
        caller.answered()
        caller.met(trouble)
        assert api.health.stop is not None
        assert api.health.stop.at_once is (trouble is ACCESS)


@pytest.mark.parametrize("trouble", [ACCESS, MODEL, SPENT])
def test_the_word_of_one_agent_ends_nothing_but_its_item_and_that_of_two_the_run(trouble: Trouble) -> None:
    api = Api()
    hostile = api.caller("p-a", is_seen=False)
    hostile.begins()
    hostile.answered()
    hostile.begins()  # it prints another start
    hostile.met(trouble)
    hostile.met(trouble)
    hostile.ended()
    assert api.health.stop is None
    other = api.caller("p-b", is_seen=False)
    other.answered()
    other.met(trouble)
    other.ended()
    assert api.health.stop is None, "it was answered in between"
    third = api.caller("p-c", is_seen=False)
    third.met(trouble)
    third.ended()
    assert api.health.stop is not None
    assert api.health.stop.is_claimed


def test_a_limit_without_end_that_one_agent_claims_ends_nothing() -> None:
    api = Api()
    api.caller("p-a", is_seen=False).met(api.asks_to_wait(8 * 86400))
    assert api.health.stop is None
    assert api.health.may_start(0)
    api.caller("p-a", is_seen=False).met(api.asks_to_wait(60))
    assert not api.health.may_start(0)


def test_an_agent_that_always_claims_a_fault_ends_no_run() -> None:
    api = Api()
    hostile = api.caller("p-a", is_seen=False)
    hostile.answered()
    for _ in range(100):
        hostile.met(BUSY)
        api.later(120)
    assert api.health.stop is None
    api.caller("p-b", is_seen=False).met(BUSY)
    assert api.health.stop is not None


def test_a_prompt_that_is_too_long_for_two_tasks_ends_the_run() -> None:
    api = Api()
    api.caller("p-a").met(PROMPT)
    api.caller("p-a").met(PROMPT)
    assert api.health.stop is None
    api.caller("p-b").met(PROMPT)
    assert api.health.stop is not None
    assert (api.health.stop.cause, api.health.stop.at_once) == (Cause.PROMPT, False)
    api = Api()
    for item in ("p-a", "p-b", "p-c"):
        grown = api.caller(item)
        grown.answered()
        grown.met(PROMPT)
    assert api.health.stop is None, "conversations grow"


def test_a_refusal_ends_the_run_also_after_a_limit_from_which_another_agent_could_take_over() -> None:
    api = Api(patience=60.0)
    api.caller("p-a").met(api.asks_to_wait(900))
    assert api.health.stop is not None
    assert not api.health.stop.at_once
    api.caller("p-b").met(ACCESS)
    assert (api.health.stop.cause, api.health.stop.at_once) == (Cause.ACCESS, True)


def test_the_first_stop_stays() -> None:
    api = Api()
    api.caller().met(ACCESS)
    api.caller().met(api.asks_to_wait(5000))
    assert api.health.stop is not None
    assert api.health.stop.cause is Cause.ACCESS
    assert not api.health.waits_for(NOON)
    assert api.health.seen == {401: 1, 429: 1}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "30"}, 30),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Sun, 29 Nov 2026 12:01:00 GMT"}, 60),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"anthropic-ratelimit-unified-reset": str(int(NOON.timestamp()) + 90), "retry-after": "5"}, 90),
        (
            {
                "anthropic-ratelimit-unified-status": "allowed",
                "anthropic-ratelimit-unified-reset": str(int(NOON.timestamp()) + 90),
                "retry-after": "5",
            },
            5,
        ),
    ],
)
def test_the_time_that_a_response_names(headers: dict[str, str], seconds: float | None) -> None:
    until = end_of_wait(headers, NOON)
    assert until == (None if seconds is None else NOON + timedelta(seconds=seconds))


def test_troubles_are_told_apart() -> None:
    limit = trouble_of(429, "rate_limit_error", "You have reached your weekly usage limit")
    assert limit is not None
    assert (limit.passes, limit.shown) == (
        False,
        "API error 429: You have reached your weekly usage limit",
    )
    burst = trouble_of(429, "rate_limit_error", "slow down")
    assert burst is not None
    assert burst.passes
    assert trouble_of(400, "invalid_request_error", "bad request") is None
    assert trouble_of(10**30) is None
    assert unreached("nobody is there").shown == "API error: nobody is there"
