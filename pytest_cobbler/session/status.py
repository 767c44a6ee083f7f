"""One line below pytest's output on a terminal, shown only while the main thread waits."""

from __future__ import annotations

import unicodedata
from itertools import accumulate
from typing import Any


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

    def hide(self) -> None:
        if not self._shown:
            return
        self._shown = False
        width = self._reporter._tw.width_of_current_line
        back = f"\x1b[1A\x1b[{width}C" if self._own_line else ""
        self._reporter.write_raw("\r\x1b[2K" + back, flush=True)


def cut(text: str, columns: int) -> str:
    """The beginning of ``text`` that fits into ``columns`` of a terminal."""
    widths = accumulate(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return "".join(char for char, end in zip(text, widths, strict=True) if end <= columns)
