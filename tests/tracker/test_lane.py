from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import AlreadyClaimed, Claim, NewTask, Task
from pytest_cobbler.tracker.lane import TrackerLane
from tests.support.stores import MINE, EmbeddedStore, new


class Recorder:
    """A tracker that notes its calls, and waits in each as long as ``open`` is not set."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.error: BaseException | None = None

    description = "a recorder"

    def _note(self, call: str) -> None:
        self.entered.set()
        assert self.gate.wait(20)
        self.calls.append(call)
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error

    def tasks(self) -> list[Task]:
        self._note("tasks")
        return []

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        self._note("create")
        return {task.key: f"proj-{task.key}" for task in tasks}

    def claim(self, task_id: str, _claim: Claim) -> None:
        self._note(f"claim {task_id}")

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        self._note(" ".join(filter(None, ["release", task_id, comment, label])))

    def reopen(self, task_id: str, comment: str = "") -> None:
        self._note(f"reopen {task_id} {comment}")

    def comment(self, task_id: str, text: str) -> None:
        self._note(f"comment {task_id} {text}")

    def comments(self) -> dict[str, tuple[str, ...]]:
        return {}

    def prepare(self) -> None:
        self._note("prepare")

    def close(self, task_id: str, reason: str) -> None:
        self._note(f"close {task_id} {reason}")


@pytest.fixture
def tracker() -> Recorder:
    return Recorder()


@pytest.fixture
def lane(tracker: Recorder) -> Iterator[TrackerLane]:
    lane = TrackerLane(tracker)
    yield lane
    tracker.gate.set()
    lane.close(20)


def test_one_thread_makes_the_calls_in_order(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    futures: list[Future[None]] = [lane.comment("a", "x")]
    assert tracker.entered.wait(20)
    futures += [lane.close_task("a", "done"), lane.release("b", "why"), lane.reopen("c")]
    tracker.gate.set()
    for future in futures:
        future.result(20)
    assert tracker.calls == ["comment a x", "close a done", "release b why", "reopen c "]
    assert len(tracker.threads) == 1
    assert threading.get_ident() not in tracker.threads
    assert lane.failures == ()


def test_calls_with_a_waiting_caller_take_precedence(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    lane.comment("a", "x")
    assert tracker.entered.wait(20)
    last = lane.close_task("a", "done")
    created = lane.create([new("k")])
    claimed = lane.claim("k", MINE)
    tracker.gate.set()
    assert created.result(20) == {"k": "proj-k"}
    claimed.result(20)
    last.result(20)
    assert tracker.calls == ["comment a x", "create", "claim k", "close a done"]


def test_no_thread_waits_for_a_record(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    assert not lane.close_task("a", "done").done()


def test_closing_finishes_the_queued_calls(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    for name in "abc":
        lane.close_task(name, "done")
    threading.Timer(0.2, tracker.gate.set).start()
    assert lane.close(20)
    assert tracker.calls == ["close a done", "close b done", "close c done"]
    assert lane.close(20)


def test_a_call_that_closing_cannot_finish_in_time_is_a_failure(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    lane.close_task("a", "done")
    assert tracker.entered.wait(20)
    queued = [lane.comment("b", "x"), lane.claim("c", MINE), lane.close_task("d", "done")]
    assert not lane.close(0.1)
    assert [failure.call for failure in lane.failures] == ["comment on b", "close d"]
    for future in queued:
        with pytest.raises(TrackerError, match="not done within the time limit"):
            future.result(20)
    tracker.gate.set()
    assert lane.close(20)
    assert tracker.calls == ["close a done"]


def test_a_call_after_closing_is_a_failure(lane: TrackerLane, tracker: Recorder) -> None:
    lane.close(20)
    with pytest.raises(TrackerError, match="close a: the tracker is already closed"):
        lane.close_task("a", "done").result(20)
    assert [failure.call for failure in lane.failures] == ["close a"]
    assert tracker.calls == []


def test_the_error_of_an_awaited_call_goes_to_its_caller_alone(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.error = AlreadyClaimed("a cannot be claimed")
    with pytest.raises(AlreadyClaimed):
        lane.claim("a", MINE).result(20)
    with pytest.raises(AlreadyClaimed):
        lane.tasks().result(20)
    assert lane.failures == ()


def test_the_errors_of_other_calls_are_kept_in_order(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.error = TrackerError("bd did not answer")
    lane.comment("a", "x")
    lane.submit(lambda tracker: tracker.close("b", "done"), name="close b again", awaited=False)
    lane.release("c")
    lane.close(20)
    assert [failure.call for failure in lane.failures] == ["comment on a", "close b again", "release c"]
    assert {str(failure.error) for failure in lane.failures} == {"bd did not answer"}


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), SystemExit(3)])
def test_no_error_ends_the_lane(lane: TrackerLane, tracker: Recorder, error: BaseException) -> None:
    tracker.error = error
    with pytest.raises(type(error)):
        lane.tasks().result(20)
    tracker.error = None
    assert lane.tasks().result(20) == []


def test_a_cancelled_call_is_not_made(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.gate.clear()
    lane.comment("a", "x")
    waiting = lane.claim("b", MINE)
    assert waiting.cancel()
    tracker.gate.set()
    lane.close(20)
    assert tracker.calls == ["comment a x"]
    assert lane.failures == ()


def test_a_task_that_was_claimed_ahead_is_not_claimed_again(lane: TrackerLane, tracker: Recorder) -> None:
    lane.claim_ahead("a", MINE)
    lane.claim("a", MINE).result(20)
    lane.close(20)
    assert tracker.calls == ["claim a"]


def test_one_task_is_claimed_ahead_and_released_if_it_is_not_needed(
    lane: TrackerLane, tracker: Recorder
) -> None:
    lane.claim_ahead("a", MINE)
    lane.claim_ahead("b", MINE)
    lane.tasks().result(20)
    lane.close(20)
    assert tracker.calls == ["claim a", "tasks", "release a"]


def test_a_claim_ahead_that_has_not_begun_is_dropped_when_the_run_ends(
    lane: TrackerLane, tracker: Recorder
) -> None:
    tracker.gate.clear()
    listing = lane.tasks()
    assert tracker.entered.wait(20)
    lane.claim_ahead("a", MINE)
    closing = threading.Thread(target=lane.close, args=(20,))
    closing.start()
    tracker.gate.set()
    closing.join()
    assert listing.result(20) == []
    assert tracker.calls == ["tasks"]


def test_a_task_that_could_not_be_claimed_ahead_is_claimed_when_it_begins(
    lane: TrackerLane, tracker: Recorder
) -> None:
    tracker.error = AlreadyClaimed("it is in_progress, assigned to jane")
    lane.claim_ahead("a", MINE)
    with pytest.raises(AlreadyClaimed):
        lane.tasks().result(20)
    tracker.error = None
    lane.claim("a", MINE).result(20)
    lane.close(20)
    assert tracker.calls == ["claim a", "tasks", "claim a"]
    assert lane.failures == ()


def test_a_claim_ahead_that_failed_is_not_released(lane: TrackerLane, tracker: Recorder) -> None:
    tracker.error = AlreadyClaimed("it is in_progress, assigned to jane")
    lane.claim_ahead("a", MINE)
    with pytest.raises(AlreadyClaimed):
        lane.tasks().result(20)
    tracker.error = None
    lane.close(20)
    assert tracker.calls == ["claim a", "tasks"]
    assert lane.failures == ()


def test_many_threads_share_a_lane(embedded_store: EmbeddedStore) -> None:
    tracker = embedded_store.tracker()
    names = list(tracker.create([new(str(n)) for n in range(40)]).values())
    lane = TrackerLane(tracker)

    def work(mine: list[str]) -> None:
        for name in mine:
            lane.claim(name, MINE).result(20)
            lane.comment(name, "record")
            lane.close_task(name, "done")

    threads = [threading.Thread(target=work, args=(names[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lane.close(20)
    assert lane.failures == ()
    assert {task.status for task in embedded_store.tracker().tasks()} == {"closed"}
