"""The flags of ``podman run`` for a job: every restriction of an agent is here."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox.base import Job, Limits, Loopback, Mount, Network
from pytest_cobbler.sandbox.lifeline import SHELL
from pytest_cobbler.sandbox.overlays import UNMOUNTABLE

__all__ = ["flags"]

BACKSTOP: Final = 60
"""Seconds after ``Limits.wall`` at which podman itself ends a container that is still running."""

WITHOUT_LIMIT: Final = 3 * 24 * 60 * 60
"""The same for a container whose job has no ``Limits.wall``."""

_SHELL_SIZE: Final = 16 * 1024 * 1024
_SHARED_MEMORY: Final = 64 * 1024 * 1024
_ENFORCING: Final = Path("/sys/fs/selinux/enforce")


def flags(
    job: Job, owner: tuple[int, int] | None, arguments: Sequence[str] = (), seccomp: Path | None = None
) -> list[str]:
    """The flags of ``podman run`` for ``job``; its user is ``owner`` or, if that is ``None``, the caller.

    ``seccomp`` is a profile that replaces podman's. ``arguments`` and then the job's own arguments follow the
    flags and override them.

    Raises:
        SandboxError: podman has no way to write one of the mounts.
    """
    further = [*arguments, *job.arguments]
    return [
        "--pull=never",
        "--entrypoint=sh",
        *_user(owner),
        *_privileges(seccomp),
        *_network(job.network),
        *_file_system(job),
        *_in_memory(job.limits, further),
        *_limits(job.limits, job.afterwards.seconds if job.afterwards else 0),
        *further,
    ]


def _user(owner: tuple[int, int] | None) -> list[str]:
    if owner is None:
        return ["--userns=keep-id"]
    return [f"--user={owner[0]}:{owner[1]}"]


def _privileges(seccomp: Path | None) -> list[str]:
    return [
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        *([f"--security-opt=seccomp={seccomp}"] if seccomp else []),
        # The alternative, :Z, would relabel the user's own files.
        *(["--security-opt=label=disable"] if _selinux_enforces() else []),
        "--http-proxy=false",  # may hold a password
        "--log-driver=none",  # else podman also writes the whole output to a file
    ]


def _selinux_enforces() -> bool:
    return _ENFORCING.is_file() and _ENFORCING.read_text("utf-8").strip() == "1"


def _network(network: Network | Loopback) -> list[str]:
    return [] if network is Network.OPEN else ["--network=none"]


def _file_system(job: Job) -> list[str]:
    return [
        "--read-only",
        # For the copy of the shell.
        f"--tmpfs={SHELL}:rw,exec,nosuid,nodev,mode=1777,size={_SHELL_SIZE}",
        # The lifeline keeps the job's stdin there.
        f"--shm-size={_SHARED_MEMORY + len(job.stdin)}b",
        f"--workdir={job.workdir}",
        *(f"--volume={_volume(mount)}" for mount in job.mounts),
        *(f"--volume={_volume(mount)}" for mount in (job.afterwards.mounts if job.afterwards else ())),
    ]


def _in_memory(limits: Limits, arguments: Sequence[str]) -> list[str]:
    """The directories in memory that any user can write. podman mounts the second one without a limit."""
    size = "" if limits.disk is None else f",size={min(limits.disk, _half_of_memory())}"
    places = [place for place in ("/tmp", "/var/tmp") if not _mounts(arguments, place)]
    return [f"--tmpfs={place}:rw,exec,nosuid,nodev,mode=1777{size}" for place in places]


def _half_of_memory() -> int:
    """The kernel's own limit for a directory in memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _mounts(arguments: Sequence[str], place: str) -> bool:
    """Whether one of ``arguments`` mounts something at ``place``, which podman allows only once."""
    words = [part for argument in arguments for part in argument.split("=", 1)]
    for flag, value in pairwise(words):
        fields = value.split(":")
        target = fields[1:2] if flag in ("-v", "--volume") else fields[:1]
        if flag in ("-v", "--volume", "--tmpfs") and target == [place]:
            return True
    return False


def _volume(mount: Mount) -> str:
    source, target = str(mount.source.absolute()), mount.target
    if ":" in source or ":" in target:
        raise SandboxError(f"podman cannot mount {source} at {target}: a path must not contain a colon")
    if not mount.source.exists():
        raise SandboxError(f"cannot mount {source} at {target}: it does not exist")
    options = {"ro": "ro", "rw": "rw,nosuid,nodev", "overlay": "O"}[mount.mode]
    if mount.upper and mount.work:
        upper, work = str(mount.upper.absolute()), str(mount.work.absolute())
        if UNMOUNTABLE.search(source + upper + work):
            raise SandboxError(f"podman cannot mount {upper} over {source}: a comma or a colon is in a path")
        options += f",upperdir={upper},workdir={work}"
    return f"{source}:{target}:{options}"


def _limits(limits: Limits, more: float) -> list[str]:
    words = []
    if limits.memory is not None:
        words.append(f"--memory={limits.memory}b")
    if limits.pids is not None:
        words.append(f"--pids-limit={limits.pids}")
    wall = WITHOUT_LIMIT if limits.wall is None else math.ceil(limits.wall + more) + BACKSTOP
    words.append(f"--timeout={wall}")
    return words
