"""Faults to plant in the code under test, each of which the simulator has to find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

from pytest_cobbler.agents.budget import Budget, Ticket
from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle import attempt, releasing
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.cycle.stitch import Stitching
from pytest_cobbler.landing import window
from pytest_cobbler.landing.blame import Blame, RedGates
from pytest_cobbler.landing.gate_runs import GateRuns, Verdict
from pytest_cobbler.lifecycle import selection
from pytest_cobbler.lifecycle.plan import Plan, State
from pytest_cobbler.lifecycle.recovery import Recovery
from pytest_cobbler.lifecycle.setting_aside import failed_runs
from pytest_cobbler.repository.landing import Merge, merge

__all__ = ["FAULTS"]


def _a_reservation_is_not_counted() -> AbstractContextManager[Any]:
    grant, granted = Budget._grant, WeakKeyDictionary[Budget, int]()

    def grant_for_nothing(budget: Budget, ticket: Ticket) -> None:
        grant(budget, ticket)
        # Counted for each budget: the schedules before do not decide which grants of this one are hit.
        granted[budget] = granted.get(budget, 0) + 1
        if granted[budget] % 3 == 0:
            for purse in ticket.purses:
                purse.reserved -= ticket.reserved
            ticket.reserved = 0

    return mock.patch.object(Budget, "_grant", grant_for_nothing)


def _a_limit_counts_as_a_failure() -> AbstractContextManager[Any]:
    def counted(comments: Iterable[str]) -> int:
        return failed_runs(comment.replace('"limited"', '"failed"') for comment in comments)

    return mock.patch.object(releasing, "failed_runs", counted)


def _a_limit_charges_an_attempt() -> AbstractContextManager[Any]:
    def ends_the_item(attempt: Attempt) -> bool:
        return attempt.is_last or (attempt.cause.is_final and attempt.cause is not Cause.LIMITED)

    stack = ExitStack()
    stack.enter_context(mock.patch.object(Stitching, "_is_free", return_value=False))
    stack.enter_context(mock.patch.object(Attempt, "ends_the_item", property(ends_the_item)))
    return stack


def _a_measure_does_not_wait_for_the_stitches() -> AbstractContextManager[Any]:
    return mock.patch.object(Plan, "follow")


def _a_tree_of_a_stale_tip_lands() -> AbstractContextManager[Any]:
    def merge_with_an_older_tip(repository: Any, tip: str, commit: str) -> Merge:
        made = merge(repository, repository.objects.text("rev-parse", "--verify", f"{commit}^"), commit)
        return Merge(tip=tip, tree=made.tree)

    return mock.patch.object(window, "merge_change", merge_with_an_older_tip)


def _a_claim_of_a_dead_run_stays() -> AbstractContextManager[Any]:
    return mock.patch.object(Recovery, "_recover_claims", return_value=())


def _a_task_that_is_set_aside_is_selected() -> AbstractContextManager[Any]:
    return mock.patch.object(selection, "SET_ASIDE", "another-label")


def _a_red_tip_is_the_fault_of_the_change() -> AbstractContextManager[Any]:
    return mock.patch.object(RedGates, "explain", return_value=Blame())


def _agents_do_not_wait_for_the_api() -> AbstractContextManager[Any]:
    return mock.patch.object(ApiHealth, "waits_until", None)


def _a_run_waits_for_its_first_agent_alone() -> AbstractContextManager[Any]:
    first = Slots._first

    def first_of_all(slots: Slots, names: Sequence[str], ahead: int = 0) -> str:
        return first(slots, names[:1], ahead)

    return mock.patch.object(Slots, "_first", first_of_all)


def _an_agent_goes_on_with_the_conversation_of_another() -> AbstractContextManager[Any]:
    def kept_session(run: Any, task: Any, start: Any, _by: object) -> Any:
        kept = run.sessions.find(task.id) if start.continued else None
        return kept if kept and kept.number == start.continued.number else None

    return mock.patch.object(attempt, "kept_session", kept_session)


def _a_need_that_failed_is_met() -> AbstractContextManager[Any]:
    tell = Plan._tell

    def tell_that_it_is_done(entry: Any, key: str, _state: State) -> None:
        tell(entry, key, State.DONE)

    return mock.patch.object(Plan, "_tell", staticmethod(tell_that_it_is_done))


def _a_verdict_counts_for_another_tree() -> AbstractContextManager[Any]:
    verdict, green = GateRuns.verdict, list[Verdict]()

    def verdict_of_any(runs: GateRuns, tree: str) -> Verdict:
        found = verdict(runs, tree)
        green.extend([found] if found[0].passed else [])
        return green[-1] if green else found

    return mock.patch.object(GateRuns, "verdict", verdict_of_any)


FAULTS: Mapping[str, Callable[[], AbstractContextManager[Any]]] = {
    fault.__name__.strip("_").replace("_", " "): fault
    for fault in (
        _a_reservation_is_not_counted,
        _a_limit_counts_as_a_failure,
        _a_limit_charges_an_attempt,
        _a_measure_does_not_wait_for_the_stitches,
        _a_tree_of_a_stale_tip_lands,
        _a_claim_of_a_dead_run_stays,
        _a_task_that_is_set_aside_is_selected,
        _a_red_tip_is_the_fault_of_the_change,
        _agents_do_not_wait_for_the_api,
        _a_run_waits_for_its_first_agent_alone,
        _an_agent_goes_on_with_the_conversation_of_another,
        _a_need_that_failed_is_met,
        _a_verdict_counts_for_another_tree,
    )
}
