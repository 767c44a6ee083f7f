"""The informative part of a program's output."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_cobbler.display import CONTROL

EXCERPT = 20
"""Lines of a gate's output below a failure."""

EVIDENCE = 8_000
"""Characters of a gate's or an agent's output in one prompt."""


def informative(text: str, limit: int = EVIDENCE) -> str:
    """At most ``limit`` characters of a program's output: the lines around the first error, and the end."""
    lines = [_shortened(line) for line in plain(text).strip("\n").split("\n")]
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


def failing_line(text: str) -> str:
    """The line of a program's output that says best why it failed; empty if there is no output."""
    return telling_line(text) or next(reversed(_told(text)), "")


def telling_line(text: str) -> str:
    """The first line that names the failure; empty if no line is recognised."""
    lines = _told(text)
    for pattern in (*_TELLING, _ERROR):
        for number, line in enumerate(lines):
            if match := pattern.search(line):
                told = match["line"] if "line" in match.groupdict() else line
                logged = lines[number + 1 : number + 2] if pattern is _GO_TEST else []
                return ": ".join([told, *filter(_GO_LOG.match, logged)])
    return ""


def excerpt(text: str, most: int = EXCERPT) -> str:
    """At most ``most`` lines of a program's output: those around the first error, and the last ones."""
    lines = informative(text).split("\n")
    if len(lines) <= most:
        return "\n".join(lines)
    error = next((number for number, line in enumerate(lines) if _ERROR.search(line)), 0)
    half = (most - 2) // 2
    start = min(max(0, error - min(2, half // 3)), len(lines) - half)
    head = lines[start : min(start + half, len(lines) - half)]
    tail = lines[-half:]
    before = [_left_out(start)] if start else []
    between = len(lines) - start - len(head) - len(tail)
    return "\n".join([*before, *head, *([_left_out(between)] if between else []), *tail])


def _told(text: str) -> list[str]:
    """The lines of an output without blank ones and headings."""
    # pytest marks the lines of its own failures.
    lines = [" ".join(line.removeprefix("INTERNALERROR>").split()) for line in plain(text).split("\n")]
    return [
        _shortened(line)
        for line in lines
        if line and not _HEADING.fullmatch(line) and not _PASSED_ON.match(line)
    ]


def _left_out(count: int) -> str:
    return f"[... {count} lines left out ...]"


_LONGEST_LINE = 400
_ERROR = re.compile(
    r"(?<!no )(?<!\b0 )\b(\w*errors?|\w*exception|fail(ed|ures?)?|panic|fatal|traceback|undefined|cannot)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"[=_-]{2,} .* [=_-]{2,}|Traceback \(most recent call last\):")
_PASSED_ON = re.compile(
    r"g?make(\[\d+\])?: (\*\*\* \[.*\] (Error \d+|[A-Z].*)|\*\*\* Waiting for unfinished jobs.*|Leaving .*)$"
    r"|(ERROR: )?usage: "
    r"|npm (ERR!|error)|ninja: build stopped|error: (test|build) failed, to rerun|error: could not compile"
)
"""Lines that say only that something failed, of a program that ran another one, and usages."""
_GO_TEST = re.compile(r"^--- FAIL: (?P<line>\S+)")
_GO_LOG = re.compile(r"\S+\.go:\d+: ")
"""The line below that of a test: what it reported first."""
_TELLING = (
    # An error that is not that of an assertion, as Python and pytest print one.
    re.compile(r"^(E )?(?P<line>(?!AssertionError)[\w.]*(Error|Exception|NotFound|Warning): .+)"),
    # Of go's compiler and of go vet, with a column; lines that a test logs have none.
    re.compile(r"(?<!\S)(?P<line>\S+\.go:\d+:\d+: .+)"),
    re.compile(r"^(FAILED|ERROR) (?P<line>\S+( - .+)?)"),
    _GO_TEST,
    # Test Anything Protocol, and node --test.
    re.compile(r"^not ok \d+ (- )?(?P<line>.+)"),
    re.compile(r"^\u2716 (?P<line>(?!failing tests).+)"),
    # A compiler of C, and make and sh that lack a program.
    re.compile(r"^(?P<line>\S+:\d+(:\d+)?: (fatal )?error: .+)"),
    re.compile(r"^(?P<line>(g?make|\S*sh): .*: (No such file or directory|(command )?not found))$"),
)
"""The lines that tell most, the best kind first."""
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


def plain(text: str) -> str:
    """Without colours, overwritten progress lines and control characters."""
    lines = _ESCAPE_SEQUENCE.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]) for line in lines)
