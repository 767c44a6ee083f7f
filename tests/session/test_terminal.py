"""The status line on a terminal while agents work."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

from pytest_cobbler.testing.project import Project
from tests.support.sessions import WRITES_A_FILE, seed, task

LINES = 40


class Terminal:
    """pytest on a terminal of its own; ``rows`` are its lines without blank ones."""

    def __init__(
        self, project: Project, columns: int, *options: str, action: str = "--cobbler-generate"
    ) -> None:
        self._screen = pyte.Screen(columns, LINES)
        self._rows: list[str] = []
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, columns, 0, 0))
        os.set_blocking(self._master, False)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", action, *options],
            cwd=project.path,
            env=inherited | {"TERM": "xterm", "GIT_CONFIG_GLOBAL": os.devnull},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def rows(self) -> list[str]:
        changed = not self._rows
        with contextlib.suppress(BlockingIOError, OSError):  # EIO: everybody has left
            while data := os.read(self._master, 65536):
                self._stream.feed(data)
                changed = True
        if changed:  # pyte looks up the width of each character
            self._rows = [row.rstrip() for row in self._screen.display]
        return self._rows

    def wait_for(self, condition: Callable[[list[str]], bool]) -> list[str]:
        deadline = time.monotonic() + 60
        while not condition(self.rows()):
            assert time.monotonic() < deadline, "\n".join(self.rows())
            time.sleep(0.02)
        return self.rows()

    def wait(self) -> list[str]:
        """The screen when pytest has ended."""
        return self.wait_for(lambda _rows: self.process.poll() is not None)

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.y, self._screen.cursor.x

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()  # so that it ends its agents
            self.wait()
        os.close(self._master)


NOT_INHERITED = ("PYTEST_", "COBBLER_", "GIT_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS")


@pytest.fixture
def project(cobbler_project: Project) -> Project:
    """One task lands immediately; two keep working and one waits until :func:`go`."""
    agent = cobbler_project.agent
    agent.otherwise().runs(WRITES_A_FILE)
    for title in ("Read b", "Read c"):
        agent.task(title).prints(f"Reading {'資料 ' * 40}").runs(
            f"until [ -e {agent.directory}/go ]; do sleep 0.05; done; {WRITES_A_FILE}"
        )
    b, c = task("p-b", title="Read b"), task("p-c", title="Read c")
    tasks = [task("p-a", priority=0), b, c, task("p-d", "p-b")]
    seed(cobbler_project, *tasks)
    return cobbler_project


def go(project: Project) -> None:
    (project.agent.directory / "go").touch()


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, **more: str) -> Terminal:
            terminal = Terminal(*arguments, **more)  # type: ignore[arg-type]
            stack.callback(terminal.close)
            return terminal

        yield start


def status(rows: list[str]) -> str:
    """The status lines on the screen: there is at most one."""
    return "\n".join(row for row in rows if "running (" in row)


@pytest.mark.matrix("costly")
def test_a_line_shows_what_is_running_and_disappears_for_a_report(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals(project, 100, "-v")
    rows = terminal.wait_for(lambda rows: any("LANDED" in row for row in rows) and "Reading" in status(rows))
    assert re.match(r"cobbler: 2 running \(p-. Read . \d+s Reading 資", status(rows))
    landed = rows.index(line("configuration.yaml::stitch::p-a LANDED", "[ 20%]"))
    assert rows[landed + 1] == status(rows)
    assert set(rows[landed + 2 :]) == {""}

    go(project)
    rows = terminal.wait()
    assert terminal.process.returncode == 0
    assert status(rows) == ""
    first = rows.index(line("configuration.yaml::stitch::p-a LANDED", "[ 20%]"))
    after = rows[first + 1 : first + 5]
    assert {row.split()[0].rpartition("::")[2] for row in after} == {"p-b", "p-c", "p-d", "cycle-1"}
    assert [row[-6:] for row in after] == ["[ 40%]", "[ 60%]", "[ 80%]", "[100%]"]
    assert rows[first + 5 : first + 7] == ["cycle-1: 0 proposed", ""]
    assert "- cobbler -" in rows[first + 7]
    assert terminal.cursor == (last_row(rows) + 1, 0)


@pytest.mark.matrix("costly")
def test_the_line_shows_which_work_is_in_the_gate_and_which_waits_for_it(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    seed(project, task("p-a"), task("p-e"))
    go_on = f"until [ -e {project.agent.directory}/go ]; do sleep 0.05; done"
    project.agent.otherwise().prints("Done.").writes("new.txt", "$COBBLER_TASK_ID")
    project.agent.task("p-e").writes("other.txt", "")
    project.configure(test_command=f"ls | grep -q '[.]txt$' || exit 0; {go_on}")
    terminal = terminals(project, 100)
    terminal.wait_for(
        lambda rows: bool(
            re.search(r"2 running \(.*s in the gate", status(rows))
            and re.search(r"s waits for the gate", status(rows))
        )
    )
    go(project)
    terminal.wait()


def line(left: str, right: str, columns: int = 100) -> str:
    """A line as pytest aligns it: the right margin is one column wide."""
    return left + right.rjust(columns - 1 - len(left))


def last_row(rows: list[str]) -> int:
    return max(number for number, row in enumerate(rows) if row)


@pytest.mark.matrix("costly")
def test_the_line_fits_the_short_report_and_a_narrow_screen(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals(project, 50)
    rows = terminal.wait_for(lambda rows: "configuration.yaml L" in rows and "2 running" in status(rows))
    assert re.match(r"cobbler: 2 running \(p-b \d+s; p-c \d+s\), 2 waiting", status(rows))
    progress = rows.index("configuration.yaml L")
    assert rows[progress + 1] == status(rows)
    assert set(rows[progress + 2 :]) == {""}  # it was cut, not wrapped
    go(project)
    rows = terminal.wait()
    progress = rows.index("configuration.yaml LLLL")
    assert rows[progress + 1 : progress + 3] == ["cycle-1: 0 proposed", ""]
    assert rows[progress + 3 : progress + 5] == [line("configuration.yaml .", "[100%]", 50), ""]
    assert "- cobbler -" in rows[progress + 5]
    assert status(rows) == ""


@pytest.mark.matrix("costly")
def test_an_interrupt_at_the_keyboard_leaves_a_clean_screen(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    terminal = terminals(project, 100, "-v")
    terminal.wait_for(lambda rows: any("LANDED" in row for row in rows) and "2 running" in status(rows))
    terminal.process.send_signal(signal.SIGINT)
    rows = terminal.wait()
    assert terminal.process.returncode == pytest.ExitCode.INTERRUPTED
    assert status(rows) == ""
    assert not any("stopping" in row for row in rows)
    assert sum("CANCELLED" in row for row in rows) == 4


def test_without_a_terminal_the_line_is_not_shown(project: Project) -> None:
    running = project.start("--cobbler-generate", "-v")
    running.wait_until(lambda: "p-a LANDED" in running.output)
    time.sleep(1.2)  # it would have come by now
    go(project)
    result = running.wait()
    assert result.ret == 0
    assert "\x1b" not in running.output
    result.stdout.no_fnmatch_line("*running (*")


def test_the_doctor_shows_the_check_that_it_waits_for(
    project: Project, terminals: Callable[..., Terminal]
) -> None:
    project.configure(test_command=f"until [ -e {project.agent.directory}/go ]; do sleep 0.05; done")
    terminal = terminals(project, 100, action="--cobbler-doctor")
    rows = terminal.wait_for(lambda rows: "...        tip" in rows)
    assert [row for row in rows if row.startswith("...")] == ["...        tip"]
    go(project)
    rows = terminal.wait()
    assert terminal.process.returncode == 0
    assert not [row for row in rows if row.startswith("...")]
    assert [row.split()[:2] for row in rows if " tip " in row] == [["ok", "tip"]]
