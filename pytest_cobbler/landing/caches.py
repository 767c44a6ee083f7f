"""Directories that the project's ``cache_command`` fills once, for all jobs to read.

The command is the base's and runs on the base's files, before the first agent. Every job gets a layer of its
own above what it left (an overlay), which vanishes with the job: what ran an agent's code never writes to
what a gate reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from pytest_cobbler.causes import Ending
from pytest_cobbler.config import Config
from pytest_cobbler.display import shown_duration, shown_size
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.files import OF_A_MOMENT, Tail, remove_dead_directories
from pytest_cobbler.landing.gate import Caches, Gate
from pytest_cobbler.lines import LinesTogether
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.checkouts import checkouts
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Completed, Job, Limits, Mount, Network, Sandbox

__all__ = ["with_caches"]

_PLACE = "caches"
_SHOWN = 4000
"""Bytes of the command's output in an error."""


@contextlib.contextmanager
def with_caches(
    gate: Gate,
    config: Config,
    repository: Repository,
    base: str,
    cancellation: Cancellation,
    say: Callable[[str], object] = lambda _text: None,
) -> Iterator[Gate]:
    """``gate`` with the caches of the trusted commit ``base``, which are filled now if they are not yet.

    Args:
        say: prints a line before the command runs.

    Raises:
        UsageProblem: the command failed.
        SandboxError: the job could not be run.
    """
    if not config.cache_command:
        yield gate
        return
    sandbox = gate.sandbox
    facts = _facts(config, repository, base)
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    engine = sandbox.engine(config.gate_image)
    known = json.dumps({"filled": digest, "variables": dict(config.container_environment), **asdict(engine)})
    place = repository.work_dir / _PLACE / hashlib.sha256(known.encode()).hexdigest()[:32]
    repository.make_work_dir()
    place.parent.mkdir(exist_ok=True, mode=0o700)
    if not place.is_dir():
        say(f"caches: {' '.join(config.cache_command)}, on {base[:12]}")
        _fill(config, repository, sandbox, base, place, cancellation)
    with _in_use(place):
        _remove_others(place)
        yield replace(gate, caches=Caches(mounts=_mounts(config, place, "overlay"), digest=digest))


def _facts(config: Config, repository: Repository, base: str) -> dict[str, object]:
    return {
        "tree": repository.tree_of(base),
        "directory": repository.directory.path,
        "command": list(config.cache_command or ()),
        "directories": list(map(str, config.cache_dirs)),
        "network": config.cache_network,
    }


def _mounts(config: Config, place: Path, mode: Literal["rw", "overlay"]) -> tuple[Mount, ...]:
    return tuple(
        Mount(source=place / str(number), target=str(target), mode=mode)
        for number, target in enumerate(config.cache_dirs)
    )


def _fill(
    config: Config,
    repository: Repository,
    sandbox: Sandbox,
    base: str,
    place: Path,
    cancellation: Cancellation,
) -> None:
    """Run the command, and move what it left to ``place`` as a whole."""
    remove_dead_directories(place.parent)
    draft = place.with_name(f"{OF_A_MOMENT}{os.getpid()}-{secrets.token_hex(4)}")
    output = Tail(_SHOWN)
    try:
        for mount in _mounts(config, draft, "rw"):
            mount.source.mkdir(parents=True)
            if sandbox.owner:
                os.chown(mount.source, *sandbox.owner)
        with checkouts(repository, sandbox.owner) as made:
            tree = made.create(base).tree
            job = _job(config, repository, tree, _mounts(config, draft, "rw"), output)
            completed = sandbox.run(job, cancellation)
        if not completed.ok:
            raise _failed(config, completed, output)
        with contextlib.suppress(OSError):  # another process has just filled it
            draft.rename(place)
    finally:
        remove_tree(draft)


def _job(config: Config, repository: Repository, tree: Path, mounts: tuple[Mount, ...], output: Tail) -> Job:
    assert config.cache_command
    return Job(
        name="caches",
        argv=("sh", "-c", 'exec "$@" 2>&1', "sh", *config.cache_command),
        workdir=str(tree / repository.directory.path),
        environment=dict(config.container_environment),
        mounts=(Mount(source=tree, target=str(tree), mode="overlay"), *mounts),
        network=Network(config.cache_network),
        limits=Limits(wall=config.gate_timeout, disk=config.job_disk),
        image=config.gate_image,
        stdout=LinesTogether(output.add),
    )


def _failed(config: Config, completed: Completed, output: Tail) -> UsageProblem:
    how = f"exit {completed.status}" if completed.cause == Ending.EXITED else str(completed.cause)
    if completed.cause == Ending.TIMEOUT and config.gate_timeout:
        how = f"timeout after {shown_duration(config.gate_timeout)}, gate_timeout"
    if completed.cause == Ending.DISK and config.job_disk:
        how = f"disk: more than {shown_size(config.job_disk)}, job_disk"
    offline = "If it fetches something: cache_network: open." if config.cache_network == "none" else ""
    return UsageProblem(
        f"cache_command failed ({how})",
        "\n".join(filter(None, ["Correct it, or remove cache_dirs and cache_command.", offline])),
        output.whole_lines,
    )


@contextlib.contextmanager
def _in_use(place: Path) -> Iterator[None]:
    """Keep other processes from removing the directory."""
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # the file system has no locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _remove_others(place: Path) -> None:
    """Remove what was filled for another base or by another command, unless a process uses it."""
    for other in place.parent.iterdir():
        if other == place or other.name.startswith(OF_A_MOMENT):
            continue
        descriptor = os.open(other, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(other)
        except OSError:
            continue
        finally:
            os.close(descriptor)
