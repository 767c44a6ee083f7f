"""What the modules under test get in the place of ``threading``, ``time``, ``asyncio`` and the like."""

from __future__ import annotations

import asyncio
import signal
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from datetime import datetime, tzinfo
from typing import Any

from tests.simulator.stage import Player, Stage

__all__ = ["Looks", "Stand", "complete"]

SOON, LATE = 2.0, 600.0
"""Seconds after which a thread looks again that waits for a moment of the clock: soon, then less and less.

The real ones look more often, which would only cost turns here.
"""


class Looks:
    """How long a thread waits that looks again and again."""

    def __init__(self) -> None:
        self._next = SOON

    def next(self) -> float:
        seconds, self._next = self._next, min(LATE, 1.5 * self._next)
        return seconds

    def reset(self) -> None:
        self._next = SOON


class Stand:
    """The stage of the current schedule, for the stand-ins, which are installed once."""

    stage: Stage
    world: Any = None

    @classmethod
    def wait(cls, ready: Callable[[], bool] | None = None, seconds: float | None = None) -> None:
        cls.stage.wait(ready, seconds)


class Lock:
    """A lock, or a recursive one, between players."""

    def __init__(self) -> None:
        self._owner: object = None
        self._depth = 0

    def __enter__(self) -> bool:
        me = Stand.stage.current or Stand.stage
        if self._owner not in (None, me):
            Stand.wait(lambda: self._owner is None)
        self._owner = me
        self._depth += 1
        return True

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None


class Condition:
    """A condition between players. Who waits with a time limit looks again by ``Looks``."""

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = lock or Lock()
        self._looks = Looks()
        self._notified = 0

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def wait(self, timeout: float | None = None) -> None:
        before, depth = self._notified, self._lock._depth
        self._lock._owner, self._lock._depth = None, 0
        try:
            Stand.wait(lambda: self._notified > before, None if timeout is None else self._looks.next())
        finally:
            self._lock.__enter__()
            self._lock._depth = depth

    def notify(self, _count: int = 1) -> None:
        self.notify_all()

    def notify_all(self) -> None:
        self._notified += 1
        self._looks.reset()


class Thread:
    """A thread as a player."""

    def __init__(
        self,
        target: Callable[..., object],
        args: tuple[object, ...] = (),
        name: str = "",
        daemon: bool = False,  # noqa: ARG002 (as in the original)
    ) -> None:
        self._name = name
        self._body = lambda: target(*args)
        self._player: Player | None = None

    def start(self) -> None:
        self._player = Stand.stage.start(self._name, self._body)

    def join(self, timeout: float | None = None) -> None:
        Stand.wait(lambda: not self.is_alive(), timeout)

    def is_alive(self) -> bool:
        return self._player is not None and not self._player.ended


def _thread() -> object:
    return Stand.stage.current or Stand.stage


THREADING = types.SimpleNamespace(
    Lock=Lock,
    RLock=Lock,
    Condition=Condition,
    Thread=Thread,
    current_thread=_thread,
    main_thread=lambda: Stand.stage,
)


class Promise(Future[Any]):
    """A future whose result others work on."""

    def result(self, timeout: float | None = None) -> Any:
        Stand.wait(self.done, timeout)
        return super().result(0)


class Executor:
    """A pool of threads."""

    def __init__(self, count: int, thread_name_prefix: str = "") -> None:
        self._queue: deque[tuple[Promise, Callable[[], Any]]] = deque()
        self._is_over = False
        self._threads = [Thread(self._work, name=thread_name_prefix) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., Any], *arguments: object) -> Promise:
        promise = Promise()
        self._queue.append((promise, lambda: function(*arguments)))
        return promise

    def shutdown(self) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            Stand.wait(lambda: bool(self._queue) or self._is_over)
            if not self._queue:
                return
            promise, function = self._queue.popleft()
            try:
                promise.set_result(function())
            except Exception as error:
                promise.set_exception(error)


TIME = types.SimpleNamespace(monotonic=lambda: Stand.stage.seconds, time=lambda: Stand.stage.seconds)


class Clock(datetime):
    """``datetime`` whose now is that of the stage."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return Stand.stage.now.astimezone(tz)


class Signals:
    """``signal``, for the loop: the handlers that it sets, to call them."""

    SIGINT, SIGTERM, SIGHUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    SIG_IGN, SIG_DFL = signal.SIG_IGN, signal.SIG_DFL
    Signals = signal.Signals
    handlers: dict[int, Callable[[int, object], None]] = {}  # noqa: RUF012 (one process has one of them)
    pressed = 0
    """How often a person has pressed Ctrl-C, of which the main thread does not know yet."""

    @staticmethod
    def getsignal(_number: int) -> object:
        return signal.SIG_DFL

    @classmethod
    def signal(cls, number: int, handler: Any) -> None:
        cls.handlers[number] = handler

    @classmethod
    def deliver(cls) -> None:
        """Call the handler, in the main thread, as Python does.

        Raises:
            KeyboardInterrupt: the handler raises it.
        """
        while cls.pressed:
            cls.pressed -= 1
            cls.handlers[cls.SIGINT](cls.SIGINT, None)

    @classmethod
    def forget(cls) -> None:
        """A new process."""
        cls.handlers.clear()
        cls.pressed = 0


@types.coroutine
def _until(ready: Callable[[], bool]) -> Generator[Callable[[], bool], None, bool]:
    while not ready():
        yield ready
    return True


class _Event:
    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    async def wait(self) -> bool:
        return await _until(lambda: self.is_set)


ASYNCIO = types.SimpleNamespace(
    Event=_Event,
    CancelledError=asyncio.CancelledError,
    get_running_loop=lambda: types.SimpleNamespace(call_soon_threadsafe=lambda call: call()),
)


def complete(coroutine: Coroutine[Any, None, Any], is_ended: Callable[[], bool]) -> Any:
    """Run a coroutine of the code under test to its end in this player; cancel it when ``is_ended``.

    Raises:
        asyncio.CancelledError: it was cancelled.
    """
    while True:
        try:
            ready = coroutine.send(None)
        except StopIteration as end:
            return end.value
        Stand.wait(lambda ready=ready: ready() or is_ended())  # type: ignore[misc]
        if is_ended():
            coroutine.throw(asyncio.CancelledError())
