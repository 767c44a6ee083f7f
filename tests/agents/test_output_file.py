from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cobbler.agents.output_file import OutputFile


def test_lines_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "transcript.jsonl"

    with OutputFile(path) as recording:
        recording.write(b"one\n")
        recording.write(b"two \xff\n")

        assert path.read_bytes() == b"one\ntwo \xff\n"


def test_a_new_recording_replaces_an_old_one(tmp_path: Path) -> None:
    for line in (b"old and long\n", b"new\n"):
        with OutputFile(tmp_path / "stderr.txt") as recording:
            recording.write(line)

    assert (tmp_path / "stderr.txt").read_bytes() == b"new\n"


@pytest.mark.parametrize("together", [1, 2, 5, 10])
def test_a_recording_is_bounded_and_says_so(tmp_path: Path, together: int) -> None:
    with OutputFile(tmp_path / "transcript.jsonl", limit=25) as recording:
        for _ in range(0, 10, together):
            recording.write(b"123456789\n" * together)

    lines = (tmp_path / "transcript.jsonl").read_bytes().splitlines()
    assert lines == [b"123456789", b"123456789", b'{"type": "cobbler", "subtype": "truncated"}']
