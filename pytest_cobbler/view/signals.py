"""What a terminal tells the program on it: it has another size, a person stops it or lets it go on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

from pytest_cobbler.view.screen import Screen

__all__ = ["follow_terminal"]

_Handler = Callable[[int, FrameType | None], object]


def follow_terminal(screen: Screen, wake: Callable[[], object]) -> Callable[[], None]:
    """Keep the block away while the program is stopped.

    Handlers that others have set stay, and signals that are ignored stay so. Outside the main thread, nothing
    is followed.

    Args:
        wake: called in the main thread when the block should soon be drawn again.

    Returns:
        a function that ends this.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        def stop_now() -> None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)  # it returns when the program goes on
            signal.signal(number, stop)

        screen.without(stop_now)

    def go_on(_number: int, _frame: FrameType | None) -> None:
        screen.hide()  # after SIGSTOP it is still there
        wake()

    handlers: Final[dict[signal.Signals, _Handler]] = {
        signal.SIGWINCH: lambda _number, _frame: wake(),
        signal.SIGTSTP: stop,
        signal.SIGCONT: go_on,
    }
    followed = []
    with contextlib.suppress(ValueError):  # not the main thread
        for number, handler in handlers.items():
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, handler)
                followed.append(number)

    def end() -> None:
        for number in followed:
            signal.signal(number, signal.SIG_DFL)

    return end
