"""Completes a recording of attempts whose run was killed, from the work that the next run recovered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_cobbler.causes import Cause
from pytest_cobbler.recordings.files import CHANGE, place_of_task
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.repository.attempts import KeptAttempt, kept_attempts, last_numbers
from pytest_cobbler.repository.landing import ExactPatch, exact_patch_of
from pytest_cobbler.repository.markers import marked_files
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.tracker.base import Task

_MISSED = "its run was killed during the harvest"


def record_interrupted(
    repository: Repository,
    generation: str,
    recorder: Recorder,
    tasks: Sequence[Task],
    trees: Mapping[str, str],
) -> None:
    """Complete the recording, after the recovery has kept the work.

    Args:
        trees: name of a dead run's worktree -> the tree that was checked out there.
    """
    titles = {task.id: task.title for task in tasks}
    for task_id in last_numbers(repository, generation).keys() & titles.keys():
        for kept in kept_attempts(repository, generation, task_id):
            place = place_of_task(titles[task_id]) / str(kept.number)
            if kept.cause is not Cause.INTERRUPTED or not recorder.has(place):
                continue
            if recorder.has(place / CHANGE):  # its agent had ended, and its landing had begun
                recorder.break_off(place, Cause.INTERRUPTED)
            elif tree := trees.get(f"{task_id}-{kept.number}"):
                recorder.break_off(place, Cause.INTERRUPTED, change=_change(repository, kept, tree))
            else:
                recorder.break_off(place, Cause.INTERRUPTED, withheld=_MISSED)


def _change(repository: Repository, kept: KeptAttempt, tree: str) -> ExactPatch:
    marked = marked_files(repository.objects, f"{kept.commit}^", tree)
    return exact_patch_of(repository, tree, kept.commit, replacing=marked)
