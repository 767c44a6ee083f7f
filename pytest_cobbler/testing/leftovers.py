"""What a run must not leave behind outside git and the tracker: files, locks, processes and containers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pytest_cobbler.config import Config
from pytest_cobbler.files import lock
from pytest_cobbler.process import run
from pytest_cobbler.repository.forsaken import USED_NODES
from pytest_cobbler.repository.objects import OWN_ID, PLACE
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import SESSIONS
from pytest_cobbler.sandbox.host import JOB_VARIABLE
from pytest_cobbler.sandbox.podman import LABEL_REPOSITORY
from pytest_cobbler.sandbox.podman_environment import podman_environment

__all__ = ["leftovers"]

_STAYS: Final = ("kept", "log", "records", SESSIONS, PLACE, OWN_ID, USED_NODES)


def leftovers(config: Config, repository: Repository) -> Iterator[str]:
    """One sentence for each thing that a run left behind; call it while no run is active."""
    key = repository.key.rpartition("-")[2]  # the repository's name on containers and processes of jobs
    yield from _worktrees(repository)
    yield from _locks(repository)
    yield from _processes(key)
    yield from _temporary_directories(key)
    if config.is_contained:
        yield from _containers(key)


def _worktrees(repository: Repository) -> Iterator[str]:
    for path in sorted(repository.work_dir.glob("*")):
        if path.name in _STAYS or path.name.startswith("scratch"):
            continue
        if path.name in ("gate", "checkouts") and not any(path.iterdir()):
            continue
        inside = sorted(child.name for child in path.iterdir()) if path.is_dir() else []
        yield f"{path} is left" + (f", with {', '.join(inside)}" if inside else "")


def _locks(repository: Repository) -> Iterator[str]:
    common = repository.common_dir
    run_lock = common / "cobbler.lock"
    for path in (*common.glob("*.lock"), *(common / "refs").rglob("*.lock")):
        if path != run_lock:
            yield f"git's lock file {path} is left"
    if run_lock.exists():
        with run_lock.open("rb") as file:
            try:
                lock(file)
            except BlockingIOError:
                yield f"the repository is still locked: {file.read().decode('utf-8', 'replace').strip()}"


def _processes(key: str) -> Iterator[str]:
    mark = f"{JOB_VARIABLE}={key}/".encode()
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(word.startswith(mark) for word in (directory / "environ").read_bytes().split(b"\0")):
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                yield f"process {directory.name} of a job is left: {command[:200]}"


def _temporary_directories(key: str) -> Iterator[str]:
    for path in Path(tempfile.gettempdir()).glob(f"cobbler-{key}-*"):
        yield f"{path} is left"


def _containers(key: str) -> Iterator[str]:
    label = f"--filter=label={LABEL_REPOSITORY}={key}"
    command = ["podman", "ps", "--all", label, "--format={{.Names}}"]
    listed = run(command, env=podman_environment(), cwd=Path("/"))
    if not listed.ok:
        yield f"podman cannot list its containers: {listed.errors.strip()}"
    for name in listed.text.split():
        yield f"container {name} is left"
