"""The block below the output of others, on an emulated terminal."""

from __future__ import annotations

import io
import os
import pty
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

import pyte
import pytest

from pytest_cobbler.output import outlive_output
from pytest_cobbler.view.screen import Screen

BLOCK = [(("p-1 ", "bold"), ("agent", "cyan")), (("1s, 1 running", ""),)]


class Terminal:
    """A terminal, and a file through which others write to it."""

    def __init__(self, columns: int = 40, lines: int = 12) -> None:
        self.emulator = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.emulator)
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.file: TextIO = os.fdopen(theirs, "w", encoding="utf-8")
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        self.emulator.resize(lines, columns)
        termios.tcsetwinsize(self.file.fileno(), (lines, columns))

    def rows(self) -> list[str]:
        """The lines on the screen, without blank ones at its end."""
        self.file.flush()
        try:
            while data := os.read(self._ours, 65536):
                self._stream.feed(data)
        except BlockingIOError:
            pass
        rows = [row.rstrip() for row in self.emulator.display]
        return rows[: max([number for number, row in enumerate(rows, 1) if row], default=0)]

    @property
    def cursor(self) -> tuple[int, int]:
        return self.emulator.cursor.y, self.emulator.cursor.x

    def hang_up(self) -> None:
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.file.close()


@pytest.fixture
def screen(terminal: Terminal) -> Iterator[Screen]:
    screen = Screen(terminal.file, colours=False)
    yield screen
    screen.close()


def test_the_block_is_below_the_line_of_the_others_whose_cursor_stays(
    terminal: Terminal, screen: Screen
) -> None:
    terminal.file.write("first\nconfiguration.yaml L")
    screen.paint(BLOCK)
    assert terminal.rows() == ["first", "configuration.yaml L", "p-1 agent", "1s, 1 running"]
    assert terminal.cursor == (1, 20)
    screen.hide()
    terminal.file.write("L\nthird\n")
    assert terminal.rows() == ["first", "configuration.yaml LL", "third"]


def test_at_the_end_of_the_screen_the_lines_above_go_up(terminal: Terminal, screen: Screen) -> None:
    terminal.file.write("\n".join(map(str, range(20))))
    screen.paint(BLOCK)
    assert terminal.rows()[-4:] == ["18", "19", "p-1 agent", "1s, 1 running"]
    screen.paint(BLOCK[1:])
    assert terminal.rows()[-2:] == ["19", "1s, 1 running"]
    screen.hide()
    terminal.file.write("!\n20")
    assert terminal.rows()[-3:] == ["18", "19!", "20"]


@pytest.mark.parametrize("columns", [10, 40, 100])
def test_after_a_resize_the_block_is_drawn_for_the_new_size(
    terminal: Terminal, screen: Screen, columns: int
) -> None:
    terminal.file.write("one\ntwo")
    screen.paint([(("a line of a block that is long", ""),), (("x" * 39, ""),)])
    terminal.rows()
    terminal.resize(columns, 12)
    assert screen.size == (columns - 1, 9)
    screen.paint([(("y" * (columns - 1), ""),)])
    assert terminal.rows() == ["one", "two", "y" * (columns - 1)]


def test_the_same_block_is_drawn_again_after_a_resize(terminal: Terminal, screen: Screen) -> None:
    """The terminal may have moved its lines."""
    screen.paint(BLOCK)
    terminal.rows()
    terminal.emulator.erase_in_display(2)
    screen.paint(BLOCK)
    assert terminal.rows() == []
    terminal.resize(60, 12)
    screen.paint(BLOCK)
    assert terminal.rows() == ["", "p-1 agent", "1s, 1 running"]


def test_no_line_is_wrapped_whatever_its_characters_take(terminal: Terminal, screen: Screen) -> None:
    terminal.file.write("one")
    screen.paint([(("資料" * 30, ""),), (("e\u0301" * 60, ""),), (("end", ""),)])
    rows = terminal.rows()
    assert (rows[0], rows[-1], len(rows)) == ("one", "end", 4)


def test_a_line_that_is_too_wide_after_all_is_cut(
    terminal: Terminal, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal has just become narrower, or shows a character in more columns than rich counts."""
    terminal.file.write("one")
    monkeypatch.setattr(Screen, "size", (100, 9))
    screen.paint([(("x" * 90, ""),), (("end", ""),)])
    assert terminal.rows() == ["one", "x" * 40, "end"]
    assert terminal.cursor == (0, 3)


def test_lines_are_inserted_above_a_line_that_stays_in_one_piece(terminal: Terminal, screen: Screen) -> None:
    terminal.file.write("\n" * 9 + "configuration.yaml L")
    screen.paint(BLOCK)
    screen.insert(["LANDED p-1", "x" * 50])
    screen.paint(BLOCK)
    assert terminal.rows()[-6:] == [
        "LANDED p-1",
        "x" * 39,
        "x" * 11,
        "configuration.yaml L",
        "p-1 agent",
        "1s, 1 running",
    ]
    terminal.file.write("L")
    screen.hide()
    assert terminal.rows()[-1] == "configuration.yaml LL"


def test_more_lines_than_the_screen_has_are_inserted_too(terminal: Terminal, screen: Screen) -> None:
    terminal.file.write("here")
    screen.insert([str(number) for number in range(30)])
    assert terminal.rows() == [*map(str, range(19, 30)), "here"]


def test_colours_are_only_there_if_they_are_wanted(terminal: Terminal) -> None:
    for colours in (True, False):
        screen = Screen(terminal.file, colours=colours)
        screen.paint(BLOCK)
        terminal.rows()
        cell = terminal.emulator.buffer[1][4]
        assert (cell.data, cell.fg) == ("a", "cyan" if colours else "default")
        assert terminal.emulator.buffer[1][0].bold is colours
        screen.close()
        assert terminal.rows() == []


def test_a_write_of_any_thread_removes_the_block_first(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.dup(1)
    os.dup2(terminal.file.fileno(), 1)
    output = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", line_buffering=True)
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "__stdout__", output)
    restore: Callable[[], None] = outlive_output()
    try:
        screen = Screen(sys.stdout, colours=False)
        screen.paint(BLOCK)
        assert terminal.rows() == ["", "p-1 agent", "1s, 1 running"]
        thread = threading.Thread(target=sys.stdout.write, args=("of a thread\n" * 3,))
        thread.start()
        thread.join()
        assert terminal.rows() == ["of a thread"] * 3
        screen.paint(BLOCK)
        assert terminal.rows() == [*["of a thread"] * 3, "", "p-1 agent", "1s, 1 running"]
        screen.close()
        sys.stdout.write("last\n")
        assert terminal.rows() == [*["of a thread"] * 3, "last"]
    finally:
        restore()
        os.dup2(descriptor, 1)
        os.close(descriptor)


def test_a_terminal_that_takes_no_output_gets_no_block(terminal: Terminal, screen: Screen) -> None:
    termios.tcflow(terminal.file.fileno(), termios.TCOOFF)
    screen.paint(BLOCK)
    termios.tcflow(terminal.file.fileno(), termios.TCOON)
    assert (terminal.rows(), screen.is_right) == ([], False)
    screen.paint(BLOCK)
    assert screen.is_right


def test_a_terminal_that_is_gone_is_no_error(terminal: Terminal, screen: Screen) -> None:
    screen.paint(BLOCK)
    terminal.hang_up()
    screen.paint(BLOCK[1:])
    screen.insert(["LANDED p-1"])
    screen.hide()
