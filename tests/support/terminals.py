"""pytest on a terminal of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyte

from pytest_cobbler.testing.project import Project

NOT_INHERITED = (
    *("PYTEST_", "COBBLER_", "GIT_", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PY_COLORS"),
    *("CI", "BUILD_NUMBER"),  # where they are set, no person looks at the terminal
)

LINES = 40


class Terminal:
    """pytest, or another program, on a terminal of its own; ``rows`` are its lines without blank ones.

    Args:
        project: where it works.
        in_shell: the program is a job of a shell, into which a person may type.
    """

    def __init__(
        self,
        project: Project | Path,
        columns: int,
        *options: str,
        action: str = "--cobbler-generate",
        lines: int = LINES,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "pytest"),
        in_shell: bool = False,
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._in_shell = in_shell
        self._rows: list[str] = []
        self._written = bytearray()
        self._stream = pyte.ByteStream(self._screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.set_blocking(self._master, False)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
        command = [*program, action, *options]
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-i"] if in_shell else command,
            cwd=project if isinstance(project, Path) else project.path,
            env=inherited | {"TERM": "xterm", "GIT_CONFIG_GLOBAL": os.devnull, **(env or {})},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if in_shell else None,
        )
        os.close(slave)
        if in_shell:
            self.type(f"{shlex.join(command)}\n")

    def rows(self) -> list[str]:
        changed = not self._rows
        with contextlib.suppress(BlockingIOError, OSError):  # EIO: everybody has left
            while data := os.read(self._master, 65536):
                self._stream.feed(data)
                self._written += data
                changed = True
        if changed:  # pyte looks up the width of each character
            self._rows = [row.rstrip() for row in self._screen.display]
        return self._rows

    def wait_for(self, condition: Callable[[list[str]], object]) -> list[str]:
        deadline = time.monotonic() + 60
        while not condition(rows := self.rows()):
            assert time.monotonic() < deadline, "\n".join(rows)
            time.sleep(0.02)
        return rows

    def wait(self) -> list[str]:
        """The screen when pytest has ended."""
        self.wait_for(lambda _rows: self.process.poll() is not None)
        return self.rows()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    @property
    def cursor(self) -> tuple[int, int]:
        return self._screen.cursor.y, self._screen.cursor.x

    def close(self) -> None:
        """End the program, so that it ends its agents."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGHUP if self._in_shell else signal.SIGTERM)
            self.wait()
        os.close(self._master)

    def has_colours(self, row: int) -> bool:
        """Whether a character of a line has a colour or is bold."""
        cells = self._screen.buffer[row].values()
        return any(cell.fg != "default" or cell.bold for cell in cells)

    def everything(self) -> list[str]:
        """What was written since the beginning, without the moves of the cursor, as lines."""
        plain = re.sub(rb"\x1b(\[[0-9;?]*[A-Za-z]|[78D])", b"", bytes(self._written))
        return plain.decode("utf-8", "replace").replace("\r", "\n").split("\n")

    def resize(self, columns: int, lines: int = LINES) -> None:
        """Change the size of the window, and tell pytest, as a terminal does."""
        self.rows()
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)


@contextlib.contextmanager
def started() -> Iterator[Callable[..., Terminal]]:
    """A function that makes terminals, all of which are closed in the end."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: object, **more: object) -> Terminal:
            terminal = Terminal(*arguments, **more)  # type: ignore[arg-type]
            stack.callback(terminal.close)
            return terminal

        yield start
