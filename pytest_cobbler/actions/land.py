"""``--cobbler-land BRANCH``: land a person's branch on the active generation, as agents' work lands."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.config import load
from pytest_cobbler.display import counted, escaped, escaped_lines, quoted
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.intake.landing import BranchEnd, land_branch
from pytest_cobbler.invocation import (
    announcer,
    configuration_path,
    ended_by_signals,
    overrides,
    warn_uncontained,
)
from pytest_cobbler.report.evidence import excerpt, informative


def run(config: pytest.Config) -> int:
    """Land the branch. 1 if it did not land or something else went wrong, 2 if it was interrupted.

    Raises:
        CobblerError: it cannot land, or the run cannot begin; nothing was changed.
    """
    settings = load(configuration_path(config, "--cobbler-land"), overrides(config))
    warn_uncontained(settings)
    try:
        with ended_by_signals():
            end = land_branch(
                settings,
                project_hooks(config, settings),
                str(config.getoption("cobbler_land")),
                force=bool(config.getoption("cobbler_force")),
                say=announcer(config),
                tell=_say,
            )
    except KeyboardInterrupt:
        _say("interrupted before the landing began: nothing was changed")
        return int(pytest.ExitCode.INTERRUPTED)
    for line in _lines(end):
        _say(line)
    return end.exit


def _lines(end: BranchEnd) -> Iterator[str]:
    name = escaped(end.branch.name)
    if end.commit:
        commits = counted(len(end.branch.commits), "commit")
        yield f"LANDED {name}, with {commits}, on {end.generation}: {end.commit[:12]}"
    else:
        word = "CANCELLED" if end.cause is Cause.CANCELLED else "FAILED"
        yield f"{word} {name}: {escaped(end.summary)}"
        is_gate = end.cause is Cause.GATE
        yield from (
            [quoted(excerpt(end.details) if is_gate else informative(end.details))] if end.details else []
        )
        yield from _next(end)
    if end.tests:
        yield f"tests: {end.tests}"
    yield from end.notes
    yield from end.failures
    yield end.report


def _next(end: BranchEnd) -> Iterator[str]:
    """What a person may do about a branch that did not land. It is as it was, and so is the generation."""
    again = f"pytest --cobbler-land {shlex.quote(end.branch.name)}"
    if end.cause is Cause.CONFLICT:
        yield f"Merge {end.generation} into the branch, in another worktree, and resolve the conflicts."
        yield f"Then: {again}"
    elif end.can_force:
        yield f"To land it in spite of that: {again} --cobbler-force"
    elif end.cause is Cause.CANCELLED:
        yield f"To try again: {again}"
    if end.log:
        yield f"The whole output of the gate: {end.log}"


def _say(line: str) -> None:
    sys.stdout.write(f"{escaped_lines(line)}\n")
    sys.stdout.flush()
