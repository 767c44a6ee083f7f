"""What ``--cobbler-ACTION`` does when it is not a session of items; one module for each."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import pytest

from pytest_cobbler.errors import CobblerError

_FORMATTED = ("list", "switch", "stats")
"""Actions whose output is a table, or JSON."""


def run(config: pytest.Config, actions: Sequence[str]) -> int:
    """Carry out the one action asked for; its exit code.

    Raises:
        pytest.UsageError: several were asked for, or it cannot be done as things are.
    """
    if len(actions) > 1:
        names = " and ".join(f"--cobbler-{action}" for action in actions)
        raise pytest.UsageError(f"{names}: one action at a time")
    if config.getoption("collectonly", False):
        raise pytest.UsageError(f"--collect-only does not go with --cobbler-{actions[0]}, which has no items")
    if config.getoption("cobbler_record", None) is not None:
        raise pytest.UsageError(f"--cobbler-record goes with --cobbler-generate, not --cobbler-{actions[0]}")
    if config.getoption("cobbler_format", None) is not None and actions[0] not in _FORMATTED:
        raise pytest.UsageError(f"--cobbler-format does not go with --cobbler-{actions[0]}")
    for option in ("force", "resolve"):
        if config.getoption(f"cobbler_{option}", None) and actions[0] != "stop":
            raise pytest.UsageError(
                f"--cobbler-{option} goes with --cobbler-stop, not --cobbler-{actions[0]}"
            )
    module = import_module(f"pytest_cobbler.actions.{actions[0]}")
    try:
        return int(module.run(config))
    except (CobblerError, OSError) as error:
        raise pytest.UsageError(str(error)) from error
