"""A block of lines below the output of a terminal, while others go on writing to it.

The cursor stays where the others have left it. So the block is removed by erasing all that comes after the
cursor, whatever its size, and however the terminal has moved the lines when its own size changed; and what
others write comes where it belongs. Nothing here is full screen, and nothing of the block remains.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TextIO

from rich.color import ColorSystem
from rich.style import Style

from pytest_cobbler.output import before_output
from pytest_cobbler.story.model import Run
from pytest_cobbler.view.lines import DoingOf, Line, block, run_lines
from pytest_cobbler.view.words import wrapped

__all__ = ["Screen"]

_ERASE: Final = "\x1b[J"
"""All that comes after the cursor."""
_DOWN: Final = "\x1bD"
"""One line down, in the same column; at the end of the screen, its lines go up."""
_UP: Final = "\x1b[{}A"
_SAVE: Final = "\x1b7"
_BACK: Final = "\x1b8"
_CLIP: Final = "\x1b[?7l"
"""A line that is wider than the screen is cut there: no character may take more columns than we count."""
_WRAP: Final = "\x1b[?7h"
_INSERT: Final = "\x1b[{}L"
_BELOW: Final = "\x1b[{}B"
_ABOVE: Final = 3
"""Lines of the screen that the block leaves to others."""


class Screen:
    """The block. Nothing is written to a terminal that is gone.

    Args:
        file: that of the others, on the same terminal.
        colours: whether the lines have colours.
    """

    def __init__(self, file: TextIO, *, colours: bool) -> None:
        self._file = file
        self._terminal = os.dup(file.fileno())  # the other one may be captured later
        self._colours = ColorSystem.STANDARD if colours else None
        self._lock = threading.RLock()
        self._shown = ""
        self._size = (0, 0)
        self._is_gone = False
        self._was_in_front = False
        self._is_painting = False
        self._after: Callable[[], object] | None = None
        before_output(self.hide)

    def close(self) -> None:
        """Remove the block for good."""
        before_output(None)
        self.hide()
        with self._lock:
            self._is_gone = True
            os.close(self._terminal)

    @property
    def is_right(self) -> bool:
        """Whether the block is shown, and was made for the size that the terminal has."""
        return bool(self._shown) and self._size == self.size

    @property
    def size(self) -> tuple[int, int]:
        """The columns that a line may have, and the lines of a block."""
        try:
            size = os.get_terminal_size(self._terminal)
        except OSError:
            return 79, 20
        return max(1, (size.columns or 80) - 1), max(1, (size.lines or 24) - _ABOVE)

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of those of before, unless the terminal takes no output just now."""
        self._flush()
        texts = self._rendered(lines)
        key = "\n".join(texts)
        if key == self._shown and self.is_right:
            return
        down = _DOWN * len(texts) + _UP.format(len(texts))
        with self._in_one_piece():
            if not self._takes_output():  # not earlier: Ctrl-Z and ``bg`` may come in between
                return
            self._write(
                _ERASE + down + _SAVE + _CLIP + "".join(f"\r\n{text}" for text in texts) + _BACK + _WRAP
            )
            self._shown, self._size = key, self.size

    def show(
        self, run: Run, doing_of: DoingOf, now: float, *, is_brief: bool = False, stopping: str = ""
    ) -> None:
        """Show the state of a run; brief: without its items."""
        columns, rows = self.size
        if is_brief:
            self.paint(run_lines(run, now, columns, stopping=stopping)[:rows])
        else:
            self.paint(block(run, doing_of, now, columns, rows, stopping=stopping))

    def hide(self) -> None:
        """Remove the block; any thread may call this, also one that is just writing."""
        if self._shown:
            with self._lock:
                if self._shown:
                    self._write(_ERASE)
                    self._shown = ""

    def without(self, call: Callable[[], object]) -> None:
        """Call ``call`` while there is no block; for the handler of a signal, which may break off one."""
        if self._is_painting:
            self._after = call
            return
        self.hide()
        call()

    def insert(self, lines: Sequence[str]) -> None:
        """Print lines above that of the cursor, which stays in one piece."""
        self._flush()
        self.hide()
        columns, rows = self.size
        texts = [part for line in lines for part in wrapped(line, columns)]
        for first in range(0, len(texts), rows):
            some = texts[first : first + rows]
            room = _DOWN * len(some) + _UP.format(len(some))
            text = "\r\n".join(some)
            with self._in_one_piece():
                self._write(
                    f"{room}{_SAVE}\r{_INSERT.format(len(some))}{_CLIP}{text}{_BACK}{_WRAP}{_BELOW.format(len(some))}"
                )

    @contextlib.contextmanager
    def _in_one_piece(self) -> Iterator[None]:
        """What is written in here comes before the call of :meth:`without`."""
        self._is_painting = True
        try:
            yield
        finally:
            self._is_painting = False
            after, self._after = self._after, None
            if after is not None:
                self.without(after)

    def _rendered(self, lines: Sequence[Line]) -> list[str]:
        system = self._colours
        if system is None:
            return ["".join(text for text, _ in line) for line in lines]
        return [
            "".join(
                Style.parse(style).render(text, color_system=system) if style else text
                for text, style in line
            )
            for line in lines
        ]

    def _takes_output(self) -> bool:
        """Whether the terminal is this program's, and not stopped (Ctrl-S): a write waits for no person."""
        if not self._is_in_front():
            return False
        with contextlib.suppress(OSError, ValueError):
            return bool(select.select([], [self._terminal], [], 0)[1])
        return False

    def _is_in_front(self) -> bool:
        """Whether the shell did not take the terminal back (``bg``). Below ``timeout``, it was never ours."""
        try:
            is_ours = os.tcgetpgrp(self._terminal) == os.getpgrp()
        except OSError:  # it is not the terminal of the session
            return True
        self._was_in_front |= is_ours
        return is_ours or not self._was_in_front

    def _flush(self) -> None:
        """Let the others' output come first. Not while the lock is held: another thread may be writing."""
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()

    def _write(self, text: str) -> None:
        with self._lock:
            data = text.encode(self._file.encoding or "utf-8", "replace")
            try:
                while data and not self._is_gone:
                    data = data[os.write(self._terminal, data) :]
            except BlockingIOError:
                pass  # the next block replaces this one
            except OSError:
                self._is_gone = True
