"""Options and plugins that a project uses for its tests and that are turned off while agents work.

A generation session runs no tests in this process. Coverage would only fall below the project's threshold,
and the items cannot be distributed to other processes.
"""

from __future__ import annotations

import math
import os
import shlex

import pytest

_SELECTING = ("-m", "-k", "--deselect", "--lf", "--last-failed", "--sw", "--stepwise")


def stop_coverage(early_config: pytest.Config) -> None:
    """Keep pytest-cov from measuring and from removing its last data. Called before pytest-cov starts."""
    options = early_config.known_args_namespace
    if hasattr(options, "no_cov"):
        options.no_cov = True


def turn_off(config: pytest.Config) -> list[str]:
    """Turn off whatever would break the session; return a line for each."""
    lines = []
    option = config.option
    if getattr(option, "dist", "no") != "no" or getattr(option, "tx", None):
        option.dist, option.tx, option.numprocesses = "no", [], None
        lines.append("-n is ignored: jobs or --cobbler-jobs sets the number of agents")
    if getattr(option, "cov_source", None):
        lines.append("--cov is ignored: no test runs in this process")
    if _has_session_timeout(config):
        option.session_timeout = math.inf
        lines.append("session_timeout is ignored: it applies to tests; use task_timeout for agents")
    option.fold_skipped = False  # so that -rs names the tasks
    return lines


def _has_session_timeout(config: pytest.Config) -> bool:
    """Whether the project's configuration lets pytest-timeout end the session.

    A ``--session-timeout`` on this command line stays in force.
    """
    option = config.option
    if not hasattr(option, "session_timeout"):
        return False
    if any(word.startswith("--session-timeout") for word in map(str, config.invocation_params.args)):
        return False
    return option.session_timeout is not None or bool(config.getini("session_timeout"))


def marks(config: pytest.Config) -> list[pytest.MarkDecorator]:
    """Marks that keep plugins from treating our items like tests."""
    has = config.pluginmanager.hasplugin  # by either name: they differ with the way a plugin was loaded
    decorators = []
    if has("timeout") or has("pytest_timeout"):
        decorators.append(pytest.mark.timeout(0))  # the timeout of a test suite is too short for agents
    return decorators


def selecting_addopts(config: pytest.Config) -> str:
    """The options that every pytest run of the project gets, if one of them selects items; else empty."""
    options = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    selects = any(word.split("=")[0] in _SELECTING or word.startswith(("-m", "-k")) for word in options)
    return shlex.join(options) if selects else ""
