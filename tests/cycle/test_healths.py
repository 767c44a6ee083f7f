"""The APIs of several agents: which agent may start, and when the whole run ends or waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.agents.troubles import Trouble
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.patience import MOST, Followers
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
BOTH = ("claude", "codex")
SPENT = Trouble(cause=Cause.LIMITED, status=400, words="credit balance is too low")
REFUSED = Trouble(cause=Cause.ACCESS, status=401, words="invalid key")


class Apis:
    """The APIs of two agents at a time that the test sets."""

    def __init__(self, count: int = 4) -> None:
        self.time = NOON
        healths = {name: ApiHealth(count, 1200.0, lambda: self.time) for name in BOTH}
        self.healths = Healths(healths)
        self.slots = Slots(count, lambda: None, self.healths)

    def limit(self, name: str, seconds: float = 60) -> None:
        until = self.time + timedelta(seconds=seconds)
        trouble = Trouble(cause=Cause.LIMITED, passes=True, status=429, words="slow down", until=until)
        self.healths[name].met(trouble, "p-a", is_sure=True)

    def stop(self, name: str, trouble: Trouble = SPENT) -> None:
        self.healths[name].met(trouble, "p-a", is_sure=True)

    def taken(self, count: int) -> list[str]:
        return [self.slots.take(BOTH) for _ in range(count)]


def test_the_first_agent_works_until_it_is_limited_and_again_when_the_limit_has_passed() -> None:
    apis = Apis()
    assert apis.taken(1) == ["claude"]
    apis.limit("claude")
    assert apis.healths.passed_over == BOTH
    assert apis.healths.waiting_for is None
    assert apis.taken(1) == ["codex"]
    apis.time += timedelta(seconds=61)
    assert apis.healths.passed_over == ("", "")
    assert apis.taken(1) == ["claude"], "two of four may work after a limit, and one does"
    assert apis.taken(2) == ["codex", ""], "its limit has halved the first; four places are all"


def test_a_place_that_is_given_back_is_one_of_its_own_agent() -> None:
    apis = Apis()
    apis.limit("claude", 10)
    apis.time += timedelta(seconds=11)
    assert apis.taken(3) == ["claude", "claude", "codex"]
    apis.slots.give("codex")
    assert apis.taken(1) == ["codex"]
    apis.slots.give("claude")
    assert apis.taken(1) == ["claude"]


def test_a_task_for_one_agent_waits_for_it_and_keeps_no_place_from_others() -> None:
    apis = Apis(count=1)
    apis.limit("codex")
    assert apis.slots.take(("codex",)) == ""
    assert apis.slots.take(BOTH) == "claude"


def test_a_run_waits_for_the_limit_that_ends_first_if_all_are_limited() -> None:
    apis = Apis()
    apis.limit("claude", 90)
    apis.limit("codex", 30)
    assert apis.taken(1) == [""]
    assert apis.healths.waiting_for is apis.healths["codex"]
    assert apis.healths.stop is None


def test_a_run_ends_when_the_last_agent_is_stopped() -> None:
    apis = Apis()
    apis.stop("claude")
    assert apis.healths.stop is None
    assert apis.taken(1) == ["codex"]
    apis.stop("codex")
    assert apis.healths.stop is apis.healths["claude"].stop
    assert apis.taken(1) == [""]
    assert apis.slots.wait(Cancellation(), BOTH) == ""


def test_a_refused_key_ends_the_run_although_another_agent_could_work() -> None:
    apis = Apis()
    apis.stop("codex", REFUSED)
    assert apis.healths.stop is apis.healths["codex"].stop
    assert apis.taken(1) == [""]
    assert apis.slots.wait(Cancellation(), BOTH) == ""


def limited(*, passes: bool = True, is_claimed: bool = False) -> AgentResult:
    completed = Completed(status=1, cause=Ending.EXITED, seconds=0.0, stderr="")
    return AgentResult(
        completed=completed, error="limited", limited=True, limit_passes=passes, limit_is_claimed=is_claimed
    )


def done() -> AgentResult:
    return AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=0.0, stderr=""))


def test_a_limited_agent_is_followed_by_the_next_and_a_failed_one_by_itself() -> None:
    apis = Apis()
    followers = Followers(apis.healths, "p-a", BOTH)
    apis.limit("claude")
    followers.begin(apis.slots.take(followers.names))
    assert followers.names == ("codex", "claude"), "its conversation goes on after a red gate"
    assert not followers.goes_on(done())
    apis.time += timedelta(seconds=90)
    assert apis.slots.take(followers.names) == "codex", "although the first one serves again"


def test_an_agent_that_is_out_of_credit_is_not_asked_again_for_the_same_item() -> None:
    apis = Apis()
    followers = Followers(apis.healths, "p-a", BOTH)
    followers.begin("claude")
    assert followers.goes_on(limited(passes=False, is_claimed=True)), "the next one may be served"
    assert followers.names == ("codex",)
    followers.begin("codex")
    assert not followers.goes_on(limited(passes=False, is_claimed=True))


def test_no_agent_gets_attempts_without_end_by_reporting_limits() -> None:
    apis = Apis()
    followers, free = Followers(apis.healths, "p-a", BOTH), 0
    while True:
        followers.begin(followers.names[0])
        if not followers.goes_on(limited(is_claimed=True)):
            break
        free += 1
    assert free == 2 * MOST - 1
