"""``--cobbler-import FILE``: show the tasks of a file, and create those that are new in the tracker."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import Config, load
from pytest_cobbler.cycle.proposals import normalised
from pytest_cobbler.display import counted, escaped_lines, one_line, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.intake.drafts import STDIN
from pytest_cobbler.intake.importing import Import, plan_import
from pytest_cobbler.intake.reading import LIMITS, read_source
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.repository.generations import find_generation
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Tracker
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Print the tasks that are new; with ``--cobbler-force``, create them.

    Raises:
        CobblerError: the file cannot be imported; nothing was written.
    """
    settings = load(configuration_path(config, "--cobbler-import"))
    given = str(config.getoption("cobbler_import"))
    if not given:
        raise UsageProblem("--cobbler-import: which file?", f"Give its path, or {STDIN} for standard input.")
    repository = open_repository(settings)
    tracker = make_tracker(settings, project_hooks(config, settings))
    if given == STDIN:
        name, raw = STDIN, _standard_input(config)
    else:
        name, raw = _file(config.invocation_params.dir / given, settings)
    source = read_source(name, raw)
    if not config.getoption("cobbler_force"):
        _show(plan_import(source, tracker.tasks()), given)
        return 0
    with locked(settings, repository, "--cobbler-import", (settings.cobbler_dir, settings.beads_dir)):
        _write(plan_import(source, tracker.tasks()), tracker, settings, repository)
    return 0


def _file(path: Path, settings: Config) -> tuple[str, bytes]:
    """The name by which the tasks of a file are known, and its content."""
    try:
        with path.open("rb") as file:
            raw = file.read(LIMITS.size + 1)
    except OSError as error:
        raise UsageProblem(
            f"--cobbler-import: cannot read {shown_path(path)}: {error.strerror}",
            f"Give the path of a file, or {STDIN} for standard input.",
        ) from error
    absolute, root = path.resolve(), settings.root.resolve()
    return str(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute), raw


def _standard_input(config: pytest.Config) -> bytes:
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:  # it has put an empty file in the place of standard input
        capture.suspend_global_capture(in_=True)
    return sys.stdin.buffer.read(LIMITS.size + 1)


def _show(plan: Import, given: str) -> None:
    _say([*_heading(plan), *(f"  {line}" for line in plan.lines()), *_left_out(plan)])
    if plan.new:
        where = "pipe the same text into " if given == STDIN else ""
        _say([f"Create them: {where}pytest --cobbler-import {shlex.quote(given)} --cobbler-force"])


def _write(plan: Import, tracker: Tracker, settings: Config, repository: Repository) -> None:
    generation = find_generation(repository, settings.gen_prefix, settings.generation_branch)
    new = plan.new_tasks(generation.name if generation else "", settings.task_label)
    ids = tracker.create(new) if new else {}
    created = [f"created {ids[task.key]}: {one_line(task.title)}" for task in new]
    _say([*_heading(plan), *created, *_left_out(plan)])
    if created:
        _say(["Do them: pytest --cobbler-generate --cobbler-cycles 0"])


def _heading(plan: Import) -> Iterator[str]:
    name = "standard input" if plan.source.name == STDIN else plan.source.name
    yield f"{name}: {counted(len(plan.new), 'new task')}" if plan.new else f"{name}: nothing new to import"


def _left_out(plan: Import) -> Iterator[str]:
    """What is not imported, and why."""
    yield from (f"not imported, because it is done: {one_line(name)}" for name in plan.source.done)
    for draft in plan.source.drafts:
        if task := plan.known.get(draft.index):
            is_renamed = normalised(draft.title) != normalised(task.title)
            note = f', with the title "{one_line(task.title)}"' if is_renamed else ""
            yield f"imported already as {task.id} ({task.status}){note}: {one_line(draft.title)}"


def _say(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{escaped_lines(line)}\n" for line in lines))
    sys.stdout.flush()
