"""The informative part of a program's output."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_cobbler.display import CONTROL

EVIDENCE = 8_000
"""Characters of a gate's or an agent's output in one prompt."""


def informative(text: str, limit: int = EVIDENCE) -> str:
    """At most ``limit`` characters of a program's output: the lines around the first error, and the end."""
    lines = [_shortened(line) for line in _plain(text).strip("\n").split("\n")]
    if _size(lines) <= limit:
        return "\n".join(lines)
    start = max(0, next((number for number, line in enumerate(lines) if _ERROR.search(line)), 0) - 2)
    room = max(0, limit - 2 * len(_left_out(len(lines))) - 2)
    if _size(lines[start:]) <= room:
        tail = _fitting(lines[::-1], room)[::-1]
        shown = [_left_out(len(lines) - len(tail)), *tail]
    else:
        head = _fitting(lines[start:], room // 2)
        tail = _fitting(lines[::-1], room // 2)[::-1]
        before = [_left_out(start)] if start else []
        shown = [*before, *head, _left_out(len(lines) - start - len(head) - len(tail)), *tail]
    return "\n".join(shown)[-limit:]


def _left_out(count: int) -> str:
    return f"[... {count} lines left out ...]"


_LONGEST_LINE = 400
_ERROR = re.compile(
    r"(?<!no )(?<!\b0 )\b(\w*errors?|\w*exception|fail(ed|ures?)?|panic|fatal|traceback|undefined|cannot)\b",
    re.IGNORECASE,
)
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")


def _size(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _fitting(lines: Sequence[str], room: int) -> list[str]:
    taken = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    return taken


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 4]} ..."


def _plain(text: str) -> str:
    """Without colours, overwritten progress lines and control characters."""
    lines = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)
