"""A patch as files and lines whose tokens have a class, so that the page makes no markup of its text."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

__all__ = ["changed_files"]

MOST_LINES: Final = 4_000
"""Lines of a change that are shown."""
LONGEST_LINE: Final = 1_000

Line = tuple[str, list[tuple[str, str]]]
"""``+``, ``-``, a space or ``@``; and the tokens: a class, which may be empty, and a text."""


def changed_files(patch: str) -> tuple[list[dict[str, Any]], int]:
    """The files of a patch of git with their lines, and how many lines are left out."""
    files: list[dict[str, Any]] = []
    left = MOST_LINES
    for path, lines in _files(patch):
        shown, left = lines[:left], left - min(left, len(lines))
        files.append(
            {
                "path": path,
                "added": sum(line.startswith("+") for line in lines),
                "removed": sum(line.startswith("-") for line in lines),
                "lines": list(_highlighted(path, shown)),
            }
        )
    return files, max(0, sum(len(lines) for _, lines in _files(patch)) - MOST_LINES)


def _files(patch: str) -> Iterator[tuple[str, list[str]]]:
    """The path and the lines of each file, without the heading."""
    for part in f"\n{patch}".split("\ndiff --git ")[1:]:
        heading, *lines = part.split("\n")
        hunks = next((at for at, line in enumerate(lines) if line.startswith("@@")), len(lines))
        path = heading.partition(" b/")[2] or heading
        for line in lines[:hunks]:
            if line.startswith(("+++ b/", "--- a/")):
                path = line[6:]
        rest = lines[hunks:] or [f" {line}" for line in lines if line]
        yield path, rest[:-1] if rest and not rest[-1] else rest


def _highlighted(path: str, lines: Sequence[str]) -> Iterator[Line]:
    """The lines with tokens. A token never crosses a line here: each side of a hunk is one text."""
    code = "\n".join(line[1 : LONGEST_LINE + 1] for line in lines if line[:1] in ("+", "-", " "))
    tokens = iter(_lines_of_tokens(path, code))
    for line in lines:
        if line[:1] in ("+", "-", " "):
            yield line[0], next(tokens, [("", line[1:])])
        elif line.startswith("@@"):
            yield "@", [("", line)]
        else:
            yield "", [("", line)]


def _lines_of_tokens(path: str, code: str) -> list[list[tuple[str, str]]]:
    lines: list[list[tuple[str, str]]] = [[]]
    for kind, text in _tokens(path, code):
        for at, piece in enumerate(text.split("\n")):
            if at:
                lines.append([])
            if piece and lines[-1] and lines[-1][-1][0] == kind:
                lines[-1][-1] = kind, lines[-1][-1][1] + piece
            elif piece:
                lines[-1].append((kind, piece))
    return lines


def _tokens(path: str, code: str) -> Iterator[tuple[str, str]]:
    from pygments.token import Comment, Keyword, Name, Number, String

    classes = {Comment: "c", Keyword: "k", String: "s", Number: "m", Name.Function: "n", Name.Class: "n"}
    lexer = _lexer(path.rpartition("/")[2])
    if lexer is None:
        yield "", code
        return
    for _, token, text in lexer.get_tokens_unprocessed(code):
        yield next((name for kind, name in classes.items() if token in kind), ""), text


@functools.cache
def _lexer(name: str) -> Any:
    """The lexer for a file of this name; ``None`` if there is none."""
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        return get_lexer_for_filename(name)
    except ClassNotFound:
        return None
