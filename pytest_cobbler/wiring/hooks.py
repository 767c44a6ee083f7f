"""What a project changes in a run: plain callables, by default of no effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config.templates import Phase
from pytest_cobbler.languages.base import Step
from pytest_cobbler.tracker.base import Task, Tracker


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The project's word where it has one; each may raise ``HookProblem``.

    ``tracker``, ``agent``: one from outside, or ``None``. ``gate``: the steps instead of those given, or
    ``None``. ``takes``: whether a task may be taken on. ``prompt`` (phase, task, attempt, prompt) and
    ``command`` (phase, task, attempt, arguments) give what is used instead; they are called by the threads
    of the items, and a measure has no task.
    """

    tracker: Callable[[], Tracker | None] = lambda: None
    agent: Callable[[], Agent | None] = lambda: None
    gate: Callable[[tuple[Step, ...]], tuple[Step, ...] | None] = lambda _steps: None
    takes: Callable[[Task], bool] = lambda _task: True
    prompt: Callable[[Phase, Task | None, int, str], str] = lambda _phase, _task, _attempt, prompt: prompt
    command: Callable[[Phase, Task | None, int, tuple[str, ...]], tuple[str, ...]] = (
        lambda _phase, _task, _attempt, command: command
    )

    def left_out(self, tasks: Iterable[Task]) -> frozenset[str]:
        """Ids of the open tasks that are not to be taken on."""
        asked = (task for task in tasks if task.type == "task" and task.status == "open")
        return frozenset(task.id for task in asked if not self.takes(task))


NO_HOOKS = Hooks()
