"""Runs every child process: git, bd, podman and jobs of the host sandbox.

A child has its own session and only the environment it is given. Its output is read to the end. After a
deadline its process group gets TERM and, after a grace period, KILL.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.streams import Output, Sink, Writable

__all__ = [
    "TAIL",
    "Cancellation",
    "Completion",
    "Finish",
    "Sink",
    "Writable",
    "host_environment",
    "run",
    "start",
]

TAIL = 64 * 1024
"""Bytes kept of a stream that is passed on instead of captured."""

_CHUNK = 256 * 1024
_LINGER = 2.0
"""Seconds to wait for the output of processes that a finished child left behind."""

_LONGEST_KILL = 10.0
"""Seconds in which a child that is asked to kill its own children does so, on a machine that is busy."""

_POLL = 0.01
"""Seconds between two looks at a child, where the system does not report its end."""
_LONG = 3600.0
"""Seconds of the longest wait for an event."""


_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")


def host_environment(*more: str, **values: str) -> dict[str, str]:
    """The few variables that every program needs, the ones named in ``more``, and ``values``."""
    names = (*_INHERITED, *more)
    return {name: os.environ[name] for name in names if name in os.environ} | values


class Cancellation:
    """Ends every process that was started with it; thread-safe, and cannot be undone.

    Args:
        parent: cancels this one, too.
    """

    def __init__(self, parent: Cancellation | None = None) -> None:
        self._parent = parent
        self._requested = False
        self._wakers: set[int] = set()
        self._lock = threading.RLock()  # a signal handler cancels in the thread that may hold it

    @property
    def requested(self) -> bool:
        return self._requested or bool(self._parent and self._parent.requested)

    def cancel(self) -> None:
        self._requested = True  # not an Event: a signal handler that sets one while it is being set hangs
        with self._lock:
            for waker in self._wakers:
                with contextlib.suppress(BlockingIOError):
                    os.write(waker, b"x")

    @contextlib.contextmanager
    def _waking(self, waker: int) -> Iterator[None]:
        with self._lock:
            self._wakers.add(waker)
        try:
            with self._parent._waking(waker) if self._parent else contextlib.nullcontext():
                yield
        finally:
            with self._lock:
                self._wakers.discard(waker)


class Finish:
    """The last part of a child's run, for which it has a time of its own, whatever ends the rest.

    Args:
        seconds: the longest that it may take.
        term: is written to the child's stdin in the place of the signal TERM.
        kill: is written ``grace`` seconds after that, some time before the signal KILL.
    """

    def __init__(self, seconds: float, term: bytes, kill: bytes) -> None:
        self._seconds = seconds
        self.term = term
        self.kill = kill
        self.answer = b""
        self.deadline: float | None = None

    def begin(self, answer: bytes) -> None:
        """Begin it, in a sink of the child's output; ``answer`` is what the child reads next."""
        self.deadline = time.monotonic() + self._seconds
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Completion:
    """How a child ended.

    ``status`` is the exit status, negative for a signal; ``seconds`` is wall time. ``stdout`` and ``stderr``
    are whole if they were captured; of a stream that was passed on, ``stdout`` is empty and ``stderr`` has
    the last ``TAIL`` bytes.
    """

    argv: tuple[str, ...]
    status: int
    end: Ending
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def ok(self) -> bool:
        return self.end == Ending.EXITED and self.status == 0

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        return self.stderr.decode("utf-8", "replace")


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stdin: bytes | IO[bytes] = b"",
    keep_stdin_open: bool = False,
    stdout: Sink = None,
    stderr: Sink = None,
    timeout: float | None = None,
    idle: float | None = None,
    grace: float = 2.0,
    cancellation: Cancellation | None = None,
    finish: Finish | None = None,
    pass_fds: Sequence[int] = (),
) -> Completion:
    """Run ``argv`` to its end.

    Args:
        env: the whole environment of the child.
        stdin: what the child reads; a file is read by the child itself, from the file's position on.
        keep_stdin_open: the pipe stays open until the child has ended (a lifeline); not for a file.
        stdout, stderr: where the stream goes; a callable is called in this thread.
        timeout: seconds after which the process group gets TERM and, ``grace`` seconds later, KILL.
        idle: seconds without any output after which the same happens.
        cancellation: ends the child early in the same way.
        finish: the last part of the run, if the child has one. Needs ``keep_stdin_open``.

    Raises:
        CobblerError: the program does not exist or cannot be executed.
    """
    words = tuple(os.fspath(word) for word in argv)
    began = time.monotonic()
    child = start(words, env=env, cwd=cwd, stdin=_stdin_of_child(stdin, keep_stdin_open), pass_fds=pass_fds)
    out, errors = Output(stdout, keep=0), Output(stderr, keep=TAIL)
    with _Pump(child, stdin, keep_stdin_open, out, errors, finish) as pump:
        try:
            end = pump.until_end(timeout, idle, grace, cancellation)
        except BaseException:
            _signal_group(child, signal.SIGKILL)
            child.wait()
            raise
    out.close()
    errors.close()
    seconds = time.monotonic() - began
    return Completion(
        argv=words, status=child.wait(), end=end, stdout=out.kept, stderr=errors.kept, seconds=seconds
    )


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None,
    stdin: int | IO[bytes],
    stderr: int | IO[bytes] = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, with a pipe as its stdout. ``run`` also waits for its end.

    Raises:
        CobblerError: the program does not exist or cannot be executed.
    """
    try:
        return subprocess.Popen(
            [_encoded(word) for word in argv],
            env={_encoded(name): _encoded(value) for name, value in env.items()},
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except (OSError, ValueError) as error:
        raise CobblerError(_why_not(argv[0], cwd, error)) from error


def _encoded(word: str) -> bytes:
    """A word for the child, whatever the locale of this process: in that of C a title has no other form."""
    return word.encode("utf-8", "surrogateescape")


def _stdin_of_child(stdin: bytes | IO[bytes], keep_open: bool) -> int | IO[bytes]:
    if isinstance(stdin, bytes):
        return subprocess.PIPE if stdin or keep_open else subprocess.DEVNULL
    # The child shares the descriptor's position, which lags behind or runs ahead of the buffered file's.
    os.lseek(stdin.fileno(), stdin.tell(), os.SEEK_SET)
    return stdin


def _why_not(program: str, cwd: Path | None, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return f"cannot run {program}: {error}"
    if cwd is not None and error.filename == cwd:
        return f"cannot run {program} in {cwd}: {error.strerror}"
    return f"cannot run {program}: {error.strerror}"


class _Pump:
    """Moves bytes between a child's pipes and their ends until the child has ended."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        stdin: bytes | IO[bytes],
        keep_stdin_open: bool,
        out: Output,
        errors: Output,
        finish: Finish | None,
    ) -> None:
        self._child = child
        self._finish = finish
        self._input = memoryview(stdin if isinstance(stdin, bytes) else b"")
        self._keep_stdin_open = keep_stdin_open
        self._selector = selectors.DefaultSelector()
        self._open = 0
        for stream, take in ((child.stdout, out.take), (child.stderr, errors.take)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_READ, take)
            self._open += 1
        if child.stdin is not None:
            os.set_blocking(child.stdin.fileno(), False)
            if self._input:
                self._selector.register(child.stdin, selectors.EVENT_WRITE, None)
        self._death = _descriptor_of(child)
        if self._death is not None:
            self._selector.register(self._death, selectors.EVENT_READ, None)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._last_output = time.monotonic()

    def __enter__(self) -> _Pump:
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._death is not None:
            os.close(self._death)
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def until_end(
        self,
        timeout: float | None,
        idle: float | None,
        grace: float,
        cancellation: Cancellation | None,
    ) -> Ending:
        watched = (
            cancellation._waking(self._wake_write) if cancellation is not None else contextlib.nullcontext()
        )
        with watched:
            end = self._until(timeout, idle, cancellation)
            if end == Ending.EXITED:
                return end
            if self._finishes:
                end = Ending.EXITED  # before its last part
            if self._finish and not self._finishes:
                for request, patience in ((self._finish.term, grace), (self._finish.kill, _LONGEST_KILL)):
                    self._send(request)
                    if self._until(patience, None, None) == Ending.EXITED or self._finishes:
                        break
            else:
                _signal_group(self._child, signal.SIGTERM)
                self._until(grace, None, None)
            # Also if the child has ended: other processes of its group may ignore TERM.
            _signal_group(self._child, signal.SIGKILL)
            self._until(_LINGER + grace, None, None)
            return end

    def _until(self, timeout: float | None, idle: float | None, cancellation: Cancellation | None) -> Ending:
        deadline = None if timeout is None else time.monotonic() + timeout
        gone: float | None = None
        while True:
            now = time.monotonic()
            if self._finish and self._finishes:
                deadline, idle, cancellation = self._finish.deadline, None, None
            cancelled = cancellation is not None and cancellation.requested
            if self._child.poll() is not None:
                self._forget_death()
                gone = gone or now
                # Processes that the child started may hold the pipes open for ever.
                if not self._open or cancelled or now >= gone + _LINGER:
                    return Ending.EXITED
                self._step(gone + _LINGER - now)
                continue
            if cancelled:
                return Ending.CANCELLED
            if deadline is not None and now >= deadline:
                return Ending.TIMEOUT
            if idle is not None and now >= self._last_output + idle:
                return Ending.IDLE
            self._step(self._patience(now, deadline, idle))

    def _patience(self, now: float, deadline: float | None, idle: float | None) -> float:
        waits = [_LONG]
        if self._death is None:
            waits.append(_POLL)
        if deadline is not None:
            waits.append(deadline - now)
        if idle is not None:
            waits.append(self._last_output + idle - now)
        return max(0.0, min(waits))

    def _forget_death(self) -> None:
        if self._death is not None:
            self._selector.unregister(self._death)
            os.close(self._death)
            self._death = None

    def _step(self, patience: float) -> None:
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._child.stdin:
                self._feed()
            elif key.fd == self._wake_read:
                os.read(self._wake_read, 1)
            elif key.fd != self._death:
                self._drain(key)
        if self._finish and self._finish.answer:
            self._send(self._finish.answer)
            self._finish.answer = b""

    @property
    def _finishes(self) -> bool:
        return self._finish is not None and self._finish.deadline is not None

    def _send(self, data: bytes) -> None:
        """Write ``data`` to the child after what it has not read yet."""
        assert self._child.stdin is not None
        if not self._input:
            self._selector.register(self._child.stdin, selectors.EVENT_WRITE, None)
        self._input = memoryview(bytes(self._input) + data)

    def _drain(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, _CHUNK)
        except BlockingIOError:
            return
        if chunk:
            self._last_output = time.monotonic()
            key.data(chunk)
        else:
            self._selector.unregister(key.fileobj)
            self._open -= 1

    def _feed(self) -> None:
        assert self._child.stdin is not None
        try:
            self._input = self._input[os.write(self._child.stdin.fileno(), self._input[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the child did not read all of it
            self._input = self._input[:0]
        if not self._input:
            self._selector.unregister(self._child.stdin)
            if not self._keep_stdin_open:
                with contextlib.suppress(BrokenPipeError):
                    self._child.stdin.close()


def _descriptor_of(child: subprocess.Popen[bytes]) -> int | None:
    """Becomes readable when the child ends; ``None`` if the system has no such descriptor."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.pidfd_open(child.pid)
    return None


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
