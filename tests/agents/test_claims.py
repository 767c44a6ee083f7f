from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_cobbler.agents.claims import LONGEST_LIMIT, bounded, disagreements
from pytest_cobbler.usage import Usage

METERED = Usage(cost_usd=2.0, tokens_output=1000, model="m")


@pytest.mark.parametrize(
    ("reported", "metered", "notes"),
    [
        (Usage(cost_usd=2.0, tokens_output=1000), METERED, 0),
        (Usage(cost_usd=1.9999999, tokens_output=1000), METERED, 0),
        (Usage(), METERED, 0),
        (Usage(cost_usd=0.5), METERED, 1),
        (Usage(cost_usd=20.0, tokens_output=1), METERED, 2),
        (Usage(cost_usd=3.0), Usage(cost_usd=2.0, cost_is_partial=True), 0),
        (Usage(cost_usd=1.0), Usage(cost_usd=2.0, cost_is_partial=True), 1),
        (Usage(cost_usd=1.0), Usage(), 1),
        (Usage(tokens_input=5), METERED, 1),
    ],
)
def test_a_report_that_differs_is_a_note(reported: Usage, metered: Usage, notes: int) -> None:
    assert len(list(disagreements(reported, metered))) == notes


def test_the_end_of_a_limit_is_near() -> None:
    assert timedelta(days=8) == LONGEST_LIMIT
    now = datetime.now(UTC)
    soon = now + timedelta(hours=5)
    assert bounded(soon) == soon
    assert bounded(None) is None
    assert bounded(now - timedelta(seconds=1)) is None
    for late in (datetime(2286, 11, 20, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        end = bounded(late)
        assert end is not None
        assert end <= datetime.now(UTC) + LONGEST_LIMIT
    assert bounded(datetime.min) is None, "without a time zone, and out of range"
