"""The last lines of what failed: of its gate, or of its agent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pytest_cobbler.agents.streams.choose import reader_for
from pytest_cobbler.display import one_line
from pytest_cobbler.files import read_tail
from pytest_cobbler.report.evidence import excerpt
from pytest_cobbler.story.following import place_of, transcript_of
from pytest_cobbler.story.model import Item

__all__ = ["last_lines"]

_MOST: Final = 8
_END: Final = 50_000
"""Bytes of a transcript that are read."""


def last_lines(directory: Path, item: Item) -> list[str]:
    """The telling lines of the output of a failed item, each behind a bar; none if nothing is left of it.

    Args:
        directory: that of the generation.
    """
    attempt = item.attempt
    if item.outcome != "failed" or attempt is None:
        return []
    if attempt.gates and not attempt.gates[-1].passed:
        text = read_tail(place_of(directory, item, attempt) / "gate.log")
    else:
        text = read_tail(place_of(directory, item, attempt) / "stderr.txt").strip()
        text = text or "\n".join(_steps(transcript_of(directory, item, attempt)))
    lines = [line for line in excerpt(text, _MOST).split("\n") if line.strip()]
    return [f"  | {one_line(line)}" for line in lines[-_MOST:]]


def _steps(transcript: Path) -> list[str]:
    steps: list[str] = []
    lines = read_tail(transcript, _END).encode("utf-8", "replace")
    if len(lines) >= _END:
        lines = lines.partition(b"\n")[2]  # the first one has no beginning
    reader_for(lines)(steps.append).feed(lines)
    return steps
