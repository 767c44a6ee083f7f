"""The project's hooks, called so that what they do wrong is said as theirs."""

from __future__ import annotations

import re
import reprlib
import shlex
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import pytest

from pytest_cobbler.agents.base import Agent
from pytest_cobbler.config import Config
from pytest_cobbler.config.templates import Phase
from pytest_cobbler.cycle.hooks import Hooks
from pytest_cobbler.errors import CobblerError, HookProblem
from pytest_cobbler.languages.base import Step
from pytest_cobbler.tracker.base import Task, Tracker

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_CALLERS = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
_REMEDY = "That is a hook of your conftest.py, or of a plugin."
_HERE = str(Path(__file__).parent)
T = TypeVar("T")
_RAISED = (Exception, pytest.fail.Exception, pytest.skip.Exception)


def call(hook: Any, **arguments: Any) -> Any:
    """What the implementations of a hook give; ``pytest.exit`` passes through.

    Raises:
        HookProblem: one of them raised.
    """
    try:
        return hook(**arguments)
    except pytest.exit.Exception:
        raise
    except _RAISED as error:
        said = error.cause if isinstance(error, CobblerError) else f"{type(error).__name__}: {error}"
        cause, _, rest = f"hook {hook.name}: {said}".partition("\n")
        raise HookProblem(cause, _REMEDY, f"{rest}\n{_frames(error)}") from error


def _frames(error: BaseException) -> str:
    """The traceback from the hook on, without what called it."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not _CALLERS.search(f.filename) and not f.filename.startswith(_HERE)]
    return "".join(traceback.format_list(theirs))


def project_hooks(config: pytest.Config, settings: Config) -> Hooks:
    """The hooks of the conftests and plugins of this run, for rooms that know no pytest."""
    return _ProjectHooks(config, settings).as_callables()


class _ProjectHooks:
    def __init__(self, config: pytest.Config, settings: Config) -> None:
        self._hook = config.hook
        self._both = {"config": config, "settings": settings}
        self._settings = settings

    def as_callables(self) -> Hooks:
        return Hooks(
            tracker=self.tracker,
            agent=self.agent,
            gate=self.gate,
            takes=self.takes,
            prompt=self.prompt,
            command=self.command,
        )

    def tracker(self) -> Tracker | None:
        found: Tracker | None = call(self._hook.pytest_cobbler_tracker, **self._both)
        return _checked("pytest_cobbler_tracker", found, Tracker)

    def agent(self) -> Agent | None:
        found: Agent | None = call(self._hook.pytest_cobbler_agent, **self._both)
        return _checked("pytest_cobbler_agent", found, Agent)

    def gate(self, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        known = {step.name: list(step.argv) for step in steps}
        given = call(self._hook.pytest_cobbler_gate, **self._both, steps=dict(known))
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise _wrong("pytest_cobbler_gate", given, "names of steps and their commands")
        same = {step.name: step for step in steps}
        return tuple(
            same[name] if name in same and command == known[name] else _step(name, command)
            for name, command in given.items()
        )

    def takes(self, task: Task) -> bool:
        answers = call(self._hook.pytest_cobbler_take_task, **self._both, task=task)
        for answer in answers:
            if not isinstance(answer, bool):
                raise _wrong("pytest_cobbler_take_task", answer, "True, False or None")
        return all(answers)

    def prompt(self, phase: Phase, task: Task | None, attempt: int, prompt: str) -> str:
        given = call(
            self._hook.pytest_cobbler_prompt,
            settings=self._settings,
            phase=phase,
            task=task,
            attempt=attempt,
            prompt=prompt,
        )
        if given is None:
            return prompt
        if not isinstance(given, str) or not given.strip():
            raise _wrong("pytest_cobbler_prompt", given, "a text")
        return given

    def command(
        self, phase: Phase, task: Task | None, attempt: int, command: tuple[str, ...]
    ) -> tuple[str, ...]:
        given = call(
            self._hook.pytest_cobbler_agent_command,
            settings=self._settings,
            phase=phase,
            task=task,
            attempt=attempt,
            command=list(command),
        )
        if given is None:
            return command
        if not _is_command(given):
            raise _wrong(
                "pytest_cobbler_agent_command", given, "a program and its arguments as a list of texts"
            )
        return tuple(given)


def _checked(name: str, found: T | None, protocol: type) -> T | None:
    """``found``, if it has all that the protocol asks for."""
    asked = [word for word in vars(protocol) if not word.startswith("_")]
    if found is not None and (missing := [word for word in asked if not hasattr(found, word)]):
        raise _wrong(name, found, f"{protocol.__name__} of pytest-cobbler; it has no {', '.join(missing)}")
    return found


def _step(name: object, command: object) -> Step:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("pytest_cobbler_gate", name, "a step's name: a lower case word")
    if isinstance(command, str) and command.strip():
        return Step(name=name, argv=("sh", "-c", command), shown=command)
    if not isinstance(command, str) and _is_command(command):
        return Step(name=name, argv=tuple(command), shown=shlex.join(command))
    raise _wrong(
        "pytest_cobbler_gate", command, f"a command for {name}: a text for sh -c, or a list of texts"
    )


def _is_command(given: object) -> TypeGuard[Sequence[str]]:
    return (
        isinstance(given, list | tuple)
        and all(isinstance(word, str) and "\0" not in word for word in given)
        and bool(given and given[0])
    )


def _wrong(name: str, given: object, wanted: str) -> HookProblem:
    return HookProblem(f"hook {name} gave {reprlib.repr(given)}, not {wanted}", _REMEDY)
