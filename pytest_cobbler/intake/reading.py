"""A file with tasks, read by its format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pytest_cobbler.cycle.proposals import Limits, ProposalProblem, check, read
from pytest_cobbler.display import counted, escaped, escaped_lines
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.intake.checklists import read_markdown
from pytest_cobbler.intake.drafts import STDIN, Draft, Source

__all__ = ["LIMITS", "read_source", "unusable"]

LIMITS = Limits(items=Limits().tasks)
"""Those of a measure; but a task may need all tasks of the phase before it."""

_LOOKS_LIKE_JSON = re.compile(r"\s*(?:```json\s*)?\[\s*[{\]]")


def read_source(name: str, raw: bytes) -> Source:
    """The tasks of a file.

    Args:
        name: the path in the project, by which the tasks are known; ``STDIN`` for standard input.

    Raises:
        UsageProblem: it cannot be imported, with all errors, each with its line.
    """
    try:
        source = _read(name, raw)
        errors = list(check(source.drafts, LIMITS))
    except ProposalProblem as problem:
        errors = problem.errors
    if errors:
        raise unusable(name, errors)
    return source


def unusable(name: str, errors: list[str]) -> UsageProblem:
    """The error of a file with these errors."""
    shown = "standard input" if name == STDIN else name
    return UsageProblem(
        f"--cobbler-import: {escaped(shown)} has {counted(len(errors), 'error')}; nothing was imported",
        "Correct the file, and run the same command again.",
        "\n".join(map(escaped_lines, ProposalProblem(errors).errors)),
    )


def _read(name: str, raw: bytes) -> Source:
    if len(raw) > LIMITS.size:
        raise ProposalProblem([f"the file is larger than {LIMITS.size:,} bytes. Split it."])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ProposalProblem([f"line {line}: the file is not UTF-8. Write it as UTF-8."]) from error
    if name.lower().endswith(".json") or _LOOKS_LIKE_JSON.match(text):
        return Source(name=name, drafts=tuple(_of_json(raw, text)))
    return read_markdown(name, text, LIMITS)


def _of_json(raw: bytes, text: str) -> Iterator[Draft]:
    lines = list(_lines_of_entries(text))

    def where(position: int) -> str:
        return f"line {lines[position]}: " if position < len(lines) else ""

    for position, proposal in enumerate(read(raw, LIMITS, where)):
        line = lines[position] if position < len(lines) else 0
        yield Draft(**proposal.model_dump(), line=line)


def _lines_of_entries(text: str) -> Iterator[int]:
    """The lines in which the entries of an array begin; fewer, if it cannot be read to its end."""
    decoder, at = json.JSONDecoder(), text.find("[") + 1
    while True:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield text.count("\n", 0, at) + 1
        at = end
