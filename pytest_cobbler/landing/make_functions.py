"""The words of a makefile that its functions compute, with a pattern for files that only a tree can name."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Final

__all__ = ["UNKNOWN", "expanded", "found_files", "stem_of"]

UNKNOWN: Final = "\0"
"""In the place of what is not known: a variable of the environment, the output of a program."""

_CALL: Final = re.compile(r"\$(?:\(([^(){}$]*)\)|\{([^(){}$]*)\})")
_REFERENCE: Final = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\})")
_SUBSTITUTED: Final = re.compile(r"\s*([\w.-]+):([^=]*)=(.*)", re.DOTALL)
_FOUND: Final = re.compile(r"\s*find\s+([^\s-]\S*)\b.{0,200}?\s-name\s+['\"]?([^'\"\s]+)", re.DOTALL)
_DEEPEST: Final = 12
_LONGEST: Final = 100_000
_MOST_CALLS: Final = 2000


def expanded(text: str, settings: Mapping[str, str]) -> str:
    """``text`` with the values of its variables and functions, from the innermost to the outermost.

    Files that make would look for are patterns: ``$(wildcard src/*.c)`` is ``src/*.c``.
    """
    for _ in range(_DEEPEST):
        replaced = _CALL.sub(
            lambda call: _value((call[1] or call[2] or "").strip(), settings), text, _MOST_CALLS
        )
        if replaced == text or len(replaced) > _LONGEST:
            break
        text = replaced
    return text.replace("$", UNKNOWN)[:_LONGEST]


def found_files(text: str, settings: Mapping[str, str]) -> set[str]:
    """The patterns of the files that a text looks for: they are there, and make does not make them."""
    for _ in range(_DEEPEST):
        replaced = _REFERENCE.sub(lambda call: settings.get(call[1] or call[2], UNKNOWN), text)
        if replaced == text or len(replaced) > _LONGEST:
            break
        text = replaced
    calls = [(round_ or curly).strip() for round_, curly in _CALL.findall(text)]
    found = [_value(call, {}) for call in calls if call.startswith(("wildcard ", "shell "))]
    return {word for words in found for word in words.split()}


def stem_of(word: str, pattern: str) -> str | None:
    """What ``%`` of a pattern stands for in a word; ``None`` if the word does not match."""
    begin, percent, end = pattern.partition("%")
    if not percent:
        return "" if word == pattern else None
    fits = len(word) > len(begin + end) and word.startswith(begin) and word.endswith(end)
    return word[len(begin) : len(word) - len(end)] if fits else None


def _value(call: str, settings: Mapping[str, str]) -> str:
    if re.fullmatch(r"[\w.-]+", call):
        return settings.get(call, UNKNOWN)
    if found := _SUBSTITUTED.fullmatch(call):
        old, new = found[2].strip(), found[3].strip()
        if "%" not in old:
            old, new = f"%{old}", f"%{new}"
        # The variable may hold a reference, which the next round replaces.
        return f"$(patsubst {old},{new},{settings.get(found[1], UNKNOWN)})"
    name, _, rest = call.partition(" ")
    if name == "shell":
        place = _FOUND.match(rest)
        return posixpath.normpath(f"{place[1]}/**/{place[2]}") if place else UNKNOWN
    arguments = rest.split(",")
    function = _FUNCTIONS.get((name, len(arguments)))
    return function(*map(str.strip, arguments)) if function else UNKNOWN


def _for_words(change: Callable[[str], str | None]) -> Callable[[str], str]:
    return lambda text: " ".join(filter(None, map(change, text.split())))


def _replace(pattern: str, replacement: str, text: str) -> str:
    stems = [(word, stem_of(word, pattern)) for word in text.split()]
    return " ".join(word if stem is None else replacement.replace("%", stem, 1) for word, stem in stems)


def _filter(patterns: str, text: str) -> str:
    wanted = patterns.split()
    return " ".join(word for word in text.split() if any(stem_of(word, p) is not None for p in wanted))


_FUNCTIONS: Final[Mapping[tuple[str, int], Callable[..., str]]] = {
    ("wildcard", 1): str,
    ("sort", 1): str,
    ("strip", 1): str,
    ("notdir", 1): _for_words(posixpath.basename),
    ("dir", 1): _for_words(lambda word: f"{posixpath.dirname(word) or '.'}/"),
    ("basename", 1): _for_words(lambda word: posixpath.splitext(word)[0]),
    ("addprefix", 2): lambda prefix, text: _for_words(lambda word: prefix + word)(text),
    ("addsuffix", 2): lambda suffix, text: _for_words(lambda word: word + suffix)(text),
    ("patsubst", 3): _replace,
    ("subst", 3): lambda old, new, text: text.replace(old, new) if old else text,
    ("filter", 2): _filter,
    ("filter-out", 2): lambda _patterns, text: text,
}
