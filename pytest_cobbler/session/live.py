"""What a person sees of a run while it works: a block below pytest's lines, or a line for each event."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_cobbler.story.events import Event
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Item, Run
from pytest_cobbler.view.news import alive, ending, news, took
from pytest_cobbler.view.terminals import can_move_cursor
from pytest_cobbler.view.unfolding import last_lines

if TYPE_CHECKING:
    from pytest_cobbler.view.screen import Screen

__all__ = ["LiveView"]

_PAUSE: Final = 0.5
"""Seconds between two looks at the run."""
_SOON: Final = 0.1
"""The same while the block is away, for a line that was printed, or has the wrong size."""
_SILENCE: Final = 60.0
"""Seconds without a line after which one says that the run is alive."""


class LiveView:
    """Shows the story of a run beside ``reporter``, pytest's or one that took its place; for the main thread.

    With ``-q``, the block is only the line of the run, and the only lines are those that say that the run is
    alive. With ``-qq``, there is nothing.

    Args:
        follower: of the run. The view tells it when to look.
        wake: called in the main thread when the block has to be drawn anew, so that ``refresh`` comes soon.
    """

    def __init__(self, follower: Follower, reporter: Any, wake: Callable[[], None] = lambda: None) -> None:
        self._follower = follower
        self._follower.on_event = self._take
        self._reporter = reporter
        self._verbosity = -2 if reporter is None else int(reporter.verbosity)
        self._screen = self._screen_of(reporter)
        self._looked = self._printed = time.time()
        self._restore = self._follow_terminal(wake)
        self.stopping = ""
        """Why the run ends early, if it does."""

    def _screen_of(self, reporter: Any) -> Screen | None:
        file = getattr(getattr(reporter, "_tw", None), "_file", None)
        if file is None or self._verbosity < -1 or not can_move_cursor(file):
            return None
        from pytest_cobbler.view.screen import Screen

        return Screen(file, colours=bool(reporter.hasmarkup))

    def _follow_terminal(self, wake: Callable[[], None]) -> Callable[[], None] | None:
        if self._screen is None:
            return None
        from pytest_cobbler.view.signals import follow_terminal

        return follow_terminal(self._screen, wake)

    def close(self) -> None:
        """Remove the block for good, and print no further lines on events."""
        self._follower.on_event = None
        if self._screen:
            self._screen.close()
            self._screen = None
        if self._restore:
            self._restore()
            self._restore = None

    def refresh(self) -> None:
        """Look at the run if it is time to, and show it."""
        now = time.time()
        is_right = self._screen is None or self._screen.is_right
        if 0 <= now - self._looked < (_PAUSE if is_right else _SOON):
            return
        self._looked = now
        self._follower.refresh(now)
        run = self._follower.story.run
        if run is None:
            return
        if self._screen:
            doing, is_brief = self._follower.doing, self._verbosity < 0
            self._screen.show(run, doing, now, is_brief=is_brief, stopping=self.stopping)
        elif self._verbosity > -2 and now - self._printed >= _SILENCE:
            self.print([alive(run, self._follower.doing, now)])

    def hide(self) -> None:
        """Remove the block until the next ``refresh``."""
        if self._screen:
            self._screen.hide()

    def print(self, lines: Sequence[str]) -> None:
        """Print lines that stay. A progress line of letters stays in one piece, if the terminal allows it.

        In a pipe too they are there immediately, and not with the next item that ends.
        """
        if self._reporter is None or not lines:
            return
        self._printed = time.time()
        if self._screen and self._verbosity <= 0:
            self._screen.insert(lines)
            return
        if self._screen and not self._has_lines:  # a line of another reporter, which begins a new one itself
            self.hide()
            self._reporter._tw.write("".join(f"\n{line}" for line in lines))
            return
        self.hide()
        self._reporter.ensure_newline()
        for line in lines:
            self._reporter.write_line(line)
        self._reporter.flush()

    def before_report(self, key: str) -> None:
        """Show how an item has ended, which the journal tells; pytest is about to report it."""
        self._follower.refresh(time.time())
        self._printed = time.time()
        item = self._item(key)
        if item and self._verbosity >= 0 and not self._has_lines:
            is_told = not self._screen  # by the event
            self.print([*([] if is_told else [ending(item)]), *self._unfolded(item)])
        self.hide()

    def after_report(self, key: str) -> None:
        """Show the last lines of an item that failed below the line that pytest has printed."""
        item = self._item(key)
        if item and self._has_lines:
            self.print(self._unfolded(item))

    def took(self, key: str) -> str:
        """What an item that has ended took; empty if that is unknown."""
        item = self._item(key)
        return took(item) if item else ""

    def _item(self, key: str) -> Item | None:
        run = self._follower.story.run
        return run.items.get(key) if run else None

    @property
    def _has_lines(self) -> bool:
        """Whether pytest prints a line for each item, with its title, outcome, time and money."""
        return self._verbosity > 0 and type(self._reporter) is pytest.TerminalReporter

    def _unfolded(self, item: Item) -> list[str]:
        """Its last lines, unless the user wants none, or the reporter shows each failure immediately."""
        is_wanted = self._reporter.config.getoption("tbstyle", "auto") != "no"
        if not is_wanted or type(self._reporter) is not pytest.TerminalReporter:
            return []
        return last_lines(self._follower.directory, item)

    def _take(self, event: Event, run: Run) -> None:
        """Print the line on an event, where there is no block."""
        if self._screen or self._verbosity < 0 or (self._has_lines and event["event"] == "item"):
            return
        if line := news(event, run):
            self.print([line])
