"""A recording follows a run like any other listener."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import AgentRequest, AgentResult
from pytest_cobbler.causes import Cause, Ending
from pytest_cobbler.listeners import AttemptEnd, LandingFailure, MeasureEnd
from pytest_cobbler.recordings.files import place_of, read_result
from pytest_cobbler.recordings.listener import RecordingListener
from pytest_cobbler.recordings.recorder import Recorder
from pytest_cobbler.sandbox.base import Completed
from pytest_cobbler.tracker.base import Task
from tests.support.repositories import UserRepository, commit_files
from tests.support.repository_fixtures import no_git_of_ours, template, tmp_path, user
from tests.support.workplaces import Workplace

__all__ = ["no_git_of_ours", "template", "tmp_path", "user"]

RESULT = AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=1.0, stderr=""))


class Bench:
    """A recording, its listener and one attempt."""

    def __init__(self, user: UserRepository, directory: Path) -> None:
        self.repository = user.open()
        self.base = user.git("rev-parse", "HEAD")
        self.recording = directory / "recording"
        self.recorder = Recorder(self.recording, "generation-1", str)
        self.listener = RecordingListener(self.recorder, self.repository)
        self.request = Workplace(directory / "place").request()

    def end(self, request: AgentRequest | None = None, **facts: str) -> None:
        tree = self.repository.tree_of(self.base)
        end = AttemptEnd(request=request or self.request, result=RESULT, tree=tree)
        self.listener.attempt_ended(replace(end, **facts))  # type: ignore[arg-type]

    @property
    def attempt(self) -> Path:
        return self.recording / place_of(self.request)


@pytest.fixture
def bench(user: UserRepository, tmp_path: Path) -> Bench:
    return Bench(user, tmp_path)


def test_an_attempt_is_in_the_recording_before_its_agent_starts(bench: Bench) -> None:
    bench.listener.attempt_begins(bench.request)
    assert read_result(bench.attempt, "").broken_off == "interrupted"


def test_the_change_is_kept_as_a_patch(bench: Bench) -> None:
    commit = commit_files(bench.repository, bench.base, {"hello.txt": "Hello\n"})
    bench.end(commit=commit)
    assert b"+Hello" in (bench.attempt / "change.patch").read_bytes()


def test_an_unreadable_change_is_withheld_and_reported_as_a_failure(bench: Bench) -> None:
    bench.end(commit="1" * 40)
    assert read_result(bench.attempt, "").withheld != ""
    assert len(bench.listener.failures()) == 1
    assert bench.listener.failures()[0].startswith("RECORDING: stitch/")


@pytest.mark.parametrize(("cause", "withheld"), [("refused", "refused: x"), ("agent", "")])
def test_work_that_is_refused_is_withheld(bench: Bench, cause: str, withheld: str) -> None:
    bench.end(cause=Cause(cause), summary="refused: x")
    assert read_result(bench.attempt, "").withheld == withheld


@pytest.mark.parametrize(
    ("cause", "broken_off"), [("cancelled", "cancelled"), ("landing", "landing"), ("gate", "")]
)
def test_a_landing_that_failed_for_other_reasons_breaks_the_attempt_off(
    bench: Bench, cause: str, broken_off: str
) -> None:
    bench.end(commit=commit_files(bench.repository, bench.base, {"hello.txt": "Hello\n"}))
    task = Task(id=bench.request.task_id, title=bench.request.title)
    bench.listener.not_landed(LandingFailure(task=task, number=1, cause=Cause(cause)))
    assert read_result(bench.attempt, "").broken_off == broken_off


def test_the_answer_of_a_measure_is_kept(bench: Bench) -> None:
    request = replace(bench.request, phase="measure", task_id="cycle-1")
    bench.listener.measure_ended(MeasureEnd(request=request, number=1, result=RESULT, answer=b"[]\n"))
    assert (bench.recording / "measure" / "cycle-1" / "1" / "tasks.json").read_bytes() == b"[]\n"
