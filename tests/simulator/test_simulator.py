"""Many schedules, in all of which every invariant holds; and faults that the simulator finds."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulator.planted import FAULTS
from tests.simulator.replacements import installed
from tests.simulator.runner import first_finding, numbers_of, play
from tests.simulator.schedules import ACTS

SCHEDULES = 2_000
PARTS = 8
"""So many tests of equal length, which several processes can share."""
SEED = "the same for every change"
"""``nox -s long`` plays new ones: what those find is not the fault of a change."""


@pytest.fixture(autouse=True)
def simulated() -> Iterator[None]:
    with installed():
        yield


@pytest.mark.slow
@pytest.mark.every_run
@pytest.mark.parametrize("part", range(PARTS))
def test_every_invariant_holds_in_2000_schedules(part: int) -> None:
    counts: Counter[str] = Counter()
    for number in itertools.islice(numbers_of(SEED, SCHEDULES), part, None, PARTS):
        played = play(number)
        counts += played.counts
        if finding := played.finding:
            pytest.fail(f"{finding.why}\nTo replay it: {finding.again}\n{finding.where}", pytrace=False)
    assert all(counts[act] for act in ACTS)
    assert counts["limits"] == SCHEDULES // PARTS
    assert min(counts["kill"], counts["acts of people"]) >= SCHEDULES // PARTS


@pytest.mark.slow
@pytest.mark.every_run
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    with FAULTS[fault]():
        finding = first_finding(SEED, SCHEDULES)
        assert finding is not None
        again = play(finding.seed).finding
        assert again is not None, "its number does not replay it"
        assert (again.why, again.again) == (finding.why, finding.again)
    assert play(finding.seed).finding is None, "it is found without the fault, too"


def test_a_schedule_is_whole_although_all_its_tasks_wait_for_a_person() -> None:
    assert play(288899105609).finding is None


def test_the_same_number_takes_the_same_steps() -> None:
    number = next(numbers_of("steps", 1))
    traces: list[list[str]] = [[], []]
    for trace in traces:
        play(number, trace.append)
    assert len(traces[0]) > 100
    assert traces[0] == traces[1]
