"""trace.json against the fields that the Trace Event Format has for each kind of event."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest

from pytest_cobbler.publishing.gathering import gather
from pytest_cobbler.publishing.tasks import Tracked
from pytest_cobbler.publishing.trace import trace
from tests.support.reported import BEGAN, GENERATION, MadeUp

FIELDS: Mapping[str, Mapping[str, type]] = {
    "X": {"name": str, "cat": str, "ph": str, "ts": int, "dur": int, "pid": int, "tid": int, "args": dict},
    "M": {"name": str, "ph": str, "pid": int, "tid": int, "args": dict},
    "C": {"name": str, "ph": str, "ts": int, "pid": int, "tid": int, "args": dict},
}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    config, repository = MadeUp(tasks=14).make(tmp_path_factory.mktemp("traced"))
    return trace(gather(config, repository, GENERATION, Tracked(), BEGAN + 9000))


def test_every_event_has_the_documented_fields(traced: dict[str, Any]) -> None:
    assert set(traced) <= {"traceEvents", "displayTimeUnit", "otherData"}
    assert traced["displayTimeUnit"] in ("ms", "ns")
    for event in traced["traceEvents"]:
        fields = FIELDS[event["ph"]]
        assert {name: type(value) for name, value in event.items()} == dict(fields)
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert isinstance(event["args"]["name"], str)
        if event["ph"] == "C":
            assert all(isinstance(value, int | float) for value in event["args"].values())


def test_events_of_a_thread_do_not_overlap(traced: dict[str, Any]) -> None:
    spans: dict[int, list[tuple[int, int]]] = {}
    for event in traced["traceEvents"]:
        if event["ph"] == "X":
            spans.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    assert len(spans) == 5  # four agents and the lane
    for of_thread in spans.values():
        of_thread.sort()
        assert all(one[1] <= other[0] + 1000 for one, other in pairwise(of_thread))


def test_no_more_agents_are_at_work_than_may(traced: dict[str, Any]) -> None:
    counts = [event["args"]["at work"] for event in traced["traceEvents"] if event["ph"] == "C"]
    assert (max(counts), min(counts), counts[-1]) == (4, 0, 0)
