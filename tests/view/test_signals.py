"""A program with a block on a terminal: a person stops it, and lets it go on."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.view.screen import Screen
from pytest_cobbler.view.signals import follow_terminal
from tests.support.terminals import Terminal, started

PAINTS = """\
import os, pathlib, sys, time
from pytest_cobbler.view.screen import Screen
from pytest_cobbler.view.signals import follow_terminal

pathlib.Path("pid").write_text(str(os.getpid()))
print("first line")
screen = Screen(sys.stdout, colours=False)
end = follow_terminal(screen, lambda: None)
number = 0
while not os.path.exists("go"):
    number += 1
    pathlib.Path("turns").write_text(str(number))
    screen.paint([((f"block {number} {line}", ""),) for line in range(4)])
    time.sleep(0.001)
end()
screen.close()
print("last line")
"""


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    with started() as start:
        yield start


def blocks(rows: list[str]) -> int:
    """How many lines of the block are on the screen; a shell writes over the first ones."""
    return sum(row.startswith("block ") for row in rows)


def test_a_stopped_program_leaves_no_block_and_draws_it_again_when_it_goes_on(
    tmp_path: Path, terminals: Callable[..., Terminal]
) -> None:
    (tmp_path / "paints.py").write_text(PAINTS)
    terminal = terminals(tmp_path, 70, program=(sys.executable,), action="paints.py", in_shell=True)

    def stops_and_goes_on(command: str) -> None:
        terminal.wait_for(blocks)
        terminal.type("\x1a")
        rows = terminal.wait_for(lambda rows: any("Stopped" in row for row in rows))
        assert blocks(rows) == 0
        terminal.type(f"clear; {command}\n")

    for _ in range(4):  # at any moment of a painting
        stops_and_goes_on("fg")
    stops_and_goes_on("bg")
    before = turns(tmp_path)
    rows = terminal.wait_for(lambda _rows: turns(tmp_path) > before + 20)
    assert blocks(rows) == 0  # a person may be typing
    terminal.type("fg\n")
    terminal.wait_for(blocks)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGSTOP)  # of which no program knows
    terminal.wait_for(lambda rows: sum("Stopped" in row for row in rows) == 1)
    terminal.type("clear; fg\n")
    terminal.wait_for(lambda rows: blocks(rows) == 4)
    (tmp_path / "go").touch()
    terminal.wait_for(lambda rows: "last line" in rows)
    terminal.type("exit\n")
    rows = terminal.wait()
    assert "last line" in rows
    assert blocks(rows) == 0


def turns(directory: Path) -> int:
    return int((directory / "turns").read_text() or 0)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    with (tmp_path / "output").open("w") as file:
        screen = Screen(file, colours=False)
        yield screen
        screen.close()


def test_handlers_of_others_and_ignored_signals_stay(screen: Screen) -> None:
    woken: list[int] = []
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        end = follow_terminal(screen, lambda: woken.append(1))
        signal.raise_signal(signal.SIGTSTP)
        signal.raise_signal(signal.SIGWINCH)
        signal.raise_signal(signal.SIGCONT)
        assert woken == [1, 1]
        end()
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGWINCH) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTSTP, before)


def test_a_thread_beside_the_main_one_follows_nothing(screen: Screen) -> None:
    thread = threading.Thread(target=lambda: follow_terminal(screen, lambda: None)())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL


def test_a_stop_in_the_middle_of_a_painting_comes_after_it(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the rest of the block would be drawn over the lines of the shell."""
    output, write = tmp_path / "output", os.write
    seen: list[bytes] = []

    def broken_off(descriptor: int, data: bytes) -> int:
        if len(data) > 10:
            written = write(descriptor, data[:10])
            screen.without(lambda: seen.append(output.read_bytes()))
            return written
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", broken_off)
    screen.paint([(("a block of one line", ""),)])
    assert len(seen) == 1
    assert seen[0].endswith(b"\x1b[?7h\x1b[J")
    assert not screen.is_right


def test_a_stop_before_a_painting_does_not_let_it_into_the_background(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person stops the program just when it has seen that the terminal is its own, and types ``bg``."""
    select_now, seen = select.select, []

    def stopped(*arguments: Any) -> Any:
        screen.without(lambda: seen.append((tmp_path / "output").read_text()))
        return select_now(*arguments)

    monkeypatch.setattr(select, "select", stopped)
    screen.paint([(("a block of one line", ""),)])
    assert seen == [(tmp_path / "output").read_text()]
    assert not screen.is_right
