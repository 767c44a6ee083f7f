"""``--cobbler-report``: make the report of a generation again, from all that still exists of it."""

from __future__ import annotations

import sys

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.publishing.gathering import generations_known
from pytest_cobbler.publishing.tasks import Tracked
from pytest_cobbler.publishing.writing import write_report
from pytest_cobbler.repository.generations import find_generation
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Write the files and print their place; changes nothing else and takes no lock of a run.

    Raises:
        CobblerError: there is no such generation, or git or the tracker failed.
    """
    settings = load(configuration_path(config, "--cobbler-report"))
    repository = open_repository(settings)
    tracker = make_tracker(settings, project_hooks(config, settings))
    tracked = Tracked(tasks=tracker.tasks(), comments=tracker.comments())
    known = generations_known(settings, repository, tracked)
    name = config.getoption("cobbler_report")
    if not name:
        active = find_generation(repository, settings.gen_prefix, settings.generation_branch)
        name = active.name if active else next(reversed(known), "")
    if name not in known:
        what = f"nothing is known of a generation {name}" if name else "there is no generation"
        raise UsageProblem(f"--cobbler-report: {what}", "List the generations: pytest --cobbler-list")
    sys.stdout.write(f"{escaped(str(write_report(settings, repository, name, tracked)))}\n")
    return 0
