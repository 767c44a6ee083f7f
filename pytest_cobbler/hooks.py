"""The project's hooks, called so that an error in a hook names the hook."""

from __future__ import annotations

import contextlib
import inspect
import re
import reprlib
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard, TypeVar, cast

import pytest

from pytest_cobbler.agents.base import Agent, AgentRequest, AgentResult
from pytest_cobbler.config import Config
from pytest_cobbler.config.go_templates import Phase
from pytest_cobbler.errors import CobblerError, HookProblem, OutsideProblem
from pytest_cobbler.languages.base import Step
from pytest_cobbler.lifecycle.choices import ChoiceProblem, choice_of
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Sandbox
from pytest_cobbler.tracker.base import Claim, NewTask, Task, Tracker
from pytest_cobbler.wiring.hooks import Hooks

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_CALLERS = re.compile(r"[/\\](_pytest|pluggy)[/\\]")
_HERE = str(Path(__file__).parent)
_ENDS = (pytest.exit.Exception, KeyboardInterrupt)
"""How a hook may end the session."""

_Guarded = TypeVar("_Guarded")


def call(hook: Any, **arguments: Any) -> Any:
    """The answers of a hook's implementations; ``pytest.exit`` passes through.

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
    message = error.cause if isinstance(error, CobblerError) else _message(error)
    if isinstance(error, SystemExit):
        message = f"sys.exit({error.code!r}) was called; pytest.exit('why') ends a session"
    cause, _, rest = f"hook {hook.name}: {where}{message}".partition("\n")
    return kind(cause, _where(hook), f"{rest}\n{_frames(error)}")


def _message(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its __str__ belongs to the hook too, and may fail
        return type(error).__name__


def _where(hook: Any) -> str:
    """The files that implement the hook, or the plugin's name where the file is unknown."""
    places = []
    for implementation in hook.get_hookimpls():
        code = getattr(implementation.function, "__code__", None)
        places.append(f"{code.co_filename}:{code.co_firstlineno}" if code else implementation.plugin_name)
    return f"The hook is in {' or '.join(places)}"


def _frames(error: BaseException) -> str:
    """The part of the traceback that is in the hook."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [f for f in frames if not _CALLERS.search(f.filename) and not f.filename.startswith(_HERE)]
    return "".join(traceback.format_list(theirs))


def project_hooks(config: pytest.Config, settings: Config) -> Hooks:
    """The hooks of the conftests and plugins of this run, for rooms that do not import pytest."""
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
            chooses=self.chooses,
            prompt=self.prompt,
            command=self.command,
        )

    def tracker(self) -> Tracker | None:
        hook = self._hook.pytest_cobbler_tracker
        given = call(hook, **self._both)
        return None if given is None else _guarded(hook, given, Tracker, _OutsideTracker)

    def agent(self) -> Agent | None:
        hook = self._hook.pytest_cobbler_agent
        given = call(hook, **self._both)
        return None if given is None else _guarded(hook, given, Agent, _OutsideAgent)

    def gate(self, steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        commands = {step.name: list(step.argv) for step in steps}
        hook = self._hook.pytest_cobbler_gate
        given = call(hook, **self._both, steps=dict(commands))
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise _wrong(hook, given, "names of steps and their commands")
        same = {step.name: step for step in steps}
        return tuple(
            same[name] if name in same and command == commands[name] else _step(hook, name, command)
            for name, command in given.items()
        )

    def takes(self, task: Task) -> bool:
        hook = self._hook.pytest_cobbler_take_task
        answers = call(hook, **self._both, task=task)
        for answer in answers:
            if not isinstance(answer, bool):
                raise _wrong(hook, answer, "True, False or None")
        return all(answers)

    def chooses(self, task: Task | None) -> tuple[str, str] | None:
        hook = self._hook.pytest_cobbler_choose_agent
        given = call(hook, **self._both, task=task)
        if given is None:
            return None
        names = (given, "") if isinstance(given, str) else given
        if not isinstance(names, tuple) or len(names) != 2 or not all(isinstance(one, str) for one in names):
            raise _wrong(hook, given, "the name of an agent, or a tuple of its name and a model")
        try:
            choice_of(self._settings, *names)
        except ChoiceProblem as problem:
            raise _wrong(hook, given, f"a choice among those of the configuration: {problem.cause}") from None
        return names

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
    """An object from a hook; its errors are reported as errors of the hook."""

    def __init__(self, hook: Any, given: object) -> None:
        self._hook = hook
        self._given = given

    def has(self, name: str) -> bool:
        return bool(self._guarded(name, lambda: hasattr(self._given, name)))

    def value(self, name: str, wanted: Callable[[object], str] = lambda _given: "") -> Any:
        """An attribute; ``wanted`` returns what was expected, or an empty text if the value is right."""
        return self._checked(name, self._guarded(name, lambda: getattr(self._given, name)), wanted)

    def call(self, name: str, *values: object, wanted: Callable[[object], str] = lambda _given: "") -> Any:
        """The result of a method; ``wanted`` as for ``value``."""
        return self._checked(name, self._guarded(name, lambda: getattr(self._given, name)(*values)), wanted)

    def _guarded(self, name: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (*_ENDS, CobblerError):
            raise
        except BaseException as error:
            where = f"{name} of {type(self._given).__name__}: "
            raise _raised(self._hook, where, error, OutsideProblem) from error

    def _checked(self, name: str, given: object, wanted: Callable[[object], str]) -> object:
        if words := wanted(given):
            cause = f"{name} of {type(self._given).__name__} gave {reprlib.repr(given)}, not {words}"
            raise OutsideProblem(f"hook {self._hook.name}: {cause}", _where(self._hook))
        return given


class _OutsideAgent:
    """The agent of a hook, with the members of ``Agent`` only."""

    def __init__(self, outside: _Outside) -> None:
        self._outside = outside

    @property
    def description(self) -> str:
        return cast(str, self._outside.value("description", _is_text))

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self._outside.value("secrets", _are_texts))

    @property
    def proxied(self) -> bool:
        return bool(self._outside.value("proxied"))

    def preflight(self, sandbox: Sandbox) -> None:
        self._outside.call("preflight", sandbox)

    def run(self, request: AgentRequest, sandbox: Sandbox, cancellation: Cancellation) -> AgentResult:
        result = self._outside.call("run", request, sandbox, cancellation, wanted=_is_result)
        return cast(AgentResult, result)


class _OutsideTracker:
    """The tracker of a hook, with the members of ``Tracker`` only."""

    def __init__(self, outside: _Outside) -> None:
        self._outside = outside

    @property
    def description(self) -> str:
        return cast(str, self._outside.value("description", _is_text))

    def tasks(self) -> list[Task]:
        return cast(list[Task], self._outside.call("tasks", wanted=_are_tasks))

    def comments(self) -> dict[str, tuple[str, ...]]:
        return cast(dict[str, tuple[str, ...]], self._outside.call("comments"))

    def prepare(self) -> None:
        self._outside.call("prepare")

    def create(self, tasks: Sequence[NewTask]) -> dict[str, str]:
        return cast(dict[str, str], self._outside.call("create", tasks))

    def claim(self, task_id: str, claim: Claim) -> None:
        self._outside.call("claim", task_id, claim)

    def release(self, task_id: str, comment: str = "", label: str = "") -> None:
        self._outside.call("release", task_id, comment, *([label] if label else []))

    def reopen(self, task_id: str, comment: str = "") -> None:
        self._outside.call("reopen", task_id, comment)

    def comment(self, task_id: str, text: str) -> None:
        self._outside.call("comment", task_id, text)

    def close(self, task_id: str, reason: str) -> None:
        self._outside.call("close", task_id, reason)


def _is_result(given: object) -> str:
    return "" if isinstance(given, AgentResult) else "an AgentResult (pytest_cobbler.api)"


def _are_tasks(given: object) -> str:
    is_list = isinstance(given, list) and all(isinstance(task, Task) for task in given)
    return "" if is_list else "a list of Task (pytest_cobbler.api)"


def _is_text(given: object) -> str:
    return "" if isinstance(given, str) else "a text"


def _are_texts(given: object) -> str:
    is_tuple = isinstance(given, tuple | list) and all(isinstance(text, str) for text in given)
    return "" if is_tuple else "a tuple of texts"


def _guarded(hook: Any, given: object, protocol: type, guard: Callable[[_Outside], _Guarded]) -> _Guarded:
    """``given`` behind its ``guard``, if it has every member of ``protocol``."""
    name = f"{protocol.__name__} of pytest-cobbler"
    if isinstance(given, type):
        raise _wrong(hook, given, f"{name}, but a class: give an instance, {given.__name__}(...)")
    members = {word: kind for word, kind in vars(protocol).items() if not word.startswith("_")}
    outside = _Outside(hook, given)
    if missing := [word for word in members if not outside.has(word)]:
        raise _wrong(hook, given, f"{name}; it has no {', '.join(missing)}")
    guarded = guard(outside)
    for word, kind in members.items():
        if not inspect.isfunction(kind):
            getattr(guarded, word)  # fails if the value is of another kind
        elif why := _signature_problem(getattr(given, word), kind):
            raise _wrong(hook, given, f"{name}: {word} {why}")
    return guarded


def _signature_problem(method: object, asked: Callable[..., object]) -> str:
    """Why ``method`` cannot take the arguments of ``asked`` after ``self``; empty if it can."""
    if not callable(method):
        return "is not a method"
    _, *parameters = inspect.signature(asked).parameters
    with contextlib.suppress(ValueError):  # its signature is unknown
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
