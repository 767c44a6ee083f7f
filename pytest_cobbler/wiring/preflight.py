"""Checks before anything is spent, for a run and for ``--cobbler-doctor``."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.agents.credential import Credential
from pytest_cobbler.config import Config
from pytest_cobbler.display import shown_size
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.languages import Language
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Mount, Sandbox

_LOOKS = 'for program; do command -v -- "$program" >/dev/null || { echo "$program"; exit 1; }; done'
_PATIENCE = Limits(wall=120)

NEEDED_ROOM = 50_000_000
SCARCE_ROOM = 1_000_000_000
"""Free bytes on a disk: below the first a run does not begin, below the second it warns."""

SOON = 3600.0
"""Seconds for which a credential should stay valid; below, a run warns."""


def preflight_work_dir(repository: Repository, sandbox: Sandbox) -> None:
    """Check that a job can write in the directory of worktrees.

    Raises:
        UsageProblem: it cannot, for example because the image restricts a parent directory.
    """
    for path in (repository.work_dir, *repository.object_stores):
        if ":" in str(path) and Capability.CONTAINMENT in sandbox.capabilities:
            raise UsageProblem(
                f"podman cannot mount {path}: the path contains a colon", "Move it, or set another work_dir."
            )
    repository.work_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=repository.work_dir) as name:
        if sandbox.owner:
            os.chown(name, *sandbox.owner)
        owner = sandbox.owner[0] if sandbox.owner else os.geteuid()
        completed = sandbox.run(
            Job(
                name="preflight-worktree",
                argv=("sh", "-c", 'echo >"$1/file"', "sh", name),  # by its full path, as an agent does
                workdir=name,
                mounts=(Mount(source=Path(name), target=name, mode="rw"),),
                limits=Limits(wall=120),
            )
        )
        file_owner = Path(name, "file").stat().st_uid if completed.ok else owner
    if file_owner != owner:
        raise UsageProblem(
            f"files that jobs write belong to uid {file_owner} on this machine, not to {owner}",
            "Let podman map users as usual: remove options that change users (--user, --userns)\n"
            "from podman_args and from the file that CONTAINERS_CONF names.",
        )
    if not completed.ok:
        is_full = not os.statvfs(repository.work_dir).f_bavail
        closed = "that other users can enter in the image (not one in /root)"
        lacks = "with free space" if is_full else closed
        raise UsageProblem(
            f"jobs cannot work in {repository.work_dir}, the directory of worktrees",
            f"Set work_dir to a directory {lacks}.",
            completed.stderr,
        )


def preflight_room(repository: Repository, config: Config, *others: Path) -> str:
    """Check that there is room for worktrees, for the files of a run, and in the directories ``others``.

    Returns:
        a warning if little room is left.

    Raises:
        UsageProblem: almost no room is left.
    """
    scarce = []
    for directory in (repository.work_dir, config.cobbler_dir, *others):
        existing = next(path for path in (directory, *directory.parents) if path.exists())
        facts = os.statvfs(existing)
        room = facts.f_bavail * facts.f_frsize
        if room < NEEDED_ROOM or (facts.f_files and not facts.f_favail):
            room_left = "no more files" if room >= NEEDED_ROOM else shown_size(room)
            raise UsageProblem(
                f"almost no space is left for {directory}: {room_left}",
                "Free some space, or set work_dir or cobbler_dir to another disk.",
            )
        if room < SCARCE_ROOM:
            scarce.append(f"{shown_size(room)} left for {directory}")
    return ", ".join(scarce)


def expiring(credential: Credential | None, config: Config) -> str:
    """A warning if a credential may expire before a run ends."""
    soon = max(config.task_timeout or 0.0, SOON)
    if credential is None or not credential.ends_within(soon):
        return ""
    return f"{credential.shown}: a run may take longer"


def preflight_gate(gate: Gate, language: Language) -> None:
    """Check the tools of the language's own commands: with them, the commands pass in an empty directory."""
    defaults = tuple(step for step in gate.steps if step in language.gate())
    if not defaults:
        return
    with tempfile.TemporaryDirectory(prefix="cobbler-") as name:
        directory = Path(name)
        empty = directory / "empty"
        empty.mkdir(mode=0o755)
        if gate.sandbox.owner:
            os.chown(empty, *gate.sandbox.owner)
        result = replace(gate, steps=defaults).run(empty, directory / "gate.log", Cancellation())
    if not result.passed:
        raise UsageProblem(
            f"the gate cannot run: {result.summary} in an empty directory",
            "Add its tools to podman_image (or gate_image), or set build_command and test_command.",
            result.output,
        )


def preflight_programs(gate: Gate, language: Language) -> None:
    """Check that the programs of the configured commands exist; for a shell script, its first word.

    Raises:
        UsageProblem: a program is missing.
    """
    configured = [_program(step.argv) for step in gate.steps if step not in language.gate()]
    # A program with a path may come from the checkout.
    programs = [program for program in configured if program and "/" not in program]
    missing: list[bytes] = []
    if programs and not _run(gate, ("sh", "-c", _LOOKS, "sh", *programs), missing):
        raise UsageProblem(
            f"the gate cannot run: its sandbox does not have {b' '.join(missing).decode('utf-8', 'replace')}",
            "Add it to podman_image (or gate_image), or set build_command and test_command.",
        )


def _program(argv: tuple[str, ...]) -> str:
    """The program that a command runs first; empty if it is not a plain word."""
    if argv[:2] != ("sh", "-c") or len(argv) != 3:
        return argv[0]
    words = argv[2].split(None, 1)
    return words[0] if words and re.fullmatch(r"[A-Za-z0-9_.+-]+", words[0]) else ""


def reserved_modules(gate: Gate, language: Language) -> frozenset[str]:
    """Modules that the gate's tools load by their names. No file of the tree may replace one."""
    lines: list[bytes] = []
    if not gate.steps or not language.lists_modules or not _run(gate, language.lists_modules, lines):
        return frozenset()
    return frozenset(line.decode("utf-8", "replace").strip() for line in lines) - {""}


def _run(gate: Gate, argv: tuple[str, ...], lines: list[bytes]) -> bool:
    job = Job(
        name="preflight-gate",
        argv=argv,
        workdir="/",
        environment=dict(gate.environment),
        limits=_PATIENCE,
        image=gate.image,
        arguments=gate.arguments,
        on_line=lines.append,
    )
    return gate.sandbox.run(job).ok
