"""``--cobbler-show ID``: the attempts at a task or a measure, as a text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import pytest

from pytest_cobbler.config import Config, load
from pytest_cobbler.display import counted, escaped, escaped_lines
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.lifecycle.showing import Part, ShownAttempt, ShownItem, show
from pytest_cobbler.report.evidence import plain
from pytest_cobbler.repository.names import is_usable_task_id
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository

_MOST = 100
"""Lines of a part; with -v, all of them."""
_BEGINNING = 30
"""Lines of the beginning of a long prompt, which is the same for many tasks."""


def run(config: pytest.Config) -> int:
    """Print them, or the names of tasks and measures; changes nothing and takes no lock.

    Raises:
        CobblerError: there is no such item, or git or the tracker failed.
    """
    settings = load(configuration_path(config, "--cobbler-show"))
    repository = open_repository(settings)
    tracker = make_tracker(settings, project_hooks(config, settings))
    name = str(config.getoption("cobbler_show")).rpartition("::")[2]  # also of a node id
    if not name:
        sys.stdout.writelines(f"{escaped(line)}\n" for line in _known(settings, tracker.tasks()))
        return 0
    shown = show(settings, repository, tracker.tasks(), name) if is_usable_task_id(name) else None
    if shown is None:
        raise UsageProblem(
            f"--cobbler-show: there is no task or measure {name}",
            "List the tasks: pytest --cobbler-stats; open ones: pytest --cobbler-generate --collect-only",
        )
    most = None if config.get_verbosity() > 0 else _MOST
    sys.stdout.write("\n".join(_lines(shown, most)) + "\n")
    return 0


def _known(settings: Config, tasks: Sequence[Task]) -> Iterator[str]:
    """The names that the option takes: of tasks, and of measures with an attempt."""
    yield from (f"{task.id} {task.title} ({task.status})" for task in tasks if task.type == "task")
    yield from sorted({path.name for path in settings.cobbler_dir.glob("*/attempts/cycle-*")})


def _lines(shown: ShownItem, most: int | None) -> Iterator[str]:
    status = f" ({shown.status})" if shown.status else ""
    yield escaped(f"{shown.id} {shown.title}".rstrip() + status)
    if not shown.attempts:
        yield "No attempt was made, or nothing of one is left."
    for attempt in shown.attempts:
        yield ""
        yield from _lines_of(attempt, most)


def _lines_of(attempt: ShownAttempt, most: int | None) -> Iterator[str]:
    yield f"=== attempt {attempt.number} in {escaped(attempt.generation)}: {escaped(attempt.ending)}"
    yield from map(escaped, attempt.facts)
    for part in attempt.parts:
        yield ""
        if part.missing:
            yield f">> {part.name}: {escaped(part.missing)}"
            continue
        yield f">> {part.name} ({escaped(part.source)})"
        yield from _text(part, most)


def _text(part: Part, most: int | None) -> Iterator[str]:
    """The lines of a part. If there are too many, the first ones, but of a log the last ones.

    Of a prompt, some first and more last ones: there are the faults of the last attempt, and here the task.
    """
    lines = escaped_lines(plain(part.text)).strip("\n").split("\n")
    left_out = 0 if most is None else max(0, len(lines) - most)
    note = f"[... {counted(left_out, 'line')} left out; -v prints all ...]"
    if not left_out:
        yield from lines
    elif part.name == "gate log":
        yield from (note, *lines[left_out:])
    elif part.name == "prompt":
        yield from (*lines[:_BEGINNING], note, *lines[left_out + _BEGINNING :])
    else:
        yield from (*lines[: len(lines) - left_out], note)
