"""The project's hooks, called so that what they do wrong is said as theirs."""

from __future__ import annotations

import contextlib
import inspect
import re
import reprlib
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import pytest

from pytest_cobbler.agents.base import Agent, AgentResult
from pytest_cobbler.config import Config
from pytest_cobbler.config.templates import Phase
from pytest_cobbler.errors import CobblerError, HookProblem, OutsideProblem
from pytest_cobbler.languages.base import Step
from pytest_cobbler.tracker.base import Task, Tracker
from pytest_cobbler.wiring.hooks import Hooks

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_CALLERS = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
_HERE = str(Path(__file__).parent)
_ENDS = (pytest.exit.Exception, KeyboardInterrupt)
"""How a hook may end the session."""


def call(hook: Any, **arguments: Any) -> Any:
    """What the implementations of a hook give; ``pytest.exit`` passes through.

    Raises:
        HookProblem: one of them raised, or called ``sys.exit``.
    """
    try:
        return hook(**arguments)
    except _ENDS:
        raise
    except BaseException as error:
        raise _raised(hook, "", error, HookProblem) from error


def _raised(hook: Any, where: str, error: BaseException, kind: type[HookProblem]) -> HookProblem:
    said = error.cause if isinstance(error, CobblerError) else _said(error)
    if isinstance(error, SystemExit):
        said = f"sys.exit({error.code!r}), where pytest.exit('why') ends a session"
    cause, _, rest = f"hook {hook.name}: {where}{said}".partition("\n")
    return kind(cause, _where(hook), f"{rest}\n{_frames(error)}")


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own words are an implementation's, too
        return type(error).__name__


def _where(hook: Any) -> str:
    """The files that have the hook, or the names of plugins of which none is known."""
    places = []
    for implementation in hook.get_hookimpls():
        code = getattr(implementation.function, "__code__", None)
        places.append(f"{code.co_filename}:{code.co_firstlineno}" if code else implementation.plugin_name)
    return f"The hook is in {' or '.join(places)}"


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
        hook = self._hook.pytest_cobbler_tracker
        found: Tracker | None = _guarded(hook, call(hook, **self._both), Tracker, _TRACKER)
        return found

    def agent(self) -> Agent | None:
        hook = self._hook.pytest_cobbler_agent
        found: Agent | None = _guarded(hook, call(hook, **self._both), Agent, _AGENT)
        return found

    def gate(self, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        known = {step.name: list(step.argv) for step in steps}
        hook = self._hook.pytest_cobbler_gate
        given = call(hook, **self._both, steps=dict(known))
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise _wrong(hook, given, "names of steps and their commands")
        same = {step.name: step for step in steps}
        return tuple(
            same[name] if name in same and command == known[name] else _step(hook, name, command)
            for name, command in given.items()
        )

    def takes(self, task: Task) -> bool:
        hook = self._hook.pytest_cobbler_take_task
        answers = call(hook, **self._both, task=task)
        for answer in answers:
            if not isinstance(answer, bool):
                raise _wrong(hook, answer, "True, False or None")
        return all(answers)

    def prompt(self, phase: Phase, task: Task | None, attempt: int, prompt: str) -> str:
        hook = self._hook.pytest_cobbler_prompt
        given = call(
            hook,
            settings=self._settings,
            phase=phase,
            task=task,
            attempt=attempt,
            prompt=prompt,
        )
        if given is None:
            return prompt
        if not isinstance(given, str) or not given.strip():
            raise _wrong(hook, given, "a text")
        return given.encode("utf-8", "replace").decode()

    def command(
        self, phase: Phase, task: Task | None, attempt: int, command: tuple[str, ...]
    ) -> tuple[str, ...]:
        hook = self._hook.pytest_cobbler_agent_command
        given = call(
            hook,
            settings=self._settings,
            phase=phase,
            task=task,
            attempt=attempt,
            command=list(command),
        )
        if given is None:
            return command
        if not _is_command(given):
            raise _wrong(hook, given, "a program and its arguments as a list of texts")
        return tuple(given)


class _Outside:
    """What a hook gave, whose errors are said as the hook's.

    Args:
        results: method -> what it must give, in words, if that is not what it gave.
    """

    def __init__(self, hook: Any, given: object, results: Mapping[str, Callable[[object], str]]) -> None:
        self._hook = hook
        self._given = given
        self._results = results

    def __getattr__(self, word: str) -> Any:
        found = self._guard(word, lambda: getattr(self._given, word))
        if not callable(found):
            return self._checked(word, found)

        def called(*values: object, **named: object) -> object:
            return self._checked(word, self._guard(word, lambda: found(*values, **named)))

        return called

    def has(self, word: str) -> bool:
        return bool(self._guard(word, lambda: hasattr(self._given, word)))

    def _guard(self, word: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (*_ENDS, CobblerError):
            raise
        except BaseException as error:
            where = f"{word} of {type(self._given).__name__}: "
            raise _raised(self._hook, where, error, OutsideProblem) from error

    def _checked(self, word: str, given: object) -> object:
        if word in self._results and (wanted := self._results[word](given)):
            said = f"{word} of {type(self._given).__name__} gave {reprlib.repr(given)}, not {wanted}"
            raise OutsideProblem(f"hook {self._hook.name}: {said}", _where(self._hook))
        return given


def _is_result(given: object) -> str:
    return "" if isinstance(given, AgentResult) else "an AgentResult (pytest_cobbler.agents.base)"


def _are_tasks(given: object) -> str:
    is_list = isinstance(given, list) and all(isinstance(task, Task) for task in given)
    return "" if is_list else "a list of Task (pytest_cobbler.tracker.base)"


def _is_text(given: object) -> str:
    return "" if isinstance(given, str) else "a text"


def _are_texts(given: object) -> str:
    is_tuple = isinstance(given, tuple | list) and all(isinstance(text, str) for text in given)
    return "" if is_tuple else "a tuple of texts"


_AGENT = {"run": _is_result, "description": _is_text, "secrets": _are_texts}
_TRACKER = {"tasks": _are_tasks, "description": _is_text}


def _guarded(hook: Any, found: object, protocol: type, results: Mapping[str, Callable[[object], str]]) -> Any:
    """``found``, if it has all that the protocol asks for."""
    if found is None:
        return None
    name = f"{protocol.__name__} of pytest-cobbler"
    if isinstance(found, type):
        raise _wrong(hook, found, f"{name}, but a class: give an instance, {found.__name__}(...)")
    asked = {word: kind for word, kind in vars(protocol).items() if not word.startswith("_")}
    outside = _Outside(hook, found, results)
    if missing := [word for word in asked if not outside.has(word)]:
        raise _wrong(hook, found, f"{name}; it has no {', '.join(missing)}")
    for word, kind in asked.items():
        if not inspect.isfunction(kind):
            getattr(outside, word)  # says so if it is of another kind
        elif why := _not_called_so(getattr(found, word), kind):
            raise _wrong(hook, found, f"{name}: {word} {why}")
    return outside


def _not_called_so(method: object, asked: Callable[..., object]) -> str:
    """Why ``method`` cannot be called with the arguments that ``asked`` has beside ``self``; or nothing."""
    if not callable(method):
        return "is no method"
    _, *parameters = inspect.signature(asked).parameters
    with contextlib.suppress(ValueError):  # it has no signature that is known
        try:
            inspect.signature(method).bind(*parameters)
        except TypeError:
            return f"does not take ({', '.join(parameters)})"
    return ""


def _step(hook: Any, name: object, command: object) -> Step:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong(hook, name, "a step's name: a lower case word")
    if isinstance(command, str) and command.strip():
        return Step(name=name, argv=("sh", "-c", command), shown=command)
    if not isinstance(command, str) and _is_command(command):
        return Step(name=name, argv=tuple(command), shown=shlex.join(command))
    raise _wrong(hook, command, f"a command for {name}: a text for sh -c, or a list of texts")


def _is_command(given: object) -> TypeGuard[Sequence[str]]:
    return (
        isinstance(given, list | tuple)
        and all(isinstance(word, str) and "\0" not in word for word in given)
        and bool(given and given[0])
    )


def _wrong(hook: Any, given: object, wanted: str) -> HookProblem:
    return HookProblem(f"hook {hook.name} gave {reprlib.repr(given)}, not {wanted}", _where(hook))
