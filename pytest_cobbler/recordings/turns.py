"""The order in which attempts begin and land: noted in a recording, and repeated when it is played.

The start of an attempt, and whether it conflicts, depend on the tasks that have landed by then. So a
recording is played in the order in which it was made, even if attempts take more or less time. The prompts'
view of the repository depends on when the run began, so the recording also notes where another run continued.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Literal, NamedTuple

from pytest_cobbler.causes import Cause
from pytest_cobbler.process import Cancellation


class Point(NamedTuple):
    """A moment of an attempt: ``task`` is its task's directory in a recording.

    ``land`` is the moment at which the attempt lands or fails to land.
    """

    verb: Literal["begin", "land"]
    task: str
    number: int

    def __str__(self) -> str:
        return f"{self.verb} {self.task}/{self.number}"


class Turns:
    """Lets attempts pass their points one by one; thread-safe.

    Args:
        order: the points of a recording, as text; a point that is not in it never waits.
        note: called with each point that is passed, in their order.
        broken_off: directory of a recorded attempt -> why its run ended in it, if another run continued.

    ``on_new_run`` is called before the first attempt of each further recorded run begins.
    """

    def __init__(
        self,
        order: Sequence[str] = (),
        note: Callable[[Point], None] = lambda _point: None,
        broken_off: Mapping[str, Cause] = MappingProxyType({}),
    ) -> None:
        self.on_new_run: Callable[[], None] = lambda: None
        self._broken_off = broken_off
        self._recorded = tuple(order)
        self._order = list(order)
        self._note = note
        self._is_new_run = False
        self._waiting: list[Point] = []
        self._condition = threading.Condition(threading.RLock())

    def must_wait(self, point: Point) -> bool:
        """Whether other points come first."""
        with self._condition:
            if str(point) in self._order:
                # The recording's earlier points of this task will not be reached any more.
                before = self._order[: self._order.index(str(point))]
                self._drop([text for text in before if _task_of(text) == point.task])
            return str(point) in self._order[1:]

    def broken_off(self, place: PurePosixPath) -> Cause:
        """Why the recorded run ended in this attempt, if another run continued; else empty."""
        return self._broken_off.get(str(place), Cause.NONE)

    def is_resumed(self, task: str, number: int) -> bool:
        """Whether another run made the attempt after this one."""
        begun = [text for text in self._recorded if text.startswith(("run ", f"begin {task}/"))]
        this, after = str(Point("begin", task, number)), str(Point("begin", task, number + 1))
        return this in begun and after in begun and begun.index(after) > begun.index(this) + 1

    def is_followed(self, task: str, number: int) -> bool:
        """Whether the recorded run made another attempt after this one."""
        after = str(Point("begin", task, number + 1))
        return after in self._recorded and not self.is_resumed(task, number)

    def wait(self, point: Point, cancellation: Cancellation) -> None:
        """Wait until it is the turn of ``point``, or the run ends."""
        with self._condition:
            self._waiting.append(point)
            try:
                while self.must_wait(point) and not cancellation.requested:
                    self._condition.wait(0.2)
            finally:
                self._waiting.remove(point)

    def go_on(self, under_way: int) -> None:
        """Give up the recording's next task if nothing can reach its point any more.

        That is so if all threads wait for their turn. Call it only while no further thread can be started.

        Args:
            under_way: the number of threads that work on items.
        """
        with self._condition:
            if self._order and under_way == len(self._waiting) and all(map(self.must_wait, self._waiting)):
                first = _task_of(self._order[0])
                self._drop([text for text in self._order if _task_of(text) == first])

    @contextlib.contextmanager
    def passing(self, point: Point) -> Iterator[None]:
        """Hold all other points while ``point`` is passed, so that no attempt begins while the tip moves."""
        with self._condition:
            if self._is_new_run and point.verb == "begin":
                self._is_new_run = False
                self.on_new_run()
            yield
            self.passed(point)

    def passed(self, point: Point) -> None:
        """Note that ``point`` is passed; further calls have no effect."""
        with self._condition:
            self._drop([str(point)])
            self._note(point)

    def over(self, task: str) -> None:
        """Drop the remaining points of a task that is over in this run."""
        with self._condition:
            self._drop([text for text in self._order if _task_of(text) == task])

    def _drop(self, texts: Sequence[str]) -> None:
        dropped = set(texts)
        remaining = [text for text in self._order if text not in dropped]
        if len(remaining) != len(self._order):
            self._order = remaining
            while self._order and self._order[0].startswith("run "):
                self._order.pop(0)
                self._is_new_run = True
            self._condition.notify_all()


def _task_of(text: str) -> str:
    return text.partition(" ")[2].rpartition("/")[0]
