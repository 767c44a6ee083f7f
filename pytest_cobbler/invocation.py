"""Where the configuration is, and what the command line sets in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.errors import UsageProblem

FILE = "configuration.yaml"


def configuration_path(config: pytest.Config, option: str) -> Path:
    """``configuration.yaml``: the one named on the command line, else the nearest one from here upwards.

    Raises:
        UsageProblem: there is none.
    """
    here = config.invocation_params.dir
    if config.args_source is config.ArgsSource.ARGS and config.args:
        named = (here / config.args[0].split("::")[0]).resolve()
        if named.name == FILE:
            return named
    for directory in (here, *here.parents):
        if (directory / FILE).exists():
            return (directory / FILE).resolve()
        if (directory / ".git").exists():
            break
    raise UsageProblem(
        f"{option}: there is no {FILE} here",
        f"Write one at the top of the repository (looked in {here} and above); at least: podman_image: NAME",
    )


def overrides(config: pytest.Config) -> dict[str, object]:
    """Keys that options set for this run."""
    names = {"cycles": "cobbler_cycles", "jobs": "cobbler_jobs", "max_issues": "cobbler_max_issues"}
    given = {key: config.getoption(option) for key, option in names.items()}
    return {key: value for key, value in given.items() if value is not None}
