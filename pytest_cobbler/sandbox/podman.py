"""Jobs in podman containers."""

from __future__ import annotations

import functools
import itertools
import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from packaging.version import Version

from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import CobblerError, NotStarted, SandboxError
from pytest_cobbler.process import Cancellation, Completion, run
from pytest_cobbler.sandbox import lifeline
from pytest_cobbler.sandbox.base import Capability, Completed, Engine, Job, Limits, Loopback
from pytest_cobbler.sandbox.collecting import CollectedFile
from pytest_cobbler.sandbox.course import Course
from pytest_cobbler.sandbox.disk import DiskWatch, upper_directories
from pytest_cobbler.sandbox.flags import flags
from pytest_cobbler.sandbox.loopback import open_listener
from pytest_cobbler.sandbox.not_started import NEEDED, not_started
from pytest_cobbler.sandbox.podman_environment import podman_environment
from pytest_cobbler.sandbox.probes import Probe
from pytest_cobbler.sandbox.runtime import described_runtime, registry_digests, repositories
from pytest_cobbler.sandbox.seccomp import Profile
from pytest_cobbler.sandbox.stderr import ErrorTail
from pytest_cobbler.versions import find_version

__all__ = ["LABEL_REPOSITORY", "PodmanSandbox", "job_owner", "local_images", "podman_environment"]

OLDEST: Final = Version("4.3")
"""The oldest podman that is known to work."""

NOBODY_ELSE: Final = 60989
"""uid and gid of root's jobs, if neither sudo nor the repository's owner names a user.

From the unused range 60706 to 61183 (https://systemd.io/UIDS-GIDS/), and below 65536, so that it exists if
the host is itself a container with the usual mapping.
"""

LABEL_REPOSITORY: Final = "cobbler.repository"
_LABEL_RUN: Final = "cobbler.run"
_KILLED: Final = 128 + 9
_ADMINISTRATION: Final = 120.0
"""Seconds for a podman call that runs no job; normally far less than one."""

_REMOVES_AGAIN: Final = (0.2, 1.0)
"""Seconds before podman is asked again to remove a container."""


def job_owner(repository: Path) -> tuple[int, int] | None:
    """uid and gid of jobs on ``repository``; never root's.

    ``None`` if the caller is not root: podman maps the container's user to the caller. For root it is the
    user who called sudo, else the owner of the repository, else an unused uid.
    """
    if os.geteuid() != 0:
        return None
    caller = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if caller[0].isdigit() and caller[1].isdigit() and int(caller[0]) != 0:
        return int(caller[0]), int(caller[1])
    status = repository.stat()
    if status.st_uid != 0:
        return status.st_uid, status.st_gid
    return NOBODY_ELSE, NOBODY_ELSE


def local_images(program: str = "podman") -> list[str]:
    """The names of podman's images, newest first.

    Raises:
        SandboxError: podman is missing, or fails.
    """
    if shutil.which(program) is None:
        raise SandboxError(f"{program} is not installed")
    command = [program, "images", "--sort=created", "--format={{.Repository}}:{{.Tag}}"]
    images = run(command, env=podman_environment(), timeout=_ADMINISTRATION)
    if not images.ok:
        raise SandboxError(f"{program} cannot list its images", evidence=images.errors)
    return [name for name in images.text.split() if "<none>" not in name]


class PodmanSandbox:
    """Runs each job in its own container, which is removed when :meth:`run` returns.

    Args:
        image: the image of jobs without an image of their own.
        repository: a short hash that names the user's repository.
        run_id: names this run; :meth:`sweep` assumes that every other run on the repository is dead.
        owner: uid and gid of jobs for root's podman, see :func:`job_owner`; ``None`` for a user's own.
        program: podman's name or path.
        arguments: further arguments of ``podman run`` for every job, validated by the configuration.
        user_namespaces: whether jobs may make user namespaces.
        environment: for podman itself, :func:`podman_environment` by default; jobs do not see it.
    """

    def __init__(
        self,
        image: str,
        *,
        repository: str,
        run_id: str,
        owner: tuple[int, int] | None,
        program: str = "podman",
        arguments: Sequence[str] = (),
        user_namespaces: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._image = image
        self._repository = repository
        self._run_id = run_id
        self._owner = owner
        self._program = program
        self._arguments = tuple(arguments)
        self._environment = dict(podman_environment() if environment is None else environment)
        self._user_namespaces = user_namespaces
        self._numbers = itertools.count(1)
        self._version = ""

    @property
    def description(self) -> str:
        who = "you" if self._owner is None else f"uid {self._owner[0]}"
        words = [f"podman {self._version}".strip(), f"image {self._image}", f"jobs run as {who}"]
        if Capability.LIMITS not in self.capabilities:
            words.append("no limits on memory and processes (cgroup v1 without root)")
        if not self._user_namespaces and self._seccomp is None:
            words.append("jobs can make user namespaces (podman's seccomp profile is not a file here)")
        if self._arguments:
            words.append("with " + shlex.join(self._arguments))
        return ", ".join(words)

    @property
    def capabilities(self) -> frozenset[Capability]:
        lacking = set()
        if self._owner is None and not Path("/sys/fs/cgroup/cgroup.controllers").exists():
            lacking.add(Capability.LIMITS)
        if self._is_remote:
            lacking.add(Capability.LOOPBACK)
        return frozenset(Capability) - lacking

    @property
    def _is_remote(self) -> bool:
        """Whether containers run on another kernel (podman machine, CONTAINER_HOST)."""
        return self._told.text.split()[-1:] != ["local"]

    @functools.cached_property
    def _told(self) -> Completion:
        """podman's version, and where it runs containers."""
        # Not `podman info`, which asks the package manager for podman's parts and takes a second.
        where = "{{if .Server}}remote{{else}}local{{end}}"
        return self._podman("version", f"--format={{{{.Client.Version}}}} {where}")

    @functools.cached_property
    def _seccomp(self) -> Profile | None:
        """The profile of jobs that may not make user namespaces, if they may not and it can be made."""
        # Podman on another machine reads the file there.
        if self._user_namespaces or self._is_remote:
            return None
        profile = Profile(self._environment)
        return profile if profile.path else None

    @property
    def owner(self) -> tuple[int, int] | None:
        return self._owner

    @property
    def storage(self) -> Path | None:
        try:
            info = self._podman("info", "--format={{.Store.GraphRoot}}")
        except CobblerError:  # there is no podman
            return None
        path = Path(info.text.strip())
        return path if info.ok and path.is_absolute() and not self._is_remote else None

    @property
    def runtime(self) -> str:
        told = self._podman("info", "--format={{.Host.OCIRuntime.Version}}\n{{.Host.OCIRuntime.Package}}")
        lines = told.text.splitlines() if told.ok else []
        return f"{lines[0]} ({lines[-1]})" if lines else ""

    def check_engine(self) -> str:
        self._version = self._checked_version()
        whose = (
            "rootless: jobs run as you"
            if self._owner is None
            else f"root's: jobs run as uid {self._owner[0]}"
        )
        return f"podman {self._version}, {whose}"

    def engine(self, image: str | None) -> Engine:
        name = image or self._image
        shown = "--format={{.Id}}\n{{json .RepoDigests}}\n{{json .NamesHistory}}"
        asked = self._podman("image", "inspect", shown, name)
        if not asked.ok:
            raise not_started(self._program, name, asked, asked.stderr)
        image_id, references, history = asked.text.split("\n")[:3]
        return Engine(
            image=f"sha256:{image_id}",
            image_digests=registry_digests(references),
            repositories=repositories(references, history),
            runtime=self._runtime,
            arguments=self._arguments,
        )

    @functools.cached_property
    def _runtime(self) -> str:
        return described_runtime(self._podman)

    def preflight(self) -> None:
        self.probe().run(self)

    def probe(self) -> Probe:
        self.check_engine()
        job = Job(name="preflight", argv=("git", "--version"), workdir="/", limits=Limits(wall=120))
        return Probe(job=job, judge=self._judge_git)

    def _judge_git(self, completed: Completed) -> None:
        if not completed.ok:
            raise SandboxError(
                f"the image {self._image} cannot run git ({completed.cause}, exit status {completed.status})",
                f"Try it by hand: {self._program} run --rm --network=none --read-only --entrypoint=git "
                f"{self._image} --version",
                completed.stderr,
            )

    def run(self, job: Job, cancellation: Cancellation | None = None) -> Completed:
        if cancellation is not None and cancellation.requested:
            return Completed(status=_KILLED, cause=Ending.CANCELLED, seconds=0.0, stderr="")
        if job.afterwards and self._is_remote:  # the host could not prepare it
            job = replace(job, afterwards=None)
        name = self._container_name(job)
        errors = ErrorTail(job.on_error_line)
        watch = DiskWatch(job.limits.disk, lambda: self._writable(name, job), cancellation)
        course = Course(job, errors, watch)
        words = course.words
        try:
            with watch:
                completion = self._run_container(name, course, watch.cancellation)
        except BaseException:
            self._remove([name])
            raise
        course.close()
        if words.status is None or words.status != completion.status:  # else podman has removed it
            self._remove([name])
            if words.status is None and completion.end == Ending.EXITED:
                self._raise_unless_killed(job, words, completion, errors)
        return Completed(
            status=_KILLED if words.status is None else words.status,
            cause=Ending.DISK if watch.exceeded else _ending_of(completion, words),
            seconds=completion.seconds - course.seconds_afterwards,
            stderr=errors.text,
            collected=course.collected.content,
            went_on=course.went_on,
        )

    def left(self) -> list[str]:
        listed = self._podman(
            "ps",
            "--all",
            f"--filter=label={LABEL_REPOSITORY}={self._repository}",
            f'--format={{{{.Names}}}} {{{{index .Labels "{_LABEL_RUN}"}}}}',
        )
        if not listed.ok:
            raise SandboxError("podman cannot list its containers", evidence=listed.errors)
        containers = [line.split() for line in listed.text.splitlines()]
        return [words[0] for words in containers if words and words[1:] != [self._run_id]]

    def sweep(self) -> list[str]:
        dead = self.left()
        if dead:
            self._remove(dead)
        return dead

    def _run_container(self, name: str, course: Course, cancellation: Cancellation | None) -> Completion:
        job, words = course.job, course.words
        environment = {"HOME": lifeline.HOME, **job.environment, **job.secrets}
        collected = CollectedFile.of(
            job.collect, workdir=job.workdir, home=environment["HOME"], held=job.held
        )
        header = lifeline.opening(environment, words.tokens, collected, job.afterwards)
        options = [
            "--rm",
            "--interactive",
            f"--name={name}",
            f"--label={LABEL_REPOSITORY}={self._repository}",
            f"--label={_LABEL_RUN}={self._run_id}",
            *flags(job, self._owner, self._arguments, self._seccomp.path if self._seccomp else None),
            job.image or self._image,
            *lifeline.arguments(words.tokens, header, job.stdin, job.argv),
        ]
        with course.network as opened:
            verb = ["run", *options]
            if isinstance(job.network, Loopback):
                prepared = self._prepare(name, options, words, cancellation)
                if not prepared.ok:
                    return prepared
                listener = opened.enter_context(open_listener(self._process_of(name), job.network.port))
                opened.enter_context(job.network.serve(listener))
                verb = ["start", "--attach", "--interactive", name]
            return run(
                [self._program, *verb],
                env=self._environment,
                cwd=Path("/"),
                stdin=header + job.stdin,
                keep_stdin_open=True,
                stdout=course.stdout,
                stderr=words,
                timeout=job.limits.wall,
                idle=job.limits.idle,
                cancellation=cancellation,
                finish=course.finish,
            )

    def _prepare(
        self, name: str, options: Sequence[str], words: lifeline.Words, cancellation: Cancellation | None
    ) -> Completion:
        """Make a container that has its namespaces, but runs nothing yet."""
        for verb in (["create", *options], ["init", name]):
            completion = run(
                [self._program, *verb],
                env=self._environment,
                cwd=Path("/"),
                stderr=words,
                timeout=_ADMINISTRATION,
                cancellation=cancellation,
            )
            if not completion.ok:
                break
        return completion

    def _writable(self, name: str, job: Job) -> list[Path]:
        """The directories of this machine that a running job can write."""
        overlays = [mount.target for mount in job.mounts if mount.mode == "overlay" and not mount.upper]
        written = [mount.source for mount in job.mounts if mount.mode == "rw"]
        written += [mount.upper for mount in job.mounts if mount.upper]
        return written + (upper_directories(self._process_of(name), overlays) if overlays else [])

    def _process_of(self, name: str) -> int:
        """The process id of a container's first process."""
        asked = self._podman("inspect", "--type=container", "--format={{.State.Pid}}", name)
        if not asked.ok or not asked.text.strip().isdigit():
            raise SandboxError(f"podman reports no process for the container {name}", evidence=asked.errors)
        return int(asked.text)

    def _container_name(self, job: Job) -> str:
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", job.name)[:80]
        return f"cobbler-{self._repository}-{self._run_id}-{plain}-{next(self._numbers)}"

    def _podman(self, *arguments: str) -> Completion:
        return run([self._program, *arguments], env=self._environment, cwd=Path("/"), timeout=_ADMINISTRATION)

    def _remove(self, names: Sequence[str]) -> None:
        for pause in (*_REMOVES_AGAIN, None):
            removed = self._podman("rm", "--force", "--time=0", "--ignore", *names)
            if removed.ok or pause is None:
                break
            time.sleep(pause)  # podman 4.3 fails if the container ends just now ("container state improper")
        if not removed.ok:
            raise SandboxError(
                f"podman cannot remove {', '.join(names)}, which may still be running",
                f"Remove it by hand: {self._program} rm --force --time=0 {shlex.join(names)}",
                removed.errors,
            )

    def _checked_version(self) -> str:
        try:
            asked = self._told
        except CobblerError as error:
            raise SandboxError(
                error.cause,
                "Install it: apt-get install podman; or run without any protection: sandbox: none",
            ) from error
        shown = asked.text.partition(" ")[0].strip()
        version = find_version(shown)
        if not asked.ok or version is None:
            raise SandboxError(
                "podman does not work", f"Try it by hand: {self._program} version", asked.errors
            )
        if version < OLDEST:
            raise SandboxError(f"podman {shown} is too old", f"Install podman {OLDEST} or newer.")
        return shown

    def _raise_unless_killed(
        self, job: Job, words: lifeline.Words, completion: Completion, errors: ErrorTail
    ) -> None:
        image = job.image or self._image
        if words.lacks:
            raise NotStarted(
                f"the image {image} has no {words.lacks}, which the first process of a job needs",
                NEEDED,
            )
        if words.failure:
            raise NotStarted(f"the job {job.name} cannot start: {words.failure}", evidence=errors.text)
        if words.missing:
            raise NotStarted(
                f"the image {image} has no program {job.argv[0]}",
                "Add it to the image, or mount it by podman_args.",
            )
        if not words.started:
            raise not_started(self._program, image, completion, b"\n".join(words.before))
        if completion.status not in lifeline.VIOLENT_ENDS and completion.status >= 0:
            raise SandboxError(
                f"the first process of the job {job.name} failed (exit status {completion.status})",
                evidence=errors.text,
            )


def _ending_of(completion: Completion, words: lifeline.Words) -> Ending:
    if completion.end != Ending.EXITED:
        return completion.end
    return Ending.KILLED if words.status in (None, _KILLED) else Ending.EXITED
