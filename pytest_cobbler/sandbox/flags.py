"""What ``podman run`` is told about a job, apart from its name: all that holds an agent is here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox.base import Job, Limits, Mount, Network

__all__ = ["flags"]

BACKSTOP: Final = 60
"""Seconds after ``Limits.wall`` at which podman itself ends the container, should nobody else."""

_SHARED_MEMORY: Final = 64 * 1024 * 1024
_ENFORCING: Final = Path("/sys/fs/selinux/enforce")


def flags(job: Job, owner: tuple[int, int] | None) -> list[str]:
    """The flags of ``podman run`` for ``job``, whose user is ``owner`` or, without one, the caller.

    Raises:
        SandboxError: a mount that podman could not be told.
    """
    return [
        "--pull=never",
        "--entrypoint=sh",
        *_user(owner),
        *_privileges(),
        *_network(job.network),
        *_file_system(job),
        *_limits(job.limits),
        *job.arguments,
    ]


def _user(owner: tuple[int, int] | None) -> list[str]:
    if owner is None:
        return ["--userns=keep-id"]
    return [f"--user={owner[0]}:{owner[1]}"]


def _privileges() -> list[str]:
    return [
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        # The alternative, :Z, would relabel the user's own files.
        *(["--security-opt=label=disable"] if _selinux_enforces() else []),
        "--http-proxy=false",  # may hold a password
        "--log-driver=none",  # else podman writes the whole output to a file of its own
    ]


def _selinux_enforces() -> bool:
    return _ENFORCING.is_file() and _ENFORCING.read_text().strip() == "1"


def _network(network: Network) -> list[str]:
    return ["--network=none"] if network is Network.NONE else []


def _file_system(job: Job) -> list[str]:
    size = "" if job.limits.disk is None else f",size={job.limits.disk}"
    return [
        "--read-only",
        f"--tmpfs=/tmp:rw,exec,nosuid,nodev,mode=1777{size}",
        # The lifeline lays the job's stdin there.
        f"--shm-size={_SHARED_MEMORY + len(job.stdin)}b",
        f"--workdir={job.workdir}",
        *(f"--volume={_volume(mount)}" for mount in job.mounts),
    ]


def _volume(mount: Mount) -> str:
    source, target = str(mount.source.absolute()), mount.target
    if ":" in source or ":" in target:
        raise SandboxError(f"podman cannot mount {source} at {target}: a path must not hold a colon")
    if not mount.source.exists():
        raise SandboxError(f"there is no {source} to mount at {target}")
    options = {"ro": "ro", "rw": "rw,nosuid,nodev", "overlay": "O"}[mount.mode]
    return f"{source}:{target}:{options}"


def _limits(limits: Limits) -> list[str]:
    words = []
    if limits.memory is not None:
        words.append(f"--memory={limits.memory}b")
    if limits.pids is not None:
        words.append(f"--pids-limit={limits.pids}")
    if limits.wall is not None:
        words.append(f"--timeout={math.ceil(limits.wall) + BACKSTOP}")
    return words
