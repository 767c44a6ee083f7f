"""Plugins that run an item again, such as those for flaky tests, are kept from our items.

The attempts of a task are limited by the configuration, and an item only reports work that is done: to run it
again would repeat the report, or end the session with an error. Such a plugin is recognised by its code: one
of the hooks around an item is in a module that runs the steps of items itself.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import pytest

__all__ = ["Hooks", "kept_away", "rerunners"]

_AROUND: Final = (
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
)
"""The hooks in which a plugin can run an item again."""

_STEPS: Final = frozenset(
    {
        "pytest_runtest_protocol",
        "pytest_runtest_setup",
        "pytest_runtest_call",
        "runtestprotocol",
        "call_and_report",
        "call_runtest_hook",
    }
)
"""The names by which a plugin's code runs the steps of an item."""

_LOADS: Final = frozenset({"LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"})

_FOUND: pytest.StashKey[dict[str, object]] = pytest.StashKey()


def rerunners(config: pytest.Config) -> dict[str, object]:
    """Name -> plugin that runs items itself. Call it when all plugins are configured."""
    if _FOUND not in config.stash:
        manager = config.pluginmanager
        found = {manager.get_name(plugin) or "": plugin for plugin in _around(manager) if _runs_items(plugin)}
        config.stash[_FOUND] = found
    return config.stash[_FOUND]


def kept_away(config: pytest.Config) -> list[str]:
    """The line of the header about them; none if there are none."""
    names = sorted(rerunners(config))
    return [f"ignored, because they run tests again: {', '.join(names)}"] if names else []


class Hooks:
    """The hooks of an item, without those of the plugins that run items again."""

    def __init__(self, hooks: Any, config: pytest.Config) -> None:
        self._hooks = hooks
        self._config = config

    def __getattr__(self, name: str) -> Any:
        caller = getattr(self._hooks, name)
        if name not in _AROUND or not (left_out := list(rerunners(self._config).values())):
            return caller
        applying = [implementation.plugin for implementation in caller.get_hookimpls()]
        manager = self._config.pluginmanager
        removed = [plugin for plugin in manager.get_plugins() if plugin in left_out or plugin not in applying]
        return manager.subset_hook_caller(name, removed)


def _around(manager: pytest.PytestPluginManager) -> list[object]:
    """The plugins with a hook around an item, except pytest's own and ours."""
    plugins: list[object] = []
    for name in _AROUND:
        for implementation in getattr(manager.hook, name).get_hookimpls():
            room = implementation.function.__module__.partition(".")[0]
            if room not in ("_pytest", "pytest_cobbler") and implementation.plugin not in plugins:
                plugins.append(implementation.plugin)
    return plugins


def _runs_items(plugin: object) -> bool:
    module = plugin if isinstance(plugin, ModuleType) else sys.modules.get(type(plugin).__module__)
    if module is None:
        return False
    return any(
        instruction.opname in _LOADS and instruction.argval in _STEPS
        for code in _codes(vars(module).values(), module.__name__)
        if not _STEPS.isdisjoint((*code.co_names, *code.co_freevars, *code.co_cellvars))  # few: dis is slow
        for instruction in dis.get_instructions(code)
    )


def _codes(values: Iterable[object], module: str) -> Iterator[CodeType]:
    """The code of functions and methods of the module of this name."""
    for value in values:
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, type) and value.__module__ == module:
            yield from _codes(vars(value).values(), module)
        elif isinstance(value, FunctionType) and value.__module__ == module:
            yield from _with_inner(value.__code__)


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
