"""Start pytest by a fork of a process that has imported everything; see :mod:`tests.support.fork_server`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from pytest_cobbler.testing.project import Process, start_afresh

_PYTEST = [sys.executable, "-m", "pytest"]
_PROGRAM = Path(__file__).with_name("fork_server.py")
_READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "COV_CORE_", "COVERAGE_")
"""Variables that an interpreter reads only when it starts."""
_LONGEST = 16
"""Bytes of a message from the server: a number."""


class ForkServer:
    """Starts pytest sooner than :func:`start_afresh` does. The first request starts the server."""

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._ignored = _status("SigIgn")
        self._server: _Server | None = None

    def close(self) -> None:
        """End the server, and its children that still run."""
        if self._server:
            self._server.close()

    def start(
        self, argv: Sequence[str], cwd: Path, env: Mapping[str, str], stdout: IO[bytes], stderr: IO[bytes]
    ) -> Process:
        """Start ``python -m pytest`` by a fork, unless a fresh start could behave differently."""
        if not self.serves(argv, env):
            return start_afresh(argv, cwd, env, stdout, stderr)
        request = {
            "arguments": list(argv[len(_PYTEST) :]),
            "cwd": str(cwd),
            "env": dict(env),
            "path": [entry for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry],
            "umask": int(_status("Umask"), 8),
        }
        if self._server is None:
            self._server = _Server(self._environment)
        return self._server.ask(json.dumps(request).encode(), stdout, stderr)

    def serves(self, argv: Sequence[str], env: Mapping[str, str]) -> bool:
        """Whether a fork behaves like a fresh start.

        It does not in four cases. The caller ignores a signal that it did not ignore at first, and a child
        inherits that. The environment changes a variable that an interpreter reads only when it starts.
        ``PYTHONPATH`` has modules that the server has imported from another place. There is no git, which
        GitPython asks for its version when it is imported.
        """
        return (
            list(argv[: len(_PYTEST)]) == _PYTEST
            and _status("SigIgn") == self._ignored
            and _read_at_the_start(env) == _read_at_the_start(self._environment)
            and not any(_shadows(Path(entry)) for entry in self._new_entries(env))
            and shutil.which("git", path=env.get("PATH")) is not None
        )

    def _new_entries(self, env: Mapping[str, str]) -> set[str]:
        initial_path = self._environment.get("PYTHONPATH", "").split(os.pathsep)
        return set(env.get("PYTHONPATH", "").split(os.pathsep)).difference(initial_path) - {""}


class _Server:
    """The program, started with this process's first environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as errors:
            self._errors = os.fdopen(os.dup(errors.fileno()), "rb")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, _PROGRAM, str(theirs.fileno())],
                cwd=_PROGRAM.parent,
                # Not the options of the outer run, such as its number of processes.
                env={name: value for name, value in env.items() if name != "PYTEST_ADDOPTS"},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,  # this terminal's interrupts must not reach it
            )

    def close(self) -> None:
        self._requests.close()
        self._process.wait()
        self._errors.close()

    def ask(self, request: bytes, stdout: IO[bytes], stderr: IO[bytes]) -> Forked:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                descriptors = [stdout.fileno(), stderr.fileno(), theirs.fileno()]
                socket.send_fds(self._requests, [request], descriptors)
            return Forked(ours)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            ours.close()
            self._errors.seek(0)
            raise RuntimeError(f"the fork server has ended:\n{self._errors.read().decode()}") from None


class Forked:
    """A child of the server, with the interface of :class:`subprocess.Popen`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._status: int | None = None
        self.pid = self._number()

    def poll(self) -> int | None:
        """The exit status, ``None`` while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        if self._status is None:
            milliseconds = None if timeout is None else timeout * 1000
            poll = select.poll()
            poll.register(self._connection, select.POLLIN)
            if not poll.poll(milliseconds):
                raise subprocess.TimeoutExpired(_PYTEST, timeout or 0)
            self._status = self._number()
            self._connection.close()  # the server reaps it now
        return self._status

    def send_signal(self, sig: int) -> None:
        """Send a signal unless it has ended. Its id stays reserved until its status has been read."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def _number(self) -> int:
        message = self._connection.recv(_LONGEST)
        if not message:
            raise EOFError("the fork server has ended")
        return int(message)


@contextlib.contextmanager
def fork_server() -> Iterator[ForkServer]:
    """A server that ends with the block."""
    server = ForkServer()
    try:
        yield server
    finally:
        server.close()


def _read_at_the_start(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in env.items()
        if name.startswith(_READ_AT_THE_START) and name != "PYTHONPATH"
    }


def _shadows(directory: Path) -> bool:
    """Whether the directory has modules that the server has imported, or distributions with other plugins."""
    if not directory.is_dir():
        return False
    names = {entry.name.partition(".")[0] for entry in directory.iterdir()}
    return bool(names & sys.modules.keys()) or any(directory.glob("*.dist-info"))


def _status(name: str) -> str:
    """A field of the kernel's status of this process, in the kernel's notation."""
    status = Path("/proc/self/status").read_text()
    return status.partition(f"\n{name}:")[2].split()[0]
