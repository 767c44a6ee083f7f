"""The agents that may work on an item of a run."""

from __future__ import annotations

from pytest_cobbler.cycle.run import Run
from pytest_cobbler.lifecycle.choices import Choice, choice_of, labelled
from pytest_cobbler.tracker.base import Task

__all__ = ["chosen_for"]


def chosen_for(run: Run, task: Task | None) -> Choice:
    """The choice of the project's hook; without one, that of the labels of the task (``None``: a measure).

    Raises:
        CobblerError: the hook failed, or it or a label names what the configuration does not.
    """
    config, names = run.project.config, run.parts.agents.names
    if not run.asks_agents:
        return Choice(agents=names)
    given = run.parts.hooks.chooses(task)
    choice = choice_of(config, *given) if given is not None else labelled(config, task.labels if task else ())
    # The agent of a hook is none of the configuration's, and works on everything.
    return choice if set(choice.agents) <= set(names) else Choice(agents=names)
