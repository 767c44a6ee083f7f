"""The end of a run on the terminal: what to do next, as commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.causes import Cause
from pytest_cobbler.cycle.outcome import Verdict
from pytest_cobbler.cycle.run import Run
from pytest_cobbler.display import escaped, escaped_lines, named
from pytest_cobbler.lifecycle.selection import NO_WORK, Selection
from pytest_cobbler.lifecycle.setting_aside import SET_ASIDE, WHY_SET_ASIDE
from pytest_cobbler.lifecycle.waiting import finished_work
from pytest_cobbler.repository import names
from pytest_cobbler.repository.kept_aside import kept_aside
from pytest_cobbler.session.nodes import AgentItem, StitchItem
from pytest_cobbler.session.titles import labelled

__all__ = ["LastLines", "next_steps"]

_MENDED: Mapping[Cause, str] = {
    Cause.ACCESS: "check the credential and its account (docs/troubleshooting.md)",
    Cause.MODEL: "name a model that the credential may use (model)",
    Cause.PROMPT: "shorten the documents of prompts (spec_globs), or choose a model with a larger window",
}
"""What a person has to do before agents are served again."""

_MOST = 3
"""Failed items that are named."""


class LastLines:
    """Prints lines below everything else, only pytest's counts come after them."""

    def __init__(self, lines: Callable[[], Sequence[str]]) -> None:
        self._lines = lines

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest's own short summary
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, object, object]:
        result = yield
        if lines := self._lines():
            terminalreporter.section("next", "-")
            for line in lines:
                terminalreporter.write_line(escaped_lines(line))
        return result


def next_steps(run: Run, selection: Selection, items: Sequence[AgentItem], here: Path) -> list[str]:
    """What a person may do after the run, with a command for each.

    Args:
        here: the directory in which the commands have to work.
    """
    verdicts = [item.outcome.verdict for item in items if item.outcome]
    failed = [item for item in items if item.outcome and item.outcome.verdict is Verdict.FAILED]
    commands = _Commands(run, here)
    lines = []
    for item in failed[:_MOST]:
        assert item.outcome is not None
        lines.append(f"{labelled(item.name, item.title)}: {escaped(item.outcome.summary)}")
        lines.append(f"To see what its agent did: {commands.show(item.name)}")
    if len(failed) > _MOST:
        lines.append(f"{len(failed) - _MOST} more failed: see the short summary")
    did_all = not selection.left and all(verdict.is_success for verdict in verdicts)
    deselected = run.open_tasks - {item.name for item in items if isinstance(item, StitchItem)}
    unfinished = not did_all or bool(deselected) or NO_WORK in selection.waiting.values()
    limits = [item.outcome for item in items if item.outcome and item.outcome.verdict is Verdict.LIMITED]
    unpaid = next((limit.summary for limit in limits if limit.cause is Cause.BUDGET), "")
    if "generation_budget_usd" in unpaid or "budget_tokens" in unpaid:
        lines.append(f"To go on with more money: raise it in the configuration, and {commands.resume}")
    elif unpaid:
        lines.append(f"To go on with more money: {commands.resume} --cobbler-budget USD")
    elif causes := {limit.cause for limit in limits} & {*_MENDED}:
        cause = min(causes)
        lines.append(f"To go on: {_MENDED[cause]}, and {commands.resume}")
    elif Verdict.LIMITED in verdicts:
        lines.append(f"To go on when the limit has ended: {commands.resume}")
    elif unfinished:
        lines += _waiting(run, items)
        what = "do the open tasks" if did_all else "try again what did not land"
        lines += [*_set_aside(failed), f"To {what}: {commands.resume}"]
    if run.project.tip() != run.project.generation.first:  # tasks of the base landed before
        lines.append(f"To look at what landed: {commands.diff}")
        if not unfinished:
            lines.append(f"To merge it into {run.project.generation.base}: {commands.stop}")
    lines += _work_aside(run, commands)
    if not unfinished:
        lines.append(f"To let agents propose more: {commands.resume}")
    return lines


def _waiting(run: Run, items: Sequence[AgentItem]) -> Iterator[str]:
    """The tasks whose agents had ended well when the run was stopped."""
    stopped = [
        item.task
        for item in items
        if isinstance(item, StitchItem) and item.outcome and item.outcome.verdict is Verdict.CANCELLED
    ]
    finished = finished_work(run.project.repository, run.project.generation, stopped)
    if waiting := [task_id for task_id, kept in finished.items() if kept.waited]:
        yield f"Finished work that waits for its gate: {named(waiting)}. No agent has to do it again."


def _set_aside(failed: Sequence[AgentItem]) -> Iterator[str]:
    """The tasks that further runs leave out."""
    outcomes = {item.name: item.outcome for item in failed if item.outcome}
    if aside := [name for name, outcome in outcomes.items() if WHY_SET_ASIDE in outcome.details.splitlines()]:
        yield f"Set aside: {named(aside)}. To try again what is set aside, remove the label {SET_ASIDE}."


def _work_aside(run: Run, commands: _Commands) -> Iterator[str]:
    """How to find work that is neither landed nor in a kept attempt."""
    if kept_aside(run.project.repository, run.project.generation.name):
        yield f"To list work that is only in a directory: {commands.list}"
    left = names.left_prefix(run.project.generation.name)
    if run.project.repository.list_refs(left.rstrip("/")):
        yield f"To list what agents left beside their files: {commands.git} for-each-ref {left}"


class _Commands:
    """The commands of a project, as they have to be written in a directory."""

    def __init__(self, run: Run, here: Path) -> None:
        config, generation = run.project.config, run.project.generation
        is_inside = here.resolve().is_relative_to(config.root.resolve())
        self._file = "" if is_inside else f" {shlex.quote(str(config.path))}"
        place = "" if is_inside else f" -C {shlex.quote(str(config.root))}"
        self.git = f"git{place}"
        self.diff = f"{self.git} diff {shlex.quote(f'{generation.base}...{generation.name}')}"
        self.stop = f"pytest --cobbler-stop{self._file}"
        self.resume = f"pytest --cobbler-resume{self._file}"
        self.list = f"pytest --cobbler-list{self._file}"

    def show(self, name: str) -> str:
        return f"pytest --cobbler-show {shlex.quote(name)}{self._file}"
