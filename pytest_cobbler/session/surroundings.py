"""What a project's pytest has switched on for its tests, and is off while agents work.

A generation session runs no test of the project in this process: measuring its coverage would only miss the
threshold, and the items cannot be distributed.
"""

from __future__ import annotations

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
    option.fold_skipped = False  # so that -rs names the tasks
    return said


def selecting_addopts(config: pytest.Config) -> str:
    """The options that every run gets, if one of them selects items; else empty."""
    given = [*config.getini("addopts"), *shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))]
    selects = any(word.split("=")[0] in _SELECTING or word.startswith(("-m", "-k")) for word in given)
    return shlex.join(given) if selects else ""
