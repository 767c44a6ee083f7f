"""Hooks that a project may implement; pytest knows them in every run, so a conftest may always have them.

``settings`` is the validated ``configuration.yaml``. docs/hooks.md has an example of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from pytest_cobbler.agents.base import Agent
    from pytest_cobbler.config import Config
    from pytest_cobbler.cycle.outcome import Outcome
    from pytest_cobbler.tracker.base import Task, Tracker


@pytest.hookspec(firstresult=True)
def pytest_cobbler_tracker(config: pytest.Config, settings: Config) -> Tracker | None:
    """Give a tracker of your own; may be called more than once in a run.

    Its methods are called by one thread at a time, not by the main thread.
    """


@pytest.hookspec(firstresult=True)
def pytest_cobbler_agent(config: pytest.Config, settings: Config) -> Agent | None:
    """Give an agent of your own, instead of the one that the key ``agent`` names.

    Its ``run`` is called by several threads concurrently, never by the main thread.
    """


@pytest.hookspec(firstresult=True)
def pytest_cobbler_gate(
    config: pytest.Config, settings: Config, steps: dict[str, str | list[str]]
) -> dict[str, str | list[str]] | None:
    """Give the gate's steps in their order: name -> command, a text for ``sh -c`` or a list.

    ``steps`` are those of the configuration, or the language's. What is given is trusted as they are.
    """


def pytest_cobbler_take_task(config: pytest.Config, settings: Config, task: Task) -> bool | None:
    """Give False to leave an open task for another run; no answer adds a task."""


@pytest.hookspec(firstresult=True)
def pytest_cobbler_choose_agent(
    config: pytest.Config, settings: Config, task: Task | None
) -> str | tuple[str, str] | None:
    """Give the agent for a task, or an agent and its model, both among those of ``settings``.

    An empty name leaves the choice open; ``task`` is ``None`` in a measure. Called in the main thread, once
    for each item, before its first agent starts.
    """


@pytest.hookspec(firstresult=True)
def pytest_cobbler_prompt(
    settings: Config, phase: Literal["measure", "stitch"], task: Task | None, attempt: int, prompt: str
) -> str | None:
    """Give another prompt, which is used as it is; ``task`` is ``None`` in a measure.

    Called by the item's own thread, several concurrently: leave pytest and the terminal alone.
    """


@pytest.hookspec(firstresult=True)
def pytest_cobbler_agent_command(
    settings: Config,
    phase: Literal["measure", "stitch"],
    task: Task | None,
    attempt: int,
    command: Sequence[str],
) -> Sequence[str] | None:
    """Give another command line for an agent that is a program; it runs in the sandbox.

    Called by the item's own thread, several concurrently: leave pytest and the terminal alone.
    """


def pytest_cobbler_begin(item: pytest.Item) -> None:
    """The agent of ``item`` is about to start; called in the main thread.

    An exception fails the item before anything is spent on it; its task stays open.
    """


def pytest_cobbler_outcome(item: pytest.Item, outcome: Outcome) -> None:
    """An item has come to ``outcome``; called in the main thread, just before pytest reports the item.

    An exception fails the item, and no other; a task that has landed stays landed.
    """


def pytest_cobbler_reported(item: pytest.Item, outcome: Outcome) -> None:
    """pytest has reported the item; called in the main thread.

    It is too late to fail it: an exception is told in the summary, and the run exits with 1.
    """
