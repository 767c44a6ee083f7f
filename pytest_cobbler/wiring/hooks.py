"""A project's changes to a run, as plain callables. The defaults change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config.go_templates import Phase
from pytest_cobbler.languages.base import Step
from pytest_cobbler.tracker.base import Task, Tracker


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """The hooks of a project; each may raise ``HookProblem``.

    ``tracker``, ``agent``: the project's own, or ``None``. ``chooses``: agent and model for a task, or for a
    measure (``None``), each empty if the hook leaves it open; ``None``: no answer. ``gate``: replacements for
    the given steps, or ``None``. ``takes``: whether a task may be worked on. ``prompt`` (phase, task,
    attempt, prompt) and ``command`` (phase, task, attempt, arguments) return their replacements. The threads
    of the items call these two; a measure has no task.
    """

    tracker: Callable[[], Tracker | None] = lambda: None
    agent: Callable[[], Agent | None] = lambda: None
    gate: Callable[[tuple[Step, ...]], tuple[Step, ...] | None] = lambda _steps: None
    takes: Callable[[Task], bool] = lambda _task: True
    chooses: Callable[[Task | None], tuple[str, str] | None] = lambda _task: None
    prompt: Callable[[Phase, Task | None, int, str], str] = lambda _phase, _task, _attempt, prompt: prompt
    command: Callable[[Phase, Task | None, int, tuple[str, ...]], tuple[str, ...]] = (
        lambda _phase, _task, _attempt, command: command
    )

    def left_out(self, tasks: Iterable[Task]) -> frozenset[str]:
        """Ids of the open tasks that the project leaves out."""
        open_tasks = (task for task in tasks if task.type == "task" and task.status == "open")
        return frozenset(task.id for task in open_tasks if not self.takes(task))


NO_HOOKS = Hooks()
