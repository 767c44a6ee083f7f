"""Text as people are shown it: escapes, lists, sizes, durations and counts."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Characters that are not text; tabs and line ends are."""


def escaped(text: str) -> str:
    """``text`` in one line, for a terminal or XML: characters that do not print are escaped."""
    if text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def escaped_lines(text: str) -> str:
    """As ``escaped``, for text of several lines: line ends and tabs stay."""
    return "".join(character if character in "\n\t" else _escaped(character) for character in text)


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


def cut(text: str, columns: int) -> str:
    """The beginning of ``text`` that fits into ``columns`` of a terminal."""
    widths = accumulate(map(width, text))
    return "".join(char for char, end in zip(text, widths, strict=True) if end <= columns)


def width(text: str) -> int:
    """The columns that ``text`` takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
