"""What a person sees of a run while it works: a line for each event."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import pytest

from pytest_cobbler.story.events import Event
from pytest_cobbler.story.following import Follower
from pytest_cobbler.story.model import Item, Run
from pytest_cobbler.view.news import alive, news, took
from pytest_cobbler.view.unfolding import last_lines

__all__ = ["LiveView"]

_PAUSE: Final = 0.5
"""Seconds between two looks at the run."""
_SILENCE: Final = 60.0
"""Seconds without a line after which one says that the run is alive."""


class LiveView:
    """Shows the story of a run beside ``reporter``, pytest's or one that took its place; for the main thread.

    With ``-q``, the only lines are those that say that the run is alive. With ``-qq``, there is nothing.

    Args:
        follower: of the run. The view tells it when to look.
    """

    def __init__(self, follower: Follower, reporter: Any) -> None:
        self._follower = follower
        self._follower.on_event = self._take
        self._reporter = reporter
        self._verbosity = -2 if reporter is None else int(reporter.verbosity)
        self._looked = self._printed = time.time()

    def close(self) -> None:
        """Print no further lines on events."""
        self._follower.on_event = None

    def refresh(self) -> None:
        """Look at the run if it is time to, and show it."""
        now = time.time()
        if 0 <= now - self._looked < _PAUSE:
            return
        self._looked = now
        self._follower.refresh(now)
        run = self._follower.story.run
        if run is None:
            return
        if self._verbosity > -2 and now - self._printed >= _SILENCE:
            self.print([alive(run, self._follower.doing, now)])

    def print(self, lines: Sequence[str]) -> None:
        """Print lines that stay. They are there immediately, and not with the next item that ends."""
        if self._reporter is None or not lines:
            return
        self._printed = time.time()
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
            self.print(self._unfolded(item))

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
        """Print the line on an event."""
        if self._verbosity < 0 or (self._has_lines and event["event"] == "item"):
            return
        if line := news(event, run):
            self.print([line])
