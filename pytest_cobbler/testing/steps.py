"""The steps behind the fixtures of the plugin: one function for each fixture that a project can override."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config import Config, load
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.landing.gate import Gate
from pytest_cobbler.repository.generations import Generation, active_generations, find_generation, tip_of
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trailers import landed_tasks
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.testing.facts import ActiveGeneration, Tasks
from pytest_cobbler.tracker.base import Task
from pytest_cobbler.wiring.api import asks_api
from pytest_cobbler.wiring.languages import language_of
from pytest_cobbler.wiring.parts import NESTED, make_agent, make_gate, make_sandbox, make_tracker
from pytest_cobbler.wiring.project import open_repository

_MARK = "t"
"""Distinguishes the jobs of tests from those of runs, which would remove each other's jobs."""


@contextlib.contextmanager
def failing_tests() -> Iterator[None]:
    """Let an error that a user can fix fail the test with its message, without a traceback."""
    try:
        yield
    except CobblerError as error:
        pytest.fail(str(error), pytrace=False)


def read_config(path: Path) -> Config:
    with failing_tests():
        return load(path)


def open_project(request: pytest.FixtureRequest, path: Path) -> Repository:
    """The repository of the configuration at ``path``; skips if there is none."""
    if os.environ.get(NESTED):
        pytest.skip(f"this is a job of a run ({NESTED} is set): it has no repository to read")
    if not path.exists():
        pytest.skip(f"{path} does not exist")
    if not any((directory / ".git").exists() for directory in path.parents):
        pytest.skip(f"{path.parent} is not in a git repository")
    config: Config = request.getfixturevalue("cobbler_config")
    with failing_tests():
        return open_repository(config)


def read_tasks(request: pytest.FixtureRequest) -> Tasks:
    request.getfixturevalue("cobbler_repository")  # skips where there is no project
    config: Config = request.getfixturevalue("cobbler_config")
    with failing_tests():
        tracker = make_tracker(config, project_hooks(request.config, config))
        return Tasks(tracker.description, tuple(tracker.tasks()))


def read_active_generation(repository: Repository, config: Config, tasks: Tasks) -> ActiveGeneration:
    with failing_tests():
        generation = find_generation(repository, config.gen_prefix, config.generation_branch)
        if generation is None:
            pytest.skip("no generation is active; start one: pytest --cobbler-start")
        tip = tip_of(repository, generation)
        landed = landed_tasks(repository, f"{generation.first}..{tip}")
        others = set(active_generations(repository, config.gen_prefix)) - {generation.name}
        return ActiveGeneration(
            name=generation.name,
            base=generation.base,
            start=generation.start,
            tip=tip,
            tasks=tuple(t for t in tasks if t.id in landed or _belongs(t, generation, config, others)),
            landed=tuple(landed.values()),
        )


def _belongs(task: Task, generation: Generation, config: Config, others: set[str]) -> bool:
    if task.type != "task" or others & set(task.labels):
        return False
    wanted = not config.task_label or config.task_label in task.labels
    return generation.name in task.labels or (wanted and task.status != "closed")


def make_runner_sandbox(repository: Repository, config: Config) -> Sandbox:
    with failing_tests():
        return make_sandbox(config, repository, secrets.token_hex(4), _MARK)


def make_runner_agent(pytestconfig: pytest.Config, config: Config) -> Agent:
    with failing_tests():
        return project_hooks(pytestconfig, config).agent() or make_agent(config, secrets.token_hex(4))


def may_cost(pytestconfig: pytest.Config, config: Config) -> bool:
    """Whether the agent asks an API, comes from a hook, or is a command that gets a credential."""
    with failing_tests():
        if asks_api(config) or project_hooks(pytestconfig, config).agent():
            return True
        return bool(make_agent(config, "").secrets)


def make_runner_gate(
    pytestconfig: pytest.Config, repository: Repository, config: Config, sandbox: Sandbox
) -> Gate:
    with failing_tests():
        hooks = project_hooks(pytestconfig, config)
        return make_gate(
            config,
            language_of(config, repository),
            sandbox,
            secrets.token_hex(4),
            hooks.gate,
            directory=repository.directory.path,
        )
