"""``--cobbler-stop``: merge the generation into its base, tag both, and delete its branch."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from pytest_cobbler.actions.clean_nodes import line_of_unreached
from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import Config, load
from pytest_cobbler.display import counted, escaped_lines
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path, overrides, warn_uncontained
from pytest_cobbler.lifecycle.stopping import Resolve, Stopped, stop
from pytest_cobbler.repository.merging import NotMerged
from pytest_cobbler.tracker.lane import DRAIN, TrackerLane
from pytest_cobbler.wiring.hooks import Hooks
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Stop the generation. 1 if it cannot be merged, the tracker failed, or nodes have work.

    Raises:
        CobblerError: a precondition failed and nothing was changed, or the same command completes it.
    """
    settings = load(configuration_path(config, "--cobbler-stop"), overrides(config))
    warn_uncontained(settings)
    return carry_out(
        settings,
        project_hooks(config, settings),
        force=config.getoption("cobbler_force"),
        accept_deletions=config.getoption("cobbler_accept_deletions"),
        resolve=config.getoption("cobbler_resolve"),
    )


def carry_out(
    settings: Config, hooks: Hooks, *, force: bool, accept_deletions: bool, resolve: Resolve | None
) -> int:
    """Stop the generation with the given options; see :func:`run`."""
    repository = open_repository(settings)
    tracker = make_tracker(settings, hooks)
    ours = (settings.cobbler_dir, settings.beads_dir)
    with locked(settings, repository, "--cobbler-stop", ours):
        lane = TrackerLane(tracker)
        try:
            stopped = stop(
                settings,
                repository,
                lane,
                hooks,
                force=force,
                accept_deletions=accept_deletions,
                resolve=resolve,
                say=_say,
            )
        except NotMerged as error:
            _say(str(error))
            return int(pytest.ExitCode.TESTS_FAILED)
        finally:
            lane.close(DRAIN)
    unreached = stopped.unreached if stopped else ()
    for line in (
        *_lines(stopped),
        *(f"TRACKER: {failure.call}: {failure.error}" for failure in lane.failures),
        *map(line_of_unreached, unreached),
    ):
        _say(line)
    return int(pytest.ExitCode.TESTS_FAILED if lane.failures or unreached else pytest.ExitCode.OK)


def _say(line: str) -> None:
    sys.stdout.write(f"{escaped_lines(line)}\n")
    sys.stdout.flush()


def _lines(stopped: Stopped | None) -> Iterator[str]:
    if stopped is None:
        yield "No generation is active."
        return
    yield from (f"recovered: {line}" for line in stopped.recovered)
    tasks = counted(stopped.landed, "task")
    if stopped.is_new:
        yield f"Merged {stopped.name}, with {tasks}, into {stopped.base}: {stopped.merge[:12]}."
    else:
        yield f"{stopped.base} already has {stopped.name}, with {tasks}: {stopped.merge[:12]}."
    yield f"Tags: {', '.join(stopped.tagged.tags)}."
    yield from stopped.tagged.notes
    if stopped.open:
        yield f"Unfinished tasks, left for the next generation: {', '.join(stopped.open)}."
    yield from stopped.cleaned.lines()
