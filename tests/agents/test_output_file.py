from __future__ import annotations

from pathlib import Path

from pytest_cobbler.agents.output_file import OutputFile


def test_lines_are_on_disk_as_soon_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "transcript.jsonl"

    with OutputFile(path) as recording:
        recording.write(b"one")
        recording.write(b"two \xff")

        assert path.read_bytes() == b"one\ntwo \xff\n"


def test_a_new_recording_replaces_an_old_one(tmp_path: Path) -> None:
    for line in (b"old and long", b"new"):
        with OutputFile(tmp_path / "stderr.txt") as recording:
            recording.write(line)

    assert (tmp_path / "stderr.txt").read_bytes() == b"new\n"


def test_a_recording_is_bounded_and_says_so(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "transcript.jsonl", limit=25) as recording:
        for _ in range(10):
            recording.write(b"123456789")

    lines = (tmp_path / "transcript.jsonl").read_bytes().splitlines()
    assert lines == [b"123456789", b"123456789", b'{"type": "cobbler", "subtype": "truncated"}']
