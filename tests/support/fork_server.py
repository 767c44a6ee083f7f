"""A process that has imported pytest and all of pytest_cobbler, and forks whenever a test runs pytest.

Starting ``python -m pytest`` takes most of a second, nearly all of it for imports; a fork takes a tenth. The
child is a separate process: session, signals, environment, directory, output and exit status are as after a
fresh start. :mod:`tests.support.forking` starts this program and decides which starts it serves.

It is run as a script, by its path, so that ``sys.modules`` of its children has no module of ``tests``. Its
one argument is the file descriptor of a socket. Each request comes with three descriptors: standard output,
standard error, and a connection for this child alone. The child writes its id to the connection. When it has
ended, the server writes its exit status. When the caller closes its end, the server kills the child if it
still runs, and reaps it. Until then the id belongs to the child, as with :class:`subprocess.Popen`.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest import junitxml

CACHED = type(functools.cache(lambda: None))
LARGEST = 1 << 20
"""Bytes of a request."""


@dataclass(frozen=True)
class Child:
    pid: int
    ended: int
    """A descriptor of the process, readable when it has ended."""
    connection: socket.socket


class Imports:
    """A plugin that imports everything while pytest rewrites the assertions of what is imported.

    It also asks for the tables and patterns that every run makes once: a child then has them.
    """

    def pytest_configure(self) -> None:
        import pytest_cobbler

        for found in pkgutil.walk_packages(pytest_cobbler.__path__, "pytest_cobbler."):
            try:
                module = importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                if error.name != "opentelemetry":  # the extra `otel`, which the tests can do without
                    raise
                continue
            for value in list(vars(module).values()):
                if isinstance(value, CACHED) and not inspect.signature(value).parameters:
                    value()
        for forms in importlib.import_module("pytest_cobbler.repository.path_table").commands().values():
            for form in forms:
                fnmatch.fnmatchcase("", form)
        junitxml.bin_xml_escape("")


class Server:
    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """The request, in each child; ``None`` in the server when no more requests can come."""
        while True:
            for key, _ in self._selector.select():
                child: Child | None = key.data
                if child is None:
                    message, descriptors, _, _ = socket.recv_fds(self._requests, LARGEST, 3)
                    if not message:
                        self._end()
                        return None
                    if self._fork(*descriptors) == 0:
                        self._close()
                        request: dict[str, Any] = json.loads(message)
                        return request
                elif key.fileobj == child.ended:
                    self._report(child)
                else:
                    self._release(child)

    def _fork(self, stdout: int, stderr: int, connection: int) -> int:
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for source, target in ((stdout, 1), (stderr, 2)):
                os.dup2(source, target)
                os.close(source)
            with socket.socket(fileno=connection) as caller:
                caller.send(str(os.getpid()).encode())
            return 0
        os.close(stdout)
        os.close(stderr)
        child = Child(pid, os.pidfd_open(pid), socket.socket(fileno=connection))
        self._children.append(child)
        self._selector.register(child.ended, selectors.EVENT_READ, child)
        self._selector.register(child.connection, selectors.EVENT_READ, child)
        return pid

    def _report(self, child: Child) -> None:
        if child not in self._children:
            return  # both of its descriptors were ready
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.ended)
        ended = os.waitid(os.P_PIDFD, child.ended, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        with contextlib.suppress(BrokenPipeError):  # the caller is gone; the next event handles that
            child.connection.send(str(status).encode())

    def _release(self, child: Child) -> None:
        if child not in self._children:
            return  # both of its descriptors were ready
        for kill in (os.killpg, os.kill):  # it may not have its own group yet
            with contextlib.suppress(ProcessLookupError):
                kill(child.pid, signal.SIGKILL)
        self._report(child)
        os.waitpid(child.pid, 0)
        for file in (child.ended, child.connection):
            with contextlib.suppress(KeyError):
                self._selector.unregister(file)
        os.close(child.ended)
        child.connection.close()
        self._children.remove(child)

    def _end(self) -> None:
        for child in list(self._children):
            self._release(child)

    def _close(self) -> None:
        """Close the server's descriptors in a child."""
        self._selector.close()
        self._requests.close()
        for child in self._children:
            os.close(child.ended)
            child.connection.close()


def load() -> None:
    """Import by a run of pytest without tests, so that plugins are loaded as pytest loads them."""
    with tempfile.TemporaryDirectory() as empty:
        options = [
            "--rootdir",
            empty,
            "--noconftest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:hypothesispytest",
        ]
        status = pytest.main([*options, empty], plugins=[Imports()])
    sys.stdout.flush()  # else each child prints what the buffer still has
    sys.stderr.flush()
    assert status == pytest.ExitCode.NO_TESTS_COLLECTED, status
    threads = os.listdir("/proc/self/task")  # noqa: PTH208
    assert len(threads) == 1, "a process with threads must not fork"
    assert not [name for name in sys.modules if name.partition(".")[0] in ("tests", "conftest")]


def become(request: dict[str, Any], server_path: list[str]) -> None:
    """Make this process like ``python -m pytest`` after its start."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    time.tzset()
    tempfile.tempdir = None
    sys.orig_argv[1:] = ["-m", "pytest", *request["arguments"]]
    sys.argv[1:] = request["arguments"]
    sys.path[:] = [request["cwd"], *request["path"], *server_path]
    importlib.invalidate_caches()


def main() -> None:
    excluded = {str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    server_path = [entry for entry in sys.path if entry not in excluded]
    with socket.socket(fileno=int(sys.argv.pop())) as requests:
        requests.set_inheritable(False)
        load()
        gc.collect()
        gc.freeze()  # a collection in a child would copy every page
        request = Server(requests).serve()
    if request is not None:
        become(request, server_path)
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
