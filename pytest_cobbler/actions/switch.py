"""``--cobbler-switch NAME``: choose the generation that commands work on."""

from __future__ import annotations

import sys

import pytest

from pytest_cobbler.actions import list as listing
from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import load
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.repository.generations import choose_generation
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Choose it; without a name, list them. The user's checkout stays as it is.

    Raises:
        CobblerError: the generation does not exist, the configuration names another, or a run is active.
    """
    name = str(config.getoption("cobbler_switch"))
    if not name:
        return listing.run(config, "--cobbler-switch")
    settings = load(configuration_path(config, "--cobbler-switch"))
    if settings.generation_branch and settings.generation_branch != name:
        raise UsageProblem(
            f"generation_branch: {settings.generation_branch} in {settings.path.name} takes precedence",
            "Remove or change that key.",
        )
    repository = open_repository(settings)
    with locked(settings, repository, "--cobbler-switch"):
        generation = choose_generation(repository, settings.gen_prefix, name)
    sys.stdout.write(f"Commands now work on {generation.name}, from {generation.base}.\n")
    return 0
