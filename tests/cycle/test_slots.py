"""The number of concurrent agents, and the order in which they get free places."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from pytest_cobbler.agents.health import ApiHealth
from pytest_cobbler.cycle.healths import Healths
from pytest_cobbler.cycle.slots import Slots
from pytest_cobbler.process import Cancellation

PATIENCE = 10.0
"""Seconds to wait for a thread."""


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Waiter:
    """A task that waits for a place for a further attempt, in its own thread."""

    def __init__(self, slots: OneAgent, cancellation: Cancellation | None = None) -> None:
        self.answers: list[bool] = []
        self._thread = threading.Thread(
            target=lambda: self.answers.append(bool(slots.wait(cancellation or Cancellation()))), daemon=True
        )
        self._thread.start()

    def answer(self) -> bool:
        self._thread.join(PATIENCE)
        (answer,) = self.answers
        return answer


class OneAgent(Slots):
    """The places of a run with one agent."""

    def __init__(self, count: int, freed: Callable[[], None] = lambda: None) -> None:
        super().__init__(count, freed, Healths({"a": ApiHealth(count)}))

    def take(self, names: Sequence[str] = ("a",)) -> str:
        return super().take(names)

    def wait(self, cancellation: Cancellation, names: Sequence[str] = ("a",)) -> str:
        return super().wait(cancellation, names)

    def give(self, name: str = "a") -> None:
        super().give(name)


def slots_with(count: int) -> OneAgent:
    return OneAgent(count)


def test_every_place_can_be_taken_once() -> None:
    slots = slots_with(2)
    assert [bool(slots.take()) for _ in range(3)] == [True, True, False]
    slots.give()
    assert [bool(slots.take()) for _ in range(2)] == [True, False]


def test_freed_is_called_for_every_place_that_is_given_back() -> None:
    freed: list[bool] = []
    slots = OneAgent(1, freed=lambda: freed.append(bool(slots.take())))
    slots.take()
    slots.give()
    slots.give()
    assert freed == [True, True], "it may take the place immediately"


def test_a_further_attempt_takes_a_free_place_immediately() -> None:
    slots = slots_with(1)
    assert slots.wait(Cancellation())
    assert not slots.take()


def test_a_further_attempt_waits_until_a_place_is_given_back() -> None:
    slots = slots_with(1)
    slots.take()
    waiter = Waiter(slots)
    eventually(lambda: slots.waiting == 1)
    assert waiter.answers == []
    slots.give()
    assert waiter.answer()
    assert not slots.take()


def test_a_further_attempt_takes_precedence_over_a_new_task() -> None:
    refused: list[bool] = []
    slots = OneAgent(1, freed=lambda: refused.append(not slots.take()))
    slots.take()
    waiter = Waiter(slots)
    eventually(lambda: slots.waiting == 1)
    slots.give()  # immediately a new task asks for it
    assert waiter.answer()
    assert refused == [True]


def test_new_tasks_start_if_there_are_more_places_than_waiting_tasks() -> None:
    slots = slots_with(2)
    slots.take()
    slots.take()
    waiter = Waiter(slots)
    eventually(lambda: slots.waiting == 1)
    slots.give()
    slots.give()
    assert waiter.answer()
    assert slots.take()
    assert not slots.take()


def test_waiting_attempts_stop_when_the_run_is_cancelled() -> None:
    slots, cancellation = slots_with(1), Cancellation()
    slots.take()
    waiters = [Waiter(slots, cancellation) for _ in range(2)]
    eventually(lambda: slots.waiting == 2)
    cancellation.cancel()
    assert [waiter.answer() for waiter in waiters] == [False, False]
    slots.give()
    assert slots.take(), "no task waits any more"


def test_a_cancelled_run_starts_no_further_attempt_even_with_a_free_place() -> None:
    slots, cancellation = slots_with(1), Cancellation()
    cancellation.cancel()
    assert not slots.wait(cancellation)
    assert slots.take()


def test_no_more_tasks_than_places_run_concurrently() -> None:
    slots, cancellation = slots_with(3), Cancellation()
    at_once: list[int] = []
    busy, lock = 0, threading.Lock()

    def work() -> None:
        nonlocal busy
        for _ in range(20):
            assert slots.wait(cancellation)
            with lock:
                busy += 1
                at_once.append(busy)
            time.sleep(0)
            with lock:
                busy -= 1
            slots.give()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(at_once) == 8 * 20
    assert max(at_once) <= 3
