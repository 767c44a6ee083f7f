"""A recorder writes the work of agents, only into allowed directories."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_cobbler.agents.base import AgentResult
from pytest_cobbler.causes import Ending
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.recordings.files import read_head, read_result
from pytest_cobbler.recordings.names import RunNames
from pytest_cobbler.recordings.recorder import Recorder, check_place, refuse_places
from pytest_cobbler.recordings.turns import Point
from pytest_cobbler.sandbox.base import Completed
from tests.support.workplaces import Workplace

DONE = AgentResult(completed=Completed(status=0, cause=Ending.EXITED, seconds=1.0, stderr=""))


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path / "place")


# -- where


def test_a_new_or_empty_directory_is_accepted(tmp_path: Path) -> None:
    check_place(tmp_path, None)
    check_place(tmp_path / "a" / "b", None)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_recording_of_the_same_generation_is_accepted(tmp_path: Path, workplace: Workplace) -> None:
    Recorder(tmp_path, "generation-1", str).attempt(workplace.request(), DONE)
    (tmp_path / "README.md").touch()
    check_place(tmp_path, "generation-1")


@pytest.mark.parametrize("generation", ["generation-2", None])
def test_a_recording_of_another_generation_is_not_changed(
    tmp_path: Path, workplace: Workplace, generation: str | None
) -> None:
    Recorder(tmp_path, "generation-1", str).attempt(workplace.request(), DONE)
    with pytest.raises(UsageProblem, match="the recording of another generation, generation-1"):
        check_place(tmp_path, generation)
    check_place(tmp_path, generation, plays=True)


def test_a_recording_without_attempts_may_be_replaced(tmp_path: Path) -> None:
    Recorder(tmp_path, "generation-1", str)
    check_place(tmp_path, None)
    Recorder(tmp_path, "generation-2", str)
    assert read_head(tmp_path).generation == "generation-2"


@pytest.mark.parametrize("name", [".git", ".git/x", ".cobbler/a/b"])
def test_directories_of_other_programs_are_refused(tmp_path: Path, name: str) -> None:
    forbidden = [tmp_path / ".git", tmp_path / ".cobbler"]
    with pytest.raises(UsageProblem, match="recordings cannot be kept in"):
        refuse_places(tmp_path / name, forbidden)
    refuse_places(tmp_path / ".github", forbidden)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageProblem, match="a file is in the way"):
        check_place(tmp_path / name, None)


def test_a_directory_with_other_files_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageProblem, match=r"it contains other files: notes\.txt"):
        check_place(tmp_path, None)


def test_a_recording_of_another_version_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "recording.json").write_text('{"version": 2}')
    with pytest.raises(UsageProblem, match=r"recording\.json cannot be read"):
        check_place(tmp_path, None)


def test_a_path_that_cannot_be_created_is_refused() -> None:
    with pytest.raises(UsageProblem, match="--cobbler-record /proc/recording: "):
        check_place(Path("/proc/recording"), None)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_directory_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UsageProblem, match="Permission denied"):
        check_place(tmp_path / "closed", None)


# -- what


def test_a_credential_and_names_of_this_run_are_not_written(tmp_path: Path, workplace: Workplace) -> None:
    names = RunNames(work_dir=Path("/w/1"))
    names.learn(["t-1"])
    recorder = Recorder(
        tmp_path / "r", "generation-1", lambda text: text.replace("sk-secret", "[credential]"), names
    )
    workplace.transcript.parent.mkdir(parents=True)
    workplace.transcript.write_bytes(b'"cwd": "/w/1", \xff\n')
    result = AgentResult(completed=DONE.completed, error="sk-secret in /w/1", text="sk-secret")
    request = workplace.request("Use sk-secret for t-1 in /w/1")

    recorder.attempt(request, result)

    [attempt] = (tmp_path / "r" / "stitch").glob("*/1")
    assert (attempt / "prompt.md").read_text() == "Use [credential] for [task] in [work]"
    assert (attempt / "transcript.jsonl").read_bytes() == b'"cwd": "[work]", \xff\n'
    assert read_result(attempt, "").error == "[credential] in [work]"


def test_an_attempt_that_was_cancelled_is_broken_off(tmp_path: Path, workplace: Workplace) -> None:
    recorder = Recorder(tmp_path / "r", "generation-1", str)
    cancelled = Completed(status=137, cause=Ending.CANCELLED, seconds=1.0, stderr="")
    recorder.attempt(workplace.request(), AgentResult(completed=cancelled), change=b"half")
    [attempt] = (tmp_path / "r" / "stitch").glob("*/1")
    assert read_result(attempt, "").broken_off == "cancelled"
    assert (attempt / "change.patch").read_bytes() == b"half"


def test_an_attempt_whose_end_is_not_recorded_is_broken_off(tmp_path: Path, workplace: Workplace) -> None:
    Recorder(tmp_path / "r", "generation-1", str).begin(workplace.request("Write."))
    [attempt] = (tmp_path / "r" / "stitch").glob("*/1")
    assert read_result(attempt, "").broken_off == "interrupted"
    assert (attempt / "prompt.md").read_text() == "Write."


def test_the_order_continues_with_the_generation(tmp_path: Path) -> None:
    Recorder(tmp_path, "generation-1", str).note(Point("begin", "stitch/a", 1))
    Recorder(tmp_path, "generation-1", str).note(Point("land", "stitch/a", 1))
    assert read_head(tmp_path).order == ("begin stitch/a/1", "run 2", "land stitch/a/1")


def test_an_attempt_that_begins_again_is_ordered_by_its_last_beginning(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "generation-1", str)
    for point in (
        Point("begin", "stitch/a", 1),
        Point("begin", "stitch/b", 1),
        Point("begin", "stitch/a", 1),
    ):
        recorder.note(point)
    assert read_head(tmp_path).order == ("begin stitch/b/1", "begin stitch/a/1")


def test_a_full_disk_loses_no_work(tmp_path: Path, workplace: Workplace) -> None:
    recorder = Recorder(tmp_path / "r", "generation-1", str)
    (tmp_path / "r" / "stitch").write_text("in the way")
    recorder.attempt(workplace.request(), DONE)
    assert recorder.failures
