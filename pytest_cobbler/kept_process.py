"""A child process that stays to answer questions: a question of one line, an answer of known length.

It has its own session, so an interrupt at the terminal does not end it. It ends when its input ends: with
this process, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import start

__all__ = ["Answer", "KeptProcess"]

_CHUNK = 64 * 1024
_EVIDENCE = 2000
"""Bytes of the last errors that are shown."""

T = TypeVar("T")


class Answer:
    """What a kept process answers, as it arrives."""

    def __init__(self, descriptor: int, timeout: float) -> None:
        self._descriptor = descriptor
        self._deadline = time.monotonic() + timeout
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._rest = bytearray()

    def line(self) -> bytes:
        """The next line, without its newline.

        Raises:
            EOFError: the process has ended.
            TimeoutError: it took too long.
        """
        start = 0
        while (end := self._rest.find(b"\n", start)) < 0:
            start = len(self._rest)
            self._fill()
        return self._take(end + 1)[:-1]

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes. Raises like ``line``."""
        while len(self._rest) < size:
            self._fill()
        return self._take(size)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left of what has arrived."""
        return not self._rest

    def _take(self, size: int) -> bytes:
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def _fill(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0 or not self._poll.poll(left * 1000):
            raise TimeoutError("it does not answer")
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            raise EOFError("it has ended")
        self._rest += chunk


class KeptProcess:
    """A child that is started with the first question, and again if it has ended. Thread-safe.

    Args:
        env: its whole environment.
        timeout: seconds for an answer.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float) -> None:
        self._argv = tuple(argv)
        self._env = dict(env)
        self._cwd = cwd
        self._timeout = timeout
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._owner = 0
        self._end: Callable[[], object] = lambda: None

    def ask(self, questions: Sequence[bytes], read: Callable[[Answer], T]) -> list[T]:
        """Write some lines (without their newlines), and read the answer of each with ``read``.

        Ask several together only if all answers together are short: reading begins after the last question.

        Raises:
            CobblerError: the process cannot be started, or ended, or took too long; the next question starts
                another one.
            ValueError: a question has a newline.
        """
        if any(b"\n" in question for question in questions):
            raise ValueError("a question is one line")
        with self._lock:
            child = self._living()
            assert child.stdin
            assert child.stdout
            try:
                child.stdin.write(b"".join(question + b"\n" for question in questions))
                child.stdin.flush()
                answer = Answer(child.stdout.fileno(), self._timeout)
                results = [read(answer) for _ in questions]
                if not answer.is_over:
                    raise EOFError("it answers more than it was asked")
                return results
            except (OSError, EOFError) as error:
                evidence = self._last_errors()
                self._end()
                raise CobblerError(f"{self._argv[0]} failed: {error}", evidence=evidence) from error
            except BaseException:  # an interrupt: the rest of the answer would be taken for the next one
                self._end()
                raise

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _living(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None or self._owner != os.getpid():
            self._start()
        assert self._child
        return self._child

    def _start(self) -> None:
        self._end()
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            child = start(self._argv, env=self._env, cwd=self._cwd, stdin=subprocess.PIPE, stderr=errors)
        except CobblerError as error:
            errors.close()
            raise CobblerError(f"cannot start {self._argv[0]}: {error.cause}") from error
        self._child, self._errors, self._owner = child, errors, os.getpid()
        self._end = weakref.finalize(self, _end, child, errors, self._owner)

    def _last_errors(self) -> str:
        assert self._errors
        with contextlib.suppress(OSError):
            self._errors.seek(0)
            return self._errors.read()[-_EVIDENCE:].decode("utf-8", "replace")
        return ""


def _end(child: subprocess.Popen[bytes], errors: IO[bytes], owner: int) -> None:
    """End a child, but not in a fork of its parent, to which it does not belong."""
    for stream in (child.stdin, child.stdout, errors):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()
    if owner == os.getpid():
        child.kill()
        child.wait()
