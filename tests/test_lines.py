from __future__ import annotations

import pytest

from pytest_cobbler import lines
from pytest_cobbler.lines import LineSplitter, LinesTogether


def test_a_line_without_end_is_passed_on_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    pieces: list[bytes] = []
    splitter = LineSplitter(pieces.append)
    for chunk in (b"0123456789", b"ab", b"cd\nef", b"\n"):
        splitter.feed(chunk)
    splitter.close()
    assert pieces == [b"0123456789ab", b"cd", b"ef"]


def test_whole_lines_that_arrive_together_are_passed_on_together() -> None:
    passed: list[bytes] = []
    together = LinesTogether(passed.append)
    for chunk in (b"a\nb\nc", b"", b"d", b"e\n\nf"):
        together.write(chunk)
    together.close()
    together.close()
    assert passed == [b"a\nb\n", b"cde\n\n", b"f\n"]
