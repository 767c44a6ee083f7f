"""What is tried out in the sandbox before anything is spent."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.gate import Gate
from pytest_cobbler.languages import Language
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Capability, Job, Limits, Mount, Sandbox

_LOOKS = 'for program; do command -v -- "$program" >/dev/null || { echo "$program"; exit 1; }; done'
_PATIENCE = Limits(wall=120)


def preflight_work_dir(repository: Repository, sandbox: Sandbox) -> None:
    """See that a job can write where worktrees will lie.

    Raises:
        UsageProblem: it cannot, as when the image closes a directory above it.
    """
    for path in (repository.work_dir, *repository.object_stores):
        if ":" in str(path) and Capability.CONTAINMENT in sandbox.capabilities:
            raise UsageProblem(
                f"podman cannot mount {path}: there is a colon in it", "Move it, or set another work_dir."
            )
    repository.work_dir.mkdir(parents=True, exist_ok=True, mode=0o755)
    with tempfile.TemporaryDirectory(prefix="probe-", dir=repository.work_dir) as name:
        if sandbox.owner:
            os.chown(name, *sandbox.owner)
        completed = sandbox.run(
            Job(
                name="preflight-worktree",
                argv=("sh", "-c", 'echo >"$1/file"', "sh", name),  # by its whole path, as an agent would
                workdir=name,
                mounts=(Mount(source=Path(name), target=name, mode="rw"),),
                limits=Limits(wall=120),
            )
        )
    if not completed.ok:
        raise UsageProblem(
            f"jobs cannot work in {repository.work_dir}, where worktrees lie",
            "Set work_dir to a directory that the image does not close to others (it does so with /root).",
            completed.stderr,
        )


def preflight_gate(gate: Gate, language: Language) -> None:
    """The language's own commands pass on an empty directory wherever their tools are there."""
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
            f"the gate cannot run: {result.summary} on an empty directory",
            "Add its tools to podman_image (or gate_image), or set build_command and test_command.",
            result.output,
        )


def preflight_programs(gate: Gate, language: Language) -> None:
    """The programs of the configuration's own commands are there; what a shell is told is not looked into.

    Raises:
        UsageProblem: one is not.
    """
    own = [step.argv[0] for step in gate.steps if step not in language.gate()]
    asked = [program for program in own if "/" not in program]  # else it may be one of the checkout's
    missing: list[bytes] = []
    if asked and not _run(gate, ("sh", "-c", _LOOKS, "sh", *asked), missing):
        raise UsageProblem(
            f"the gate cannot run: there is no {b' '.join(missing).decode('utf-8', 'replace')} where it runs",
            "Add it to podman_image (or gate_image), or set build_command and test_command.",
        )


def reserved_modules(gate: Gate, language: Language) -> frozenset[str]:
    """Modules that the gate's tools load by their names: none in the tree may take the place of one."""
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
