"""The line on an item about work that did not land."""

from __future__ import annotations

import pytest

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.cycle.attempt import Attempt
from pytest_cobbler.cycle.unlanded import not_landed
from pytest_cobbler.landing.candidates import Landing
from pytest_cobbler.repository.checks import Refusal
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.sandbox.base import Completed


@pytest.mark.parametrize(
    ("is_needed", "summary"),
    [(True, "refused after the merge: fewer asserts"), (False, "refused: fewer asserts")],
)
def test_a_merge_is_named_where_one_was_needed(is_needed: bool, summary: str) -> None:
    attempt = Attempt(
        number=1,
        result=AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=1.0, stderr="")),
    )
    landing = Landing(
        merged=Merge(tip="tip", tree="tree", is_needed=is_needed),
        cause=Cause.REFUSED,
        refusals=(Refusal(reason="fewer asserts"),),
    )

    assert not_landed(attempt, landing).summary == summary
