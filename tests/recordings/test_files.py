"""A recording is data that may come from anyone, so its files are checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.recordings.files import (
    HEAD,
    RESULT,
    RecordingError,
    order_of,
    read_head,
    read_result,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"replaced": ["../../victim"]},
        {"replaced": ["/etc/passwd"]},
        {"replaced": [""]},
        {"usage": {"tokens_input": -5}},
        {"usage": {"cost_usd": float("nan")}},
        {"usage": {"seconds": float("inf")}},
    ],
)
def test_an_invalid_result_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / RESULT).write_text(json.dumps({"title": "t", "usage": {}} | changes))
    with pytest.raises(RecordingError, match=r"cannot be read: (replaced|usage)"):
        read_result(tmp_path, "x")


def test_names_are_shown_as_one_line(tmp_path: Path) -> None:
    (tmp_path / RESULT).write_text(json.dumps({"title": "t", "usage": {"model": "a\x1b[31m\nb"}}))
    assert read_result(tmp_path, "x").usage.model == "a\\x1b[31m b"


@pytest.mark.parametrize("place", ["stitch", "prompt.md"])
def test_links_are_refused(tmp_path: Path, place: str) -> None:
    recording = tmp_path / "recording"
    recording.mkdir()
    (recording / HEAD).write_text(json.dumps({"generation": "g"}))
    assert read_head(recording).generation == "g"
    (recording / place).symlink_to(tmp_path)
    with pytest.raises(UsageProblem, match="a recording must not contain links"):
        read_head(recording)


@pytest.mark.parametrize(
    "word",
    ["jump stitch/a/1", "begin stitch/a", "land", "begin stitch/../1", "land stitch/a/0", "run x"],
)
def test_an_order_with_unknown_words_is_refused(tmp_path: Path, word: str) -> None:
    (tmp_path / HEAD).write_text(json.dumps({"generation": "g", "order": ["begin stitch/a/1", word]}))
    with pytest.raises(UsageProblem, match=r"recording\.json cannot be read: order\.1: .*is not 'begin'"):
        read_head(tmp_path)


def test_an_order_with_a_point_twice_is_refused(tmp_path: Path) -> None:
    """A replay would wait for the second point for ever."""
    (tmp_path / HEAD).write_text(json.dumps({"generation": "g", "order": ["begin stitch/a/1"] * 2}))
    with pytest.raises(UsageProblem, match=r"recording\.json cannot be read: order: .* appears twice"):
        read_head(tmp_path)


def test_an_order_with_a_wrong_name_is_refused(tmp_path: Path) -> None:
    """The point was left out, and the replay took another order."""
    (tmp_path / HEAD).write_text(
        json.dumps({"generation": "g", "order": ["begin stitch/stoer/1", "begin stitch/b/1"]})
    )
    for name in ("store", "b"):
        (tmp_path / "stitch" / name / "1").mkdir(parents=True)
    with pytest.raises(UsageProblem, match=r"order: 'begin stitch/stoer/1' .* stitch/store is not in"):
        order_of(tmp_path)


def test_the_order_omits_tasks_without_a_recorded_attempt(tmp_path: Path) -> None:
    (tmp_path / HEAD).write_text(
        json.dumps({"generation": "g", "order": ["begin stitch/a/1", "begin stitch/b/1"]})
    )
    (tmp_path / "stitch" / "b").mkdir(parents=True)
    assert order_of(tmp_path) == ("begin stitch/b/1",)
