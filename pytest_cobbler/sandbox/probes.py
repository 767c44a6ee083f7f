"""Probes: jobs that try something out before anything is spent, together in one job where possible."""

from __future__ import annotations

import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Loopback, Network, Sandbox
from pytest_cobbler.sandbox.lifeline import exports
from pytest_cobbler.sandbox.stderr import ErrorTail

__all__ = ["Probe", "ProbedSandbox", "run_probes"]

_KILLED: Final = 128 + 9
_EVALUATE: Final = 'eval "$(cat)"'


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A job that tries something out; ``judge`` raises a ``CobblerError`` if its end shows a problem."""

    job: Job
    judge: Callable[[Completed], None]

    def run(self, sandbox: Sandbox) -> None:
        """Run this probe alone.

        Raises:
            CobblerError: the probe failed, or could not be run.
        """
        self.judge(sandbox.run(self.job))


@runtime_checkable
class ProbedSandbox(Protocol):
    """A sandbox whose ``preflight`` is one job, which others can share."""

    def probe(self) -> Probe:
        """The probe that ``preflight`` runs.

        Raises:
            SandboxError: the engine does not work.
        """
        ...


def run_probes(sandbox: Sandbox, probes: Iterable[Probe]) -> None:
    """Run ``probes`` in as few jobs as possible, and judge them in their order.

    Later probes of a job do not run after one has failed. A probe that the shared job cannot begin runs
    alone, so that the sandbox itself reports the cause.

    Args:
        probes: may raise a ``CobblerError`` when the next one is made; it is raised after those before it
            have passed.

    Raises:
        CobblerError: of the first probe that failed.
    """
    made: list[Probe] = []
    problem: CobblerError | None = None
    try:
        made.extend(probes)
    except CobblerError as error:
        problem = error
    answers: dict[int, Completed] = {}
    tried: set[int] = set()
    for number, probe in enumerate(made):
        if number not in tried:
            group = [n for n in range(number, len(made)) if n not in tried and _share(probe, made[n])]
            tried.update(group)
            answers.update(zip(group, _run_together(sandbox, [made[n].job for n in group]), strict=False))
        probe.judge(answers[number] if number in answers else sandbox.run(probe.job))
    if problem:
        raise problem


def _share(one: Probe, other: Probe) -> bool:
    """Whether two probes can run in the same container."""
    return one is other or (
        _is_plain(one.job) and _is_plain(other.job) and _place(one.job) == _place(other.job)
    )


def _is_plain(job: Job) -> bool:
    return not (job.stdin or job.secrets or job.stdout) and replace(job.limits, wall=None) == Limits()


def _place(job: Job) -> tuple[str | None, tuple[str, ...], bool]:
    return job.image, job.arguments, job.network is Network.OPEN


def _run_together(sandbox: Sandbox, jobs: Sequence[Job]) -> list[Completed]:
    """How each of ``jobs`` ended, in their order, up to the first one that failed or could not begin."""
    if len(jobs) < 2 or sum(isinstance(job.network, Loopback) for job in jobs) > 1:
        return []
    mark = secrets.token_hex(16)  # random, so that the output of a probe does not contain it
    course = _Course(jobs)
    errors = [ErrorTail(job.on_error_line) for job in jobs]
    on_line = _Lines(mark, [job.on_line or _drop for job in jobs], course.hear)
    on_error_line = _Lines(mark, errors)
    try:
        with course:
            shared = replace(_shared(jobs, mark), on_line=on_line, on_error_line=on_error_line)
            completed = sandbox.run(shared, course.cancellation)
    except CobblerError:
        if course.begun:
            raise
        return []
    answers = [
        Completed(
            status=status,
            cause=Ending.KILLED if status == _KILLED else Ending.EXITED,
            seconds=seconds,
            stderr=tail.text,
        )
        for (status, seconds), tail in zip(course.ended, errors, strict=False)
    ]
    is_unfinished = course.begun > len(answers) or (course.expired and not course.begun)
    if is_unfinished and not completed.ok:
        cause = Ending.TIMEOUT if course.expired else completed.cause
        answers.append(replace(completed, cause=cause, stderr=errors[len(answers)].text))
    return answers


def _shared(jobs: Sequence[Job], mark: str) -> Job:
    """The job that runs all ``jobs``, one after the other."""
    loopbacks = [job.network for job in jobs if isinstance(job.network, Loopback)]
    walls = [job.limits.wall for job in jobs]
    # Without containers an overlay is a private copy, which only the directory of the whole job can name.
    workdir = next((job.workdir for job in jobs if any(m.mode == "overlay" for m in job.mounts)), "/")
    return Job(
        name="preflight",
        argv=("sh", "-c", _EVALUATE),  # by stdin, because the environments are in the script
        workdir=workdir,
        stdin=_script(jobs, workdir, mark).encode("utf-8", "surrogateescape"),
        mounts=tuple(dict.fromkeys(mount for job in jobs for mount in job.mounts)),
        network=loopbacks[0] if loopbacks else jobs[0].network,
        limits=Limits(wall=None if None in walls else sum(wall or 0.0 for wall in walls)),
        image=jobs[0].image,
        arguments=jobs[0].arguments,
    )


def _script(jobs: Sequence[Job], workdir: str, mark: str) -> str:
    begins = f"printf '%s\\n' '{mark} begins'"
    lines = ["exec </dev/null"]
    for job in jobs:
        lines += [
            "(",
            "set -e",
            *([] if job.workdir == workdir else [f"cd {shlex.quote(job.workdir)}"]),
            *exports(job.environment),
            f"command -v {shlex.quote(job.argv[0])} >/dev/null",
            begins,
            f"{begins} >&2",
            "set +e",
            f"exec {shlex.join(job.argv)}",
            ")",
            "cobbler_status=$?",
            f"printf '%s\\n' \"{mark} ended $cobbler_status\"",
            "[ $cobbler_status = 0 ] || exit $cobbler_status",
        ]
    return "\n".join(lines)


def _drop(_line: bytes) -> None:
    """Take a line that no one wants."""


class _Lines:
    """Hands each line of a stream to the probe that is running, and the words after a mark to ``on_word``."""

    def __init__(
        self,
        mark: str,
        takers: Sequence[Callable[[bytes], None]],
        on_word: Callable[[bytes], None] = _drop,
    ) -> None:
        self._mark = mark.encode() + b" "
        self._takers = takers
        self._on_word = on_word
        self._begun = 0

    def __call__(self, line: bytes) -> None:
        # Not always at the beginning of a line: the probe may have ended in the middle of one.
        text, mark, word = line.partition(self._mark)
        if self._begun and (text or not mark):
            self._takers[self._begun - 1](text)
        if mark:
            self._begun += word == b"begins"
            self._on_word(word)


class _Course:
    """How far the jobs of a shared job have come; ends it when one of them takes longer than its limit."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._walls = [job.limits.wall for job in jobs]
        self._timer: threading.Timer | None = None
        self._began = 0.0
        self.cancellation = Cancellation()
        self.begun = 0
        self.ended: list[tuple[int, float]] = []
        """Exit status and seconds of each."""
        self.expired = False

    def __enter__(self) -> _Course:
        self._start_timer(self._walls[0])  # the start of the container counts for the first
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop_timer()

    def hear(self, word: bytes) -> None:
        match word.split():
            case [b"begins"]:
                if self.begun:
                    self._start_timer(self._walls[self.begun])
                self.begun += 1
                self._began = time.monotonic()
            case [b"ended", status] if self.begun > len(self.ended):
                self._stop_timer()
                self.ended.append((int(status), time.monotonic() - self._began))

    def _start_timer(self, wall: float | None) -> None:
        if wall is not None:
            self._timer = threading.Timer(wall, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        self.cancellation.cancel()
