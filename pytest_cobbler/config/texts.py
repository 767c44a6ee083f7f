"""Texts, names in git, lists and mappings as values of keys: accepted values and results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from pytest_cobbler.config.faults import Part, Wrong, shown

K = TypeVar("K", bound=int | str)
T = TypeVar("T")

# Texts


def text(value: object) -> str:
    """A text; a number is read as the text that was written."""
    if isinstance(value, bool):
        raise Wrong("a boolean (true, off, ...) where text belongs; to use it as text, put it in quotes")
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} where a text belongs")
    return value


def optional_text(value: object) -> str | None:
    return None if value is None else text(value) or None


def word(what: str) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        name = optional_text(value)
        if name is not None and (name.startswith("-") or not name.isprintable() or " " in name):
            raise Wrong(f'{shown(name)} is not the name of {what}: no blanks, no "-" in front')
        return name

    return check


def label(value: object) -> str:
    name = text(value)
    if not name.isprintable() or "," in name or name != name.strip() or name.startswith("-"):
        raise Wrong(f'{shown(name)} is not a label: no commas, no blanks around it, no "-" in front')
    return name


# Names in git


def _reference_fault(name: str) -> str:
    """The reason why git rejects a branch ``name`` (git-check-ref-format(1)); empty if it accepts it."""
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//", name)
    if bad:
        return f"{shown(bad.group())} cannot be part of it"
    if name == "HEAD" or any(len(part.encode()) > 200 for part in name.split("/")):
        return "it is too long" if name != "HEAD" else "it means the branch checked out"
    if not name or name == "@" or name.startswith(("-", "/")) or name.endswith(("/", ".")):
        return 'it may not be empty, start with "-" or "/", or end with "/" or "."'
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return 'no part of it may start with "." or end with ".lock"'
    return ""


def branch(value: object) -> str | None:
    name = optional_text(value)
    if name is not None and (fault := _reference_fault(name)):
        raise Wrong(f"{shown(name)} is not a branch name: {fault}")
    return name


def branch_prefix(value: object) -> str:
    prefix = text(value)
    fault = _reference_fault(prefix + "2000-01-01-00-00-00") if prefix else "it may not be empty"
    if not fault and "/" in prefix:
        fault = '"/" cannot be part of it'
    if fault:
        raise Wrong(f"{shown(prefix)} cannot start a branch name: {fault}")
    return prefix


# Lists and mappings


def each(value: object, check: Callable[[object], T]) -> tuple[T, ...]:
    """``check`` of every element; the errors of all of them together."""
    if not isinstance(value, list | tuple):
        raise Wrong(f"{shown(value)} where a list belongs")
    return tuple(_checked(enumerate(value), lambda _index, element: check(element)).values())


def each_of(values: Mapping[str, object], check: Callable[[str, object], T]) -> dict[str, T]:
    """``check`` of every name and its value; the errors of all of them together."""
    return _checked(values.items(), check)


def _checked(values: Iterable[tuple[K, object]], check: Callable[[K, object], T]) -> dict[K, T]:
    good: dict[K, T] = {}
    wrong: list[Part] = []
    for at, value in values:
        try:
            good[at] = check(at, value)
        except Wrong as fault:
            wrong.extend(((at, *below), message) for below, message in fault.parts)
    if wrong:
        raise Wrong.together(wrong)
    return good


def mapping(value: object, of: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Wrong(f'{shown(value)} where "{of}" lines belong')
    return value
