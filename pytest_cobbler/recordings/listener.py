"""Records the work of agents, as a listener of the run."""

from __future__ import annotations

from pytest_cobbler.agents.base import AgentRequest
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.errors import CobblerError
from pytest_cobbler.listeners import AttemptEnd, LandingFailure, MeasureEnd, RunListener
from pytest_cobbler.recordings.files import place_of, place_of_task
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.repository.landing import ExactPatch, exact_patch_of
from pytest_cobbler.repository.repository import Repository

__all__ = ["RecordingListener"]

_WITHHELD = (Cause.HARVEST, Cause.SANDBOX, Cause.REFUSED)
"""Causes of attempts whose work cannot be kept in a recording."""

_BROKEN_OFF = (Cause.CANCELLED, Cause.LANDING)
"""Causes of landings that failed for reasons other than the work."""


class RecordingListener(RunListener):
    """Passes attempts to a recorder."""

    def __init__(self, recorder: Recorder, repository: Repository) -> None:
        self._recorder = recorder
        self._repository = repository

    def failures(self) -> list[str]:
        return [f"RECORDING: {failure}" for failure in self._recorder.failures]

    def attempt_begins(self, request: AgentRequest) -> None:
        self._recorder.begin(request)

    def attempt_ended(self, end: AttemptEnd) -> None:
        change, withheld = ExactPatch(), ""
        if end.commit:
            try:
                # Conflict markers name commits, which differ in every run.
                change = exact_patch_of(self._repository, end.tree, end.commit, replacing=end.marked)
            except CobblerError as error:
                withheld = error.cause
                self._recorder.failures.append(f"{place_of(end.request)}: {error}")
        elif end.cause in _WITHHELD and end.result.completed.cause != Ending.CANCELLED:
            withheld = end.summary
        self._recorder.attempt(
            end.request, end.result, change=change.content, replaced=change.replaced, withheld=withheld
        )

    def not_landed(self, failure: LandingFailure) -> None:
        # The recording has the agent's end, but not its landing's.
        if failure.cause in _BROKEN_OFF:
            self._recorder.break_off(place_of_task(failure.task.title) / str(failure.number), failure.cause)

    def measure_ended(self, end: MeasureEnd) -> None:
        self._recorder.attempt(end.request, end.result, answer=end.answer, withheld=end.withheld)
