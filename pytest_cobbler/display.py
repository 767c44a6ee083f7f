"""Text as people are shown it: escapes, lists, sizes, durations and counts."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that are not text; tabs and line ends are."""


_COMMAND = re.compile(r"^(?P<before>[^!-~\n]*):(?=:)|#(?=#\w*\[)", re.MULTILINE)
"""Where a CI system would read a command in the output of a job.

GitHub takes ``::error::`` at the begin of a line, after any white space, and ``##[error]`` anywhere in it;
Azure ``##vso[...]`` and TeamCity ``##teamcity[...]``, anywhere. Characters before ``::`` that are not ASCII
count as white space here, because a comparison by a locale may pass over them.
"""


def escaped(text: str) -> str:
    """``text`` in one line, for a terminal or XML.

    Characters that do not print are escaped, and so is the begin of a command of a CI system.
    """
    if not text.isprintable():
        text = "".join(map(_escaped, text))
    return _without_commands(text)


def escaped_lines(text: str) -> str:
    """As ``escaped``, for text of several lines: line ends and tabs stay."""
    return _without_commands(
        "".join(character if character in "\n\t" else _escaped(character) for character in text)
    )


def shown_json(value: object) -> str:
    """JSON for standard output: the texts in it are as they are, but none is a command of a CI system."""
    return re.sub(r"#(?=#\w*\[)", r"\\u0023", json.dumps(value, indent=2))


def quoted(text: str) -> str:
    """``text`` of a program, each line behind a bar, so that none can be taken for a line of pytest."""
    return "\n".join(f"| {line}" for line in escaped_lines(text).split("\n")) if text else ""


def shown_path(path: bytes | str | os.PathLike[str]) -> str:
    """A path in printable characters; bytes that are not UTF-8 are escaped too."""
    return escaped(os.fsencode(path).decode("utf-8", "backslashreplace"))


def below(path: Path | str, root: Path) -> str:
    """``path`` relative to ``root`` if it is below it, else as it is."""
    return str(Path(path).relative_to(root)) if path and Path(path).is_relative_to(root) else str(path)


def one_line(text: str, limit: int = 200) -> str:
    """``text`` as one line of at most ``limit`` characters: each run of white space is one space."""
    line = escaped(" ".join(text[: 8 * limit].split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def named(names: Iterable[str], most: int = 10) -> str:
    """The first ``most`` names and the number of the others: ``a, b and 3 more``."""
    listed = list(names)
    others = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + others


def counted(number: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shown_size(size: int) -> str:
    """A number of bytes: ``216 MiB``."""
    return f"{size >> 20} MiB"


def shown_duration(seconds: float) -> str:
    """As the configuration has it: ``90s``, ``30m``, ``2h``."""
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def short_time(seconds: float) -> str:
    """A time in few characters, for a table: ``8.3s``, ``83s``, ``12m``, ``3h05m``."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    if seconds < 119.5:
        return f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 120 else f"{minutes // 60}h{minutes % 60:02}m"


def cut(text: str, columns: int) -> str:
    """The beginning of ``text`` that fits into ``columns`` of a terminal."""
    if text.isascii():  # a live view measures much text
        return text[: max(0, columns)]
    widths = accumulate(map(width, text))
    return "".join(char for char, end in zip(text, widths, strict=True) if end <= columns)


def shortened(text: str, columns: int) -> str:
    """``text`` in at most so many columns, one or more; an ellipsis shows that its end is missing."""
    return text if width(text) <= columns else f"{cut(text, columns - 1)}…"


def width(text: str) -> int:
    """The columns that ``text`` takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _without_commands(text: str) -> str:
    return _COMMAND.sub(_broken, text) if "::" in text or "##" in text else text


def _broken(command: re.Match[str]) -> str:
    before: str | None = command["before"]
    return r"\x23" if before is None else f"{before}\\x3a"
