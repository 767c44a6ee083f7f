"""Attempts begin and land in the order of a recording, and no attempt waits for ever."""

from __future__ import annotations

import threading

import pytest

from pytest_cobbler.process import Cancellation
from pytest_cobbler.recordings.turns import Point, Turns

A1, B1 = Point("begin", "stitch/a", 1), Point("begin", "stitch/b", 1)
LAND_A, LAND_B = Point("land", "stitch/a", 1), Point("land", "stitch/b", 1)
A2 = Point("begin", "stitch/a", 2)


def order(*points: Point) -> list[str]:
    return [str(point) for point in points]


class Walker(threading.Thread):
    """A task that passes its points one after the other."""

    def __init__(self, turns: Turns, passed: list[Point], *points: Point) -> None:
        super().__init__(daemon=True)
        self._turns, self._passed, self._points = turns, passed, points
        self.cancellation = Cancellation()
        self.start()

    def run(self) -> None:
        for point in self._points:
            self._turns.wait(point, self.cancellation)
            with self._turns.passing(point):
                self._passed.append(point)
        self._turns.over(self._points[0].task)

    def ends(self) -> bool:
        self.join(30)
        return not self.is_alive()


@pytest.mark.parametrize(
    "recorded", [(A1, B1, LAND_B, LAND_A, A2), (B1, A1, LAND_A, A2, LAND_B), (A1, LAND_A, A2, B1, LAND_B)]
)
def test_points_pass_in_the_order_of_the_recording(recorded: tuple[Point, ...]) -> None:
    passed: list[Point] = []
    turns = Turns(order(*recorded))
    walkers = [Walker(turns, passed, A1, LAND_A, A2), Walker(turns, passed, B1, LAND_B)]
    assert all(walker.ends() for walker in walkers)
    assert tuple(passed) == recorded


def test_without_a_recording_no_task_waits_and_the_order_is_noted() -> None:
    noted: list[Point] = []
    turns = Turns(note=noted.append)
    for point in (B1, A1, LAND_B):
        assert not turns.must_wait(point)
        with turns.passing(point):
            pass
    assert noted == [B1, A1, LAND_B]


def test_a_point_that_was_not_recorded_does_not_wait() -> None:
    assert not Turns(order(A1, B1)).must_wait(Point("begin", "stitch/c", 1))


def test_a_task_that_is_over_does_not_delay_others() -> None:
    turns = Turns(order(A1, LAND_A, B1))
    assert turns.must_wait(B1)
    turns.over("stitch/a")
    assert not turns.must_wait(B1)


def test_a_skipped_point_does_not_delay_others() -> None:
    turns = Turns(order(A1, LAND_A, A2, B1))
    assert not turns.must_wait(A2)  # its attempt 1 did not reach its landing


def test_a_task_that_can_never_start_is_given_up_when_all_others_wait_for_it() -> None:
    passed: list[Point] = []
    turns = Turns(order(A1, LAND_A, B1))
    walker = Walker(turns, passed, B1)
    while walker.is_alive():
        turns.go_on(under_way=1)
    assert passed == [B1]


def test_a_task_is_not_given_up_while_anything_is_under_way() -> None:
    passed: list[Point] = []
    turns = Turns(order(A1, LAND_A, B1))
    walker = Walker(turns, passed, B1)
    for _ in range(3):
        walker.join(0.1)
        turns.go_on(under_way=2)
    assert passed == []
    turns.passed(A1)
    turns.passed(LAND_A)
    assert walker.ends()


def test_the_end_of_the_run_ends_the_waiting() -> None:
    turns = Turns(order(A1, B1))
    turns.must_wait(A1)
    walker = Walker(turns, [], B1)
    walker.cancellation.cancel()
    assert walker.ends()
