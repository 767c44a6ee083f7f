"""How long a command takes that has nothing to do, beside a pytest that has nothing to do.

    python -m benchmarks.startup [--rounds 3] [--image NAME] [--json FILE]

A rerun of `--cobbler-generate` after its only task has landed: without a sandbox, and with ``--image`` in
podman, with the embedded store and with bd where it is installed. `--cobbler-list` where Python may write no
bytecode, beside the same where it may. `--collect-only` with 10,000 open tasks, beside 1,000. The variants
take turns, so that a machine that slows down does so for all.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pytest_cobbler.testing.agent import StandInAgent
from pytest_cobbler.testing.project import Project

SIZES = (1_000, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--image", help="an image with git and sh; without it podman is left out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures = measured(options.rounds, options.image)
    for name, seconds in figures.items():
        print(f"{name:>32}: {seconds:.2f} s")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(rounds: int, image: str | None = None) -> dict[str, float]:
    """The median seconds of each command."""
    taken: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="cobbler-startup-") as directory, contextlib.ExitStack() as stack:
        commands = _commands(Path(directory), image, stack)
        for _ in range(rounds):
            for name, command in commands.items():
                began = time.monotonic()
                command()
                taken.setdefault(name, []).append(time.monotonic() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _commands(base: Path, image: str | None, stack: contextlib.ExitStack) -> dict[str, Callable[[], object]]:
    base.chmod(0o755)
    empty = base / "empty"
    empty.mkdir()
    bare = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(empty)]
    commands: dict[str, Callable[[], object]] = {
        "bare pytest": lambda: subprocess.run(bare, cwd=empty, stdout=subprocess.DEVNULL)
    }
    kinds: list[tuple[str, str | None, str]] = [("none", None, "embedded")]
    if image:
        kinds.append(("podman", image, "embedded"))
        kinds += [("bd and podman", image, "bd")] if shutil.which("bd") else []
    for name, used, tracker in kinds:
        project = _done(base / name.replace(" ", "-"), stack, used, tracker)
        commands[f"rerun, {name}"] = _command(project, "--cobbler-generate")
    plain = _done(base / "list", stack, None, "embedded")
    commands["list"] = _command(plain, "--cobbler-list")
    commands["list, no bytecode"] = _command(plain, "--cobbler-list", PYTHONDONTWRITEBYTECODE="1")
    for size in SIZES:
        full = _full(base / str(size), stack, size)
        commands[f"collect {size}"] = _command(full, "--cobbler-generate", "--collect-only", "-q")
    return commands


def _command(project: Project, *arguments: str, **env: str) -> Callable[[], object]:
    return lambda: project.run(*arguments, env=env, timeout=300)


def _done(base: Path, stack: contextlib.ExitStack, image: str | None, tracker: str) -> Project:
    """A project whose only task has landed."""
    agent = StandInAgent(base / "agent")
    agent.measure().writes_tasks([{"index": 0, "title": "Write", "description": "Write a file."}])
    agent.otherwise().runs("echo done >done.txt")
    project = stack.enter_context(Project.create(base / "project", agent))
    project.configure(tracker=tracker)
    if image:
        project.configure(
            sandbox="podman", podman_image=image, podman_args=agent.podman_arguments, agent_network="none"
        )
    result = project.run("--cobbler-generate", timeout=300)
    assert len(project.landed()) == 1, "\n".join([*result.outlines, *result.errlines])
    project.configure(cycles=0)
    return project


def _full(base: Path, stack: contextlib.ExitStack, size: int) -> Project:
    """A project with so many open tasks, of which some need others."""
    project = stack.enter_context(Project.create(base / "project", StandInAgent(base / "agent")))
    project.configure(cycles=0, max_issues=max(SIZES), tracker="embedded")
    beads = project.path / ".beads"
    beads.mkdir()
    (beads / ".gitignore").write_text("*\n")
    (beads / "issues.jsonl").write_text("".join(json.dumps(issue(n)) + "\n" for n in range(size)))
    return project


def issue(number: int) -> dict[str, object]:
    """An open task as beads has it; every fourth one needs another."""
    moment = {"created_at": "2026-01-02T03:04:05Z", "created_by": "jane"}
    needs = {"issue_id": f"p-{number:06x}", "depends_on_id": f"p-{number // 2:06x}", "type": "blocks"}
    return {
        "id": f"p-{number:06x}",
        "title": f"Task {number}",
        "description": "What there is to say of it. " * 10,
        "status": "open",
        "priority": 2,
        "issue_type": "task",
        "updated_at": "2026-01-02T03:04:05Z",
        **moment,
        **({"dependencies": [needs | moment]} if number and number % 4 == 0 else {}),
    }


if __name__ == "__main__":
    main()
