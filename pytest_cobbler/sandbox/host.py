"""Jobs on the host itself: no containment at all, for machines without podman."""

from __future__ import annotations

import contextlib
import filecmp
import getpass
import itertools
import os
import platform
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, NotStarted, SandboxError
from pytest_cobbler.process import Cancellation, Completion, host_environment, run
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Loopback, Mount
from pytest_cobbler.sandbox.collecting import CollectedFile, Nowhere, read_collected
from pytest_cobbler.sandbox.overlays import mount_overlay, unmount_below
from pytest_cobbler.sandbox.removing import removal_of
from pytest_cobbler.sandbox.stderr import ErrorTail

__all__ = ["JOB_VARIABLE", "HostSandbox"]

JOB_VARIABLE: Final = "COBBLER_JOB"
"""Environment variable that marks the processes of a job, also those that left its session."""

_KILLED: Final = 128 + signal.SIGKILL
_PATIENCE: Final = 5.0
"""Seconds to wait for killed processes to end."""


class HostSandbox:
    """Runs jobs as ordinary processes of the user.

    A job has its own home directory and only the environment it is given, but it can use the whole machine.
    Mounts are replaced:

    * ``ro`` and ``rw`` of a path at itself, or of a file at a copy of it: by nothing. ``ro`` is not enforced;
    * ``overlay`` of a directory: by a private copy, in which the job runs if its ``workdir`` is inside. For
      root it is an overlay, where the machine has them. With an ``upper``, it is one at its own path;
    * any other mount is an error.

    The network and the limits on memory, disk and processes are not enforced either. A process that leaves
    its session and clears its environment outlives its job.

    Args:
        repository: a short hash that names the user's repository.
        run_id: names this run; :meth:`sweep` assumes that every other run on the repository is dead.
    """

    def __init__(self, *, repository: str, run_id: str) -> None:
        self._repository = repository
        self._run_id = run_id
        self._numbers = itertools.count(1)

    @property
    def _directories(self) -> str:
        """The first part of the names of this run's temporary directories."""
        return f"cobbler-{self._repository}-{self._run_id}-"

    @property
    def description(self) -> str:
        return f"no sandbox: jobs run as {_user()} and can do whatever {_user()} can"

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset()

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
        missing = [name for name in ("sh", "git") if shutil.which(name) is None]
        if missing:
            raise SandboxError(
                f"jobs need {' and '.join(missing)} on this machine", f"Install {' and '.join(missing)}."
            )
        return self.description

    def engine(self, _image: str | None) -> Engine:
        return Engine(runtime=f"no sandbox, {platform.system()} {platform.machine()}")

    def preflight(self) -> None:
        self.check_engine()

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        if cancellation is not None and cancellation.requested:
            return Completed(status=_KILLED, cause=Ending.CANCELLED, seconds=0.0, stderr="")
        if isinstance(job.network, Loopback):
            raise SandboxError("without a sandbox, jobs have no loopback of their own")
        mark = f"{JOB_VARIABLE}={self._repository}/{self._run_id}/{job.name}-{next(self._numbers)}"
        errors = ErrorTail(job.on_error_line)
        with ExitStack() as stack:
            home = stack.enter_context(_temporary_directory(self._directories))
            workdir = _place_mounts(job, stack, self._directories)
            environment = _environment(job, home, mark)
            file = CollectedFile.of(job.collect, workdir=str(workdir), home=environment["HOME"])
            ended = stack.enter_context(ExitStack())
            ended.callback(_end_marked, mark)
            try:
                completion = run(
                    job.argv,
                    env=environment,
                    cwd=workdir,
                    stdin=job.stdin,
                    stdout=job.stdout or job.on_line or Nowhere(),
                    stderr=errors,
                    timeout=job.limits.wall,
                    idle=job.limits.idle,
                    cancellation=cancellation,
                )
            except CobblerError as error:
                raise NotStarted(error.cause, "Install it, or run jobs in an image that has it.") from error
            ended.close()
            collected = read_collected(file) if file else None
        return _completed(completion, errors, collected)

    def left(self) -> list[str]:
        repository = f"{JOB_VARIABLE}={self._repository}/"
        marks = {mark for _, mark in _marked() if mark.startswith(repository)}
        others = sorted(mark for mark in marks if not mark.startswith(f"{repository}{self._run_id}/"))
        return [mark.removeprefix(f"{JOB_VARIABLE}=") for mark in others]

    def sweep(self) -> list[str]:
        dead = self.left()
        for mark in dead:
            _end_marked(f"{JOB_VARIABLE}={mark}")
        for directory in _left_behind(f"cobbler-{self._repository}-", self._directories):
            _remove(directory)
        return dead


def _environment(job: Job, home: Path, mark: str) -> dict[str, str]:
    name, _, value = mark.partition("=")
    return {**host_environment(), "HOME": str(home), **job.environment, **job.secrets, name: value}


def _completed(completion: Completion, errors: ErrorTail, collected: bytes | None) -> Completed:
    status = completion.status if completion.status >= 0 else 128 - completion.status
    killed = completion.end == Ending.EXITED and status == _KILLED
    return Completed(
        status=status,
        cause=Ending.KILLED if killed else completion.end,
        seconds=completion.seconds,
        stderr=errors.text,
        collected=collected,
    )


@contextlib.contextmanager
def _temporary_directory(prefix: str) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield directory
    finally:
        _remove(directory)


def _remove(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()  # mostly it is empty
    if directory.exists():
        removal_of(directory)


def _left_behind(prefix: str, living: str) -> Iterator[Path]:
    """Temporary directories of dead runs; another user may have made links or directories of such names."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            if (
                stat.S_ISDIR(status.st_mode)
                and status.st_uid == os.geteuid()
                and not path.name.startswith(living)
            ):
                yield path


def _place_mounts(job: Job, stack: ExitStack, prefix: str) -> Path:
    """Replace the mounts of the job; returns the directory in which it runs."""
    workdir = Path(job.workdir)
    for mount in job.mounts:
        if mount.mode != "overlay":
            _check_in_place(mount)
        elif mount.upper and mount.work:
            stack.enter_context(_overlaid(mount, mount.upper, mount.work))
        elif PurePosixPath(job.workdir).is_relative_to(mount.target):
            copy = _copy(mount.source, stack.enter_context(_temporary_directory(prefix)))
            workdir = copy / workdir.relative_to(mount.target)
        else:
            raise SandboxError(f"without a sandbox, only a job inside {mount.target} can have a copy of it")
    return workdir


def _check_in_place(mount: Mount) -> None:
    target = Path(mount.target)
    if mount.source.absolute() == target:
        return
    is_copy = mount.source.is_file() and target.is_file() and filecmp.cmp(mount.source, target, shallow=False)
    if not is_copy:
        raise SandboxError(f"without a sandbox, {mount.source} cannot be mounted at {mount.target}")


@contextlib.contextmanager
def _overlaid(mount: Mount, upper: Path, work: Path) -> Iterator[None]:
    """An overlay at its target, which keeps what changes in it."""
    target = Path(mount.target)
    with _refused(f"cannot mount an overlay at {target}"):
        unmount_below(target)  # a run that was killed left it
        mount_overlay(mount.source, upper, work, target, redirects=False)
    try:
        yield
    finally:
        with _refused(f"cannot unmount the overlay at {target}"):
            unmount_below(target)


@contextlib.contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SandboxError(what, evidence=str(error)) from error


def _copy(source: Path, directory: Path) -> Path:
    """A private copy of a directory, as an overlay if this machine allows it."""
    copy = directory / source.name
    upper, work = (directory / f"{name} of the copy" for name in ("upper", "work"))
    with contextlib.suppress(OSError):
        for part in (copy, upper, work):
            part.mkdir()
        upper.chmod(stat.S_IMODE(source.stat().st_mode))
        mount_overlay(source, upper, work, copy)
        return copy
    with contextlib.suppress(OSError):
        copy.rmdir()
    copied = run(["cp", "-a", "--reflink=auto", source, copy], env=host_environment())
    if not copied.ok:
        raise SandboxError(f"cannot copy {source}", evidence=copied.errors)
    return copy


def _marked() -> Iterator[tuple[int, str]]:
    """Process id and mark of every marked process whose environment is readable."""
    beginning = f"{JOB_VARIABLE}=".encode()
    for name in [entry.name for entry in os.scandir("/proc") if entry.name.isdecimal()]:
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{name}/environ").read_bytes()
            # Most have none, and every job looks at all processes of the machine.
            for variable in environment.split(b"\0") if beginning in environment else ():
                if variable.startswith(beginning):
                    yield int(name), variable.decode("utf-8", "replace")


def _end_marked(mark: str) -> None:
    """Kill all processes of a job, also the ones that they start meanwhile."""
    deadline = time.monotonic() + _PATIENCE
    while processes := [process for process, its_mark in _marked() if its_mark == mark]:
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise SandboxError(f"cannot end the processes of a job: {', '.join(map(str, processes))}")
        time.sleep(0.01)


def _user() -> str:
    with contextlib.suppress(OSError, KeyError):
        return getpass.getuser()
    return f"uid {os.getuid()}"
