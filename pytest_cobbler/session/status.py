"""One line below pytest's output on a terminal, shown only while the main thread waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pytest_cobbler.display import cut, width
from pytest_cobbler.session.titles import labelled

_LONGEST_TITLE = 30
_LEAST = 8
"""Columns of a title or a step; less of it is not worth showing."""


class Running(NamedTuple):
    """An item under way, and the last step of its agent."""

    name: str
    title: str
    seconds: float
    step: str


class StatusLine:
    """A line below pytest's output, removed before pytest writes again."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter
        self._enabled = reporter is not None and reporter.isatty() and reporter.verbosity >= 0
        self._shown = self._own_line = False

    def show(self, text: str) -> None:
        if not self._enabled:
            return
        writer = self._reporter._tw
        if not self._shown:
            self._own_line = writer.width_of_current_line > 0
            if self._own_line:
                self._reporter.write_raw("\n")
            self._shown = True
        self._reporter.write_raw("\r\x1b[2K" + cut(text, writer.fullwidth - 1), flush=True)

    def show_running(self, items: Sequence[Running], waiting: int, api: str = "") -> None:
        if self._enabled:
            self.show(running_line(items, waiting, self._reporter._tw.fullwidth - 1, api))

    def hide(self) -> None:
        if not self._shown:
            return
        self._shown = False
        width = self._reporter._tw.width_of_current_line
        back = f"\x1b[1A\x1b[{width}C" if self._own_line else ""
        self._reporter.write_raw("\r\x1b[2K" + back, flush=True)


def running_line(items: Sequence[Running], waiting: int, columns: int, api: str = "") -> str:
    """The items under way in a line of ``columns``, each with the same share of it.

    Args:
        api: what new agents wait for.
    """
    api = f": {cut(api, columns // 2)}" if api else ""
    if not items:
        return f"cobbler: {waiting} waiting{api}"
    begin, end = f"cobbler: {len(items)} running (", f"), {waiting} waiting{api}"
    room = columns - len(begin) - len(end) - 2 * (len(items) - 1)
    share = room // max(1, len(items))
    return begin + "; ".join(_shown(item, share) for item in items) + end


def _shown(item: Running, columns: int) -> str:
    """Name and time, and as much of title and step as fits."""
    seconds = f" {item.seconds:.0f}s"
    room = columns - len(item.name) - len(seconds) - 1
    label = labelled(item.name, cut(item.title, min(room, _LONGEST_TITLE))) if room >= _LEAST else item.name
    shown = label + seconds
    room = columns - width(shown) - 1
    return f"{shown} {cut(item.step, room)}" if item.step and room >= _LEAST else shown
