"""What a project's pytest has switched on for its tests, and is off while agents work.

A generation session runs no test of the project in this process: measuring its coverage would only miss the
threshold, and the items cannot be distributed.
"""

from __future__ import annotations

import math
import os
import shlex

import pytest

_SELECTING = ("-m", "-k", "--deselect", "--lf", "--last-failed", "--sw", "--stepwise")


def stop_coverage(early_config: pytest.Config) -> None:
    """Keep pytest-cov from measuring, and from removing what it measured last; called before it begins."""
    options = early_config.known_args_namespace
    if hasattr(options, "no_cov"):
        options.no_cov = True


def turn_off(config: pytest.Config) -> list[str]:
    """Turn off what would break the session; a line for each thing that was on."""
    said = []
    option = config.option
    if getattr(option, "dist", "no") != "no" or getattr(option, "tx", None):
        option.dist, option.tx, option.numprocesses = "no", [], None
        said.append("-n is ignored: agents at once are set by jobs or --cobbler-jobs")
    if getattr(option, "cov_source", None):
        said.append("--cov is ignored: no test runs in this process")
    if getattr(option, "reruns", None) or getattr(option, "force_reruns", None):
        said.append("--reruns is ignored: max_attempts says how often a task is tried")
    if hasattr(option, "force_reruns"):
        option.force_reruns = 0  # which no mark and no mode adds to
    if _has_session_timeout(config):
        option.session_timeout = math.inf
        said.append("session_timeout is ignored: it is for tests; task_timeout is for agents")
    option.fold_skipped = False  # so that -rs names the tasks
    return said


def _has_session_timeout(config: pytest.Config) -> bool:
    """Whether pytest-timeout would end the session by what is configured, and not asked for in this call."""
    option = config.option
    if not hasattr(option, "session_timeout"):
        return False
    if any(word.startswith("--session-timeout") for word in map(str, config.invocation_params.args)):
        return False
    return option.session_timeout is not None or bool(config.getini("session_timeout"))


def marks(config: pytest.Config) -> list[pytest.MarkDecorator]:
    """What keeps plugins from doing to an item of ours what they do to tests, however they were loaded."""
    has = config.pluginmanager.hasplugin
    found = []
    if has("timeout") or has("pytest_timeout"):
        found.append(pytest.mark.timeout(0))  # a suite's timeout is not for agents
    if has("rerunfailures") or has("pytest_rerunfailures"):
        found.append(pytest.mark.flaky(reruns=0))  # it would run only the report again
    return found


def selecting_addopts(config: pytest.Config) -> str:
    """The options that every run gets, if one of them selects items; else empty."""
    given = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    selects = any(word.split("=")[0] in _SELECTING or word.startswith(("-m", "-k")) for word in given)
    return shlex.join(given) if selects else ""
