"""A thread that owns a tracker, so that other threads need not wait for it."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from pytest_cobbler.errors import TrackerError
from pytest_cobbler.tracker.base import Claim, NewTask, Task, Tracker

__all__ = ["DRAIN", "Failure", "TrackerLane"]

T = TypeVar("T")

DRAIN = 300.0
"""Seconds to finish the queued calls when a run ends."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call without a waiting caller that failed, and its error."""

    call: str
    error: BaseException


@dataclass(frozen=True)
class _Call:
    name: str
    run: Callable[[Tracker], Any]
    future: Future[Any]
    awaited: bool


class TrackerLane:
    """Runs calls on a tracker one after the other. Thread-safe.

    Calls with a waiting caller take precedence: an agent's slot must not stay idle while bd writes records.
    Calls of one kind run in the order of their arrival. The error of a call with a waiting caller is only in
    its future; all other errors are in ``failures``, too.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._awaited: deque[_Call] = deque()
        self._records: deque[_Call] = deque()
        self._lock = threading.Condition()
        self._closed = False
        self._failures: list[Failure] = []
        self._ahead: dict[str, Future[None]] = {}
        self._thread = threading.Thread(target=self._work, name="cobbler-tracker", daemon=True)
        self._thread.start()

    @property
    def description(self) -> str:
        """That of the tracker."""
        return self._tracker.description

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The errors of calls without a waiting caller, in order."""
        with self._lock:
            return tuple(self._failures)

    def submit(self, run: Callable[[Tracker], T], *, name: str = "call", awaited: bool = True) -> Future[T]:
        """Queue ``run``; ``name`` is its name in a ``Failure``."""
        future: Future[T] = Future()
        call = _Call(name, run, future, awaited)
        with self._lock:
            if not self._closed:
                (self._awaited if awaited else self._records).append(call)
                self._lock.notify()
                return future
        self._fail(call, TrackerError(f"{name}: the tracker is already closed"))
        return future

    def tasks(self) -> Future[list[Task]]:
        return self.submit(lambda tracker: tracker.tasks(), name="list the tasks")

    def comments(self) -> Future[dict[str, tuple[str, ...]]]:
        return self.submit(lambda tracker: tracker.comments(), name="read the comments")

    def prepare(self) -> Future[None]:
        return self.submit(lambda tracker: tracker.prepare(), name="prepare the store")

    def create(self, tasks: Sequence[NewTask]) -> Future[dict[str, str]]:
        return self.submit(lambda tracker: tracker.create(tasks), name="create tasks")

    def claim(self, task_id: str, claim: Claim) -> Future[None]:
        """Claim a task, unless it was claimed ahead."""
        ahead = self._ahead.pop(task_id, None)
        if ahead and not (ahead.done() and ahead.exception()):  # what stood against it may be over
            return ahead
        return self.submit(lambda tracker: tracker.claim(task_id, claim), name=f"claim {task_id}")

    def claim_ahead(self, task_id: str, claim: Claim) -> None:
        """Claim the task that will probably be the next one, if no other is claimed ahead."""
        if not self._ahead:
            self._ahead[task_id] = self.submit(
                lambda tracker: tracker.claim(task_id, claim), name=f"claim {task_id} ahead"
            )

    def _release_unused(self) -> None:
        """Release what was claimed ahead, and not claimed afterwards."""
        while self._ahead:
            task_id, ahead = self._ahead.popitem()
            if not ahead.cancel():
                self._record(f"release {task_id}", functools.partial(_release, task_id, ahead))

    def release(self, task_id: str, comment: str = "", label: str = "") -> Future[None]:
        labels = (label,) if label else ()
        return self._record(f"release {task_id}", lambda tracker: tracker.release(task_id, comment, *labels))

    def reopen(self, task_id: str, comment: str = "") -> Future[None]:
        return self._record(f"reopen {task_id}", lambda tracker: tracker.reopen(task_id, comment))

    def comment(self, task_id: str, text: str) -> Future[None]:
        return self._record(f"comment on {task_id}", lambda tracker: tracker.comment(task_id, text))

    def close_task(self, task_id: str, reason: str, record: str = "") -> Future[None]:
        """Close a task, after its ``record`` was written as a comment; without that it is not closed."""

        def close(tracker: Tracker) -> None:
            if record:
                tracker.comment(task_id, record)
            tracker.close(task_id, reason)

        return self._record(f"close {task_id}", close)

    def close(self, timeout: float | None = None) -> bool:
        """Refuse new calls and finish the queued ones; False if that takes longer than ``timeout`` seconds.

        What was claimed ahead, and not claimed afterwards, is released.
        Calls that were not begun by then are dropped and listed in ``failures``; a running call goes on.
        """
        self._release_unused()
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return True
        self._give_up()
        return False

    def _record(self, name: str, run: Callable[[Tracker], None]) -> Future[None]:
        return self.submit(run, name=name, awaited=False)

    def _work(self) -> None:
        while (call := self._next()) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            try:
                result = call.run(self._tracker)
            except BaseException as error:  # every error belongs to the caller; the lane goes on
                self._fail(call, error)
            else:
                call.future.set_result(result)

    def _next(self) -> _Call | None:
        """The next call; None when the lane is closed and the queues are empty."""
        with self._lock:
            while not self._awaited and not self._records:
                if self._closed:
                    return None
                self._lock.wait()
            return (self._awaited or self._records).popleft()

    def _fail(self, call: _Call, error: BaseException) -> None:
        if not call.awaited:
            with self._lock:
                self._failures.append(Failure(call=call.name, error=error))
        call.future.set_exception(error)

    def _give_up(self) -> None:
        with self._lock:
            left = [*self._awaited, *self._records]
            self._awaited.clear()
            self._records.clear()
        for call in left:
            if call.future.set_running_or_notify_cancel():
                self._fail(call, TrackerError(f"{call.name}: not done within the time limit"))


def _release(task_id: str, ahead: Future[None], tracker: Tracker) -> None:
    """Release a task if its claim, which was made before this call, has succeeded."""
    if not ahead.exception():
        tracker.release(task_id)
