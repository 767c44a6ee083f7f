"""Jobs in the other container of a pod: the sandbox of a node's half that is the pod's carrier."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import NotStarted, SandboxError
from pytest_cobbler.process import Cancellation, Completion, host_environment, run
from pytest_cobbler.sandbox import lifeline
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Limits, Loopback, Network
from pytest_cobbler.sandbox.collecting import CollectedFile
from pytest_cobbler.sandbox.course import Course
from pytest_cobbler.sandbox.disk import DiskWatch
from pytest_cobbler.sandbox.isolation import Address, addresses_of_a_pod, prove_isolation
from pytest_cobbler.sandbox.pod_job import FIFOS, LINK, RELAY, WAITS, arguments, ending_word, next_job
from pytest_cobbler.sandbox.stderr import ErrorTail

__all__ = ["PodSandbox"]

_KILLED: Final = 128 + 9
_START: Final = 60.0
"""Seconds in which the container for jobs has to start, and to be ready for the next job."""
_GRACE: Final = 30.0
"""Seconds of a job that is to end: two until it is killed, and the rest for what the kernel does then."""
_BACKLOG: Final = 64


class PodSandbox:
    """Runs jobs one after another in the container beside this one.

    Both containers have one user, one network namespace without a network, and the files of the place at the
    same path. So a mount of a path at itself needs nothing. Any other is an error.

    Args:
        image: the image of that container, for people.
        forbidden: further addresses that must not be reached.
        link: the directory with the FIFOs.
    """

    def __init__(self, image: str, *, forbidden: Iterable[Address] = (), link: str = LINK) -> None:
        self._image = image
        self._forbidden = tuple(forbidden)
        self._link = Path(link)
        self._lock = threading.Lock()
        self._pipes: tuple[int, int, int] | None = None
        self._broken = ""

    @property
    def description(self) -> str:
        return f"a pod, image {self._image}, jobs run as uid {os.getuid()}"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({Capability.NETWORK, Capability.LOOPBACK, Capability.CONTAINMENT})

    @property
    def owner(self) -> tuple[int, int] | None:
        return None

    @property
    def storage(self) -> Path | None:
        return None

    @property
    def runtime(self) -> str:
        return ""

    def check_engine(self) -> str:
        prove_isolation(addresses_of_a_pod(self._forbidden))
        with self._lock:
            self._connect()
        return f"Kubernetes, {self.description}"

    def engine(self, image: str | None) -> Engine:
        raise SandboxError(f"the engine of a pod is not known to it (image {image})")

    def preflight(self) -> None:
        self.check_engine()
        job = Job(name="preflight", argv=("git", "--version"), workdir="/", limits=Limits(wall=120))
        completed = self.run(job)
        if not completed.ok:
            raise SandboxError(
                f"the image {self._image} cannot run git ({completed.cause}, exit status {completed.status})",
                evidence=completed.stderr,
            )

    def left(self) -> list[str]:
        return []

    def sweep(self) -> list[str]:
        return []

    def _connect(self) -> tuple[int, int, int]:
        """The FIFOs, open. A container that is not there yet may still be starting."""
        if self._pipes:
            return self._pipes
        into, out, err = (self._link / name for name in FIFOS)
        readers = [os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for path in (out, err)]
        deadline = time.monotonic() + _START
        while True:
            try:
                writer = os.open(into, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                break
            except OSError as error:  # there is no reader yet
                if time.monotonic() > deadline:
                    raise NotStarted(
                        "the container for jobs did not start", f"Does the image {self._image} have sh?"
                    ) from error
                time.sleep(0.02)
        for one in (writer, *readers):
            os.set_blocking(one, True)
        pipes = writer, readers[0], readers[1]
        self._await_first(readers[1])
        for path in (into, out, err):
            path.unlink()
        self._pipes = pipes
        return pipes

    def _await_first(self, errors: int) -> None:
        """Wait until the first process waits for a job."""
        printed = b""
        poll = select.poll()
        poll.register(errors, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + _START
        while WAITS.encode() + b"\n" not in printed:
            left = deadline - time.monotonic()
            data = os.read(errors, 65536) if left > 0 and poll.poll(left * 1000) else b""
            if not data:
                self._broken = "the container for jobs does not take another job"
                raise NotStarted(self._broken, evidence=printed.decode("utf-8", "replace"))
            printed += data

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        if cancellation is not None and cancellation.requested:
            return Completed(status=_KILLED, cause=Ending.CANCELLED, seconds=0.0, stderr="")
        self._check(job)
        with self._lock:
            if self._broken:
                raise NotStarted(self._broken)
            pipes = self._connect()
            return self._run(replace(job, afterwards=None), pipes, cancellation)

    def _check(self, job: Job) -> None:
        for mount in job.mounts:
            target = Path(mount.target)
            is_copy = mount.source.is_file() and target.is_file()
            if mount.mode == "overlay" or (mount.source != target and not is_copy):
                raise SandboxError(f"a pod cannot have {mount.source} at {mount.target}")
        if job.image not in (None, self._image):
            raise SandboxError(f"a pod has one image for jobs, and not {job.image}")
        if job.network is Network.OPEN:
            raise SandboxError("a pod's jobs have no network")

    def _run(self, job: Job, pipes: tuple[int, int, int], cancellation: Cancellation | None) -> Completed:
        errors = ErrorTail(job.on_error_line)
        written = [mount.source for mount in job.mounts if mount.mode == "rw"]
        watch = DiskWatch(job.limits.disk, lambda: written, cancellation)
        course = Course(job, errors, watch)
        words = course.words
        with watch:
            completion = self._carry(course, pipes, watch.cancellation)
        course.close()
        self._settle(job, words, completion, errors)
        return Completed(
            status=_KILLED if words.status is None else words.status,
            cause=Ending.DISK if watch.exceeded else _ending_of(completion, words),
            seconds=completion.seconds,
            stderr=errors.text,
            collected=course.collected.content,
        )

    def _carry(
        self, course: Course, pipes: tuple[int, int, int], cancellation: Cancellation | None
    ) -> Completion:
        job, tokens, over = course.job, course.words.tokens, token_hex(16)
        environment = {"HOME": lifeline.HOME, **job.environment, **job.secrets}
        collected = CollectedFile.of(
            job.collect, workdir=job.workdir, home=environment["HOME"], held=job.held
        )
        header = lifeline.opening(environment, tokens, collected) + ending_word(over)
        text = next_job(job.workdir, arguments(tokens, header, job.stdin, job.argv))
        with course.network as opened:
            if isinstance(job.network, Loopback):
                listener = socket.create_server(("127.0.0.1", job.network.port), backlog=_BACKLOG)
                opened.enter_context(listener)
                opened.enter_context(job.network.serve(listener))
            try:
                return run(
                    [sys.executable, "-I", "-S", "-c", RELAY, *map(str, pipes), over],
                    env=host_environment(),
                    cwd=Path("/"),
                    stdin=text + header + job.stdin,
                    keep_stdin_open=True,
                    stdout=course.stdout,
                    stderr=course.words,
                    timeout=job.limits.wall,
                    idle=job.limits.idle,
                    grace=_GRACE,
                    cancellation=cancellation,
                    pass_fds=pipes,
                )
            except BaseException:
                self._end(pipes, over.encode())
                raise

    def _end(self, pipes: tuple[int, int, int], over: bytes) -> None:
        """End a job whose output is not carried any more."""
        with contextlib.suppress(OSError):
            os.write(pipes[0], lifeline.KILL)
        poll = select.poll()
        ends = {pipes[1]: b"", pipes[2]: b""}
        for one in ends:
            poll.register(one, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + _GRACE
        while ends:
            ready = poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
            for one, _ in ready:
                data = os.read(one, 65536)
                ends[one] = ends[one][-len(over) :] + data
                if not data:
                    ready = []
                elif over in ends[one]:
                    poll.unregister(one)
                    del ends[one]
            if ends and not ready:
                self._broken = "a job in the container does not end"
                return

    def _settle(self, job: Job, words: lifeline.Words, completion: Completion, errors: ErrorTail) -> None:
        """Find out why a job did not start.

        Raises:
            NotStarted: it did not.
        """
        if completion.status != 0:
            self._broken = "the container for jobs has ended"
        if words.missing:
            raise NotStarted(f"the image {self._image} has no program {job.argv[0]}", "Add it to the image.")
        if words.lacks:
            raise NotStarted(f"the image {self._image} has no {words.lacks}, which the first process needs")
        if words.failure:
            raise NotStarted(f"the job {job.name} cannot start: {words.failure}", evidence=errors.text)
        if not words.started:
            raise NotStarted(
                f"the job {job.name} did not start",
                evidence=b"\n".join(words.before).decode("utf-8", "replace"),
            )


def _ending_of(completion: Completion, words: lifeline.Words) -> Ending:
    if completion.end != Ending.EXITED:
        return completion.end
    return Ending.KILLED if words.status in (None, _KILLED) else Ending.EXITED
