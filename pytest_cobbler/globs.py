"""The language of path patterns in the configuration: ``protected_paths``, ``allow_paths``, ``spec_globs``.

A pattern is matched from the project's directory, usually the top of the repository. ``*`` and ``?`` stay
within a name, ``[a-z]`` and ``[!a-z]`` are one character of a name, and a name that is ``**`` is any number
of directories. A pattern that matches a directory also covers everything below it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SPECIAL = re.compile(r"[*?\[]")

# macOS ignores these characters in names (git's list). Windows ignores dots and spaces at the end of a name,
# and takes what follows a colon for a stream of the file before it.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_END_OF_NAME = re.compile(r"(?<=[^/])(?::[^/]*|[. ]+)(?=/|\Z)")


class GlobError(ValueError):
    """A pattern that does not belong to the language; the message completes "the pattern ..."."""


def matches_glob(path: str, pattern: str, *, fold_case: bool = False) -> bool:
    """Whether ``pattern`` matches ``path``, or a directory that holds it.

    Raises:
        GlobError: the pattern is malformed.
    """
    return compile_glob(pattern, fold_case=fold_case).fullmatch(f"/{path}") is not None


def matches_any(path: str, patterns: tuple[str, ...], *, fold_case: bool = False) -> bool:
    """Whether one of ``patterns`` matches ``path``, or a directory that holds it.

    ``fold_case``: also if another file system takes ``path`` for a path that matches.

    Raises:
        GlobError: a pattern is malformed.
    """
    compiled = _compile_all(patterns, fold_case)
    if compiled.fullmatch(f"/{path}"):
        return True
    elsewhere = _elsewhere(path) if fold_case else path
    return elsewhere != path and compiled.fullmatch(f"/{elsewhere}") is not None


def _elsewhere(path: str) -> str:
    """The path that macOS and Windows may make of ``path``, besides its letters."""
    return _END_OF_NAME.sub("", _IGNORED.sub("", path))


@lru_cache(maxsize=64)
def _compile_all(patterns: tuple[str, ...], fold_case: bool) -> re.Pattern[str]:
    """One expression for all patterns, which is faster than each by itself."""
    compiled = [compile_glob(pattern, fold_case=fold_case) for pattern in patterns]
    flags = re.DOTALL | (re.IGNORECASE if fold_case else re.NOFLAG)
    return re.compile("|".join(f"(?:{one.pattern})" for one in compiled), flags)


@lru_cache(maxsize=1024)
def compile_glob(pattern: str, *, fold_case: bool = False) -> re.Pattern[str]:
    """An expression for the whole of a path with a slash before it.

    Every repetition is followed by the shortest text that fits, in an atomic group: for wildcards the
    leftmost match is as good as any later one, so nothing is tried twice and the time stays linear.

    Raises:
        GlobError: the pattern is malformed.
    """
    if pattern.startswith("!"):
        raise GlobError("starts with !, but patterns cannot be negated (a file of this name: ./!...)")
    if pattern.startswith("#"):
        raise GlobError("starts with #, but patterns are not comments (a file of this name: ./#...)")
    names = [name for name in pattern.split("/") if name not in ("", ".")]
    if not names:
        raise GlobError("has no name in it")
    expressions, fixed = [], ""
    after_directories = False
    for name in [*names, "**"]:
        if name != "**":
            fixed += "/" + _name(name)
            continue
        if fixed:
            expressions.append(f"(?>(?:/[^/]++)*?{fixed})" if after_directories else fixed)
        fixed, after_directories = "", True
    # A file system may take .GitHub for .github. A name may hold a newline.
    flags = re.DOTALL | (re.IGNORECASE if fold_case else re.NOFLAG)
    return re.compile("".join(expressions) + "(?:/.*)?", flags)


def escape_glob(path: str) -> str:
    """A pattern that matches ``path`` and nothing beside it."""
    escaped = _SPECIAL.sub(r"[\g<0>]", path)
    return f"./{escaped}" if escaped.startswith(("!", "#")) else escaped


def _name(name: str) -> str:
    """An expression for one whole name of a path."""
    pieces = [""]
    position = 0
    while position < len(name):
        character = name[position]
        position += 1
        if character == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif character == "?":
            pieces[-1] += "[^/]"
        elif character == "[":
            expression, position = _class(name, position)
            pieces[-1] += expression
        else:
            pieces[-1] += re.escape(character)
    first, *floating = pieces
    if not floating:
        return f"{first}(?![^/])"
    *inner, last = floating
    return first + "".join(f"(?>[^/]*?{piece})" for piece in inner) + f"(?>[^/]*{last}(?![^/]))"


def _class(name: str, start: int) -> tuple[str, int]:
    """An expression for the class of characters after ``[``, and the position after its ``]``."""
    negated = name[start : start + 1] in ("!", "^")
    first = start + negated
    end = name.find("]", first + 1)
    if end < 0:
        raise GlobError("has a [ without its ] in the same name (for the character itself: [[])")
    inside = name[first:end]
    if any(opening in inside for opening in ("[:", "[.", "[=")):
        raise GlobError("has a named class such as [:alpha:], which is not supported: write a range")
    ranges = []
    position = 0
    while position < len(inside):
        low = high = inside[position]
        if inside[position + 1 : position + 2] == "-" and position + 2 < len(inside):
            high = inside[position + 2]
            position += 2
        if low > high:
            raise GlobError(f"has the range {low}-{high}, which is empty")
        ranges.append(re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}")
        position += 1
    return f"(?!/)[{'^' if negated else ''}{''.join(ranges)}]", end + 1
