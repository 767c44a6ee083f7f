"""The file of a job, apart from the job's output and from other files."""

from __future__ import annotations

import io
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_cobbler.errors import SandboxError
from pytest_cobbler.sandbox import collecting
from pytest_cobbler.sandbox.collecting import Collected, CollectedFile, Separator, read_collected

TOKEN = b"abab"
BYTES = st.lists(st.sampled_from([b"a", b"b", b"\n", b"\0"]), max_size=12).map(b"".join)


def separated(*chunks: bytes) -> tuple[bytes, bytes | None]:
    """The output of the job and the file in a stream that arrives in ``chunks``."""
    output = io.BytesIO()
    collected = Collected(TOKEN)
    separator = Separator(TOKEN, output, collected)
    for chunk in chunks:
        separator.write(chunk)
    separator.close()
    return output.getvalue(), collected.content


class TestSeparator:
    @settings(max_examples=300, deadline=None)
    @given(
        BYTES,
        st.none() | BYTES,
        st.lists(st.integers(0, 32), max_size=6),
    )
    def test_output_and_file_arrive_whole_in_any_chunks(
        self, output: bytes, content: bytes | None, cuts: list[int]
    ) -> None:
        assume(TOKEN not in output + TOKEN[:3])
        assume(content is None or TOKEN not in content + TOKEN[:3])
        stream = output if content is None else output + TOKEN + content + TOKEN
        places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        assert separated(*(stream[begin:end] for begin, end in pairwise(places))) == (output, content)

    def test_lines_are_passed_on_before_their_end_is_known(self) -> None:
        lines: list[bytes] = []
        collected = Collected(TOKEN)
        separator = Separator(TOKEN, lines.append, collected)
        separator.write(b"one\ntwo\naba")
        assert lines == [b"one", b"two"]
        separator.close()
        assert (lines, collected.content) == ([b"one", b"two", b"aba"], None)

    def test_a_file_without_its_end_is_none(self) -> None:
        assert separated(b"out" + TOKEN + b"half") == (b"out", None)

    def test_a_file_that_is_too_large_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(collecting, "LARGEST", 10)
        assert separated(TOKEN + b"x" * 10 + TOKEN)[1] == b"x" * 10
        assert separated(TOKEN + b"x" * 11 + TOKEN)[1] is None
        assert separated(TOKEN, *[b"x" * 10] * 10, TOKEN)[1] is None


class TestPlace:
    @pytest.mark.parametrize(
        ("collect", "place"),
        [
            ("report.xml", ("/work", "", "report.xml")),
            ("./a//b/report.xml", ("/work", "a/b", "report.xml")),
            ("~/report.xml", ("/home", "", "report.xml")),
            ("~/a/r", ("/home", "a", "r")),
            ("a~/r", ("/work", "a~", "r")),
        ],
    )
    def test_a_path_below_a_directory(self, collect: str, place: tuple[str, str, str]) -> None:
        found = CollectedFile.of(collect, workdir="/work", home="/home")
        assert found
        assert (found.base, found.directory, found.name) == place

    @pytest.mark.parametrize("collect", ["/etc/passwd", "../x", "a/../x", "~//etc", "~/", ".", "a\0"])
    def test_other_paths_are_refused(self, collect: str) -> None:
        with pytest.raises(SandboxError, match="not a path below"):
            CollectedFile.of(collect, workdir="/work", home="/home")


class TestReading:
    def test_links_to_the_file_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "file").write_bytes(b"content")
        (tmp_path / "linked").symlink_to("real")
        (tmp_path / "link").symlink_to("real/file")
        os.link(tmp_path / "real" / "file", tmp_path / "hard")

        def read(collect: str) -> bytes | None:
            place = CollectedFile.of(collect, workdir=str(tmp_path), home="")
            assert place
            return read_collected(place)

        assert read("real/file") == read("hard") == b"content"
        assert [read(name) for name in ("linked/file", "link", "real", "none", "real/file/x")] == [None] * 5
