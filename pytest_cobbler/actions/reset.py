"""``--cobbler-reset``: abandon the active generations; a tag keeps the commits of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import pytest

from pytest_cobbler.actions.clean_nodes import line_of_unreached
from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import load
from pytest_cobbler.display import counted, escaped_lines
from pytest_cobbler.hooks import project_hooks
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.lifecycle.abandoning import Abandoned, abandon_all
from pytest_cobbler.repository.cleanup import remove_untracked
from pytest_cobbler.tracker.lane import DRAIN, TrackerLane
from pytest_cobbler.wiring.parts import make_tracker
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """Abandon them without changing base and checkout. 1 if the tracker failed, or nodes have work.

    Raises:
        CobblerError: a precondition failed and nothing was changed, or the same command completes it.
    """
    settings = load(configuration_path(config, "--cobbler-reset"))
    repository = open_repository(settings)
    hooks = project_hooks(config, settings)
    tracker = make_tracker(settings, hooks)
    ours = (settings.cobbler_dir, settings.beads_dir)
    with locked(settings, repository, "--cobbler-reset", ours):
        lane = TrackerLane(tracker)
        try:
            abandoned = abandon_all(settings, repository, lane, hooks)
            cleaned = remove_untracked(repository, settings.cleanup_dirs)
        finally:
            lane.close(DRAIN)
    unreached = [one for generation in abandoned for one in generation.unreached]
    lines = [
        *_lines(abandoned),
        *cleaned.lines(),
        *(f"TRACKER: {failure.call}: {failure.error}" for failure in lane.failures),
        *map(line_of_unreached, unreached),
    ]
    sys.stdout.write(escaped_lines("\n".join(lines)) + "\n")
    return int(pytest.ExitCode.TESTS_FAILED if lane.failures or unreached else pytest.ExitCode.OK)


def _lines(abandoned: Sequence[Abandoned]) -> Iterator[str]:
    if not abandoned:
        yield "No generation is active."
    for generation in abandoned:
        yield from (f"recovered: {line}" for line in generation.recovered)
        if generation.is_merged:
            yield f"{generation.name} is in its base already; its last commit is tagged {generation.tag}."
        else:
            tasks = counted(generation.landed, "task")
            yield f"Abandoned {generation.name}; its last commit, with {tasks}, is tagged {generation.tag}."
        yield from (f"Open again: {task.id} {task.title}" for task in generation.reopened)
        if generation.left:
            yield f"kept {generation.left}: it holds a merge with {generation.name} that a person has begun"
