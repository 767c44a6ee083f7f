"""The actions of ``--cobbler-ACTION`` that run no items; one module for each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import pytest

from pytest_cobbler.display import escaped_lines
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.invocation import escaping_output, refuse_arguments, refuse_idle_options

_MODULES = {"import": "importing"}
"""The modules of actions whose name is a word of Python's."""


def run(config: pytest.Config, actions: Sequence[str]) -> int:
    """Run the chosen action and return its exit code.

    Raises:
        pytest.UsageError: several actions were chosen, or the action failed.
    """
    if len(actions) > 1:
        names = " and ".join(f"--cobbler-{action}" for action in actions)
        raise pytest.UsageError(f"{names}: one action at a time")
    if config.getoption("collectonly", False):
        raise pytest.UsageError(
            f"--collect-only does not apply to --cobbler-{actions[0]}, which has no items"
        )
    module = import_module(f"pytest_cobbler.actions.{_MODULES.get(actions[0], actions[0])}")
    try:
        refuse_idle_options(config, actions[0])
        refuse_arguments(config, actions[0])
        with escaping_output():
            return int(module.run(config))
    except (CobblerError, OSError) as error:
        raise pytest.UsageError(escaped_lines(str(error))) from error
