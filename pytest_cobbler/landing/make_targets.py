"""Files by which a change would decide what make does: results that exist, and sources of its own files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["goals_in", "made_targets", "needed_files", "sources_of"]

_GOALS: Final = re.compile(r"(?:\bg?make\b|\$[({]MAKE[)}])([^\n;&|#)\"'`]*)")
_RULE: Final = re.compile(r"([^\t#=:\s][^#=:\n]*?)\s*::?(?![=:])([^;\n#]*)(;?)")
_SETTING: Final = re.compile(r"(?:export\s+|override\s+)?([\w.-]+)\s*(?:::?:?|\?|\+)?=\s*([^#\n]*)")
_REFERENCE: Final = re.compile(r"\$(?:\((\w+)\)|\{(\w+)\})")
_NAME: Final = re.compile(r"[\w.+@/-]+")
_SOURCES: Final = (
    *("%.[cflmoprswy]", "%.sh", "%.cc", "%.cpp", "%.mod"),
    *("%,v", "RCS/%", "RCS/%,v", "s.%", "SCCS/s.%"),
)
"""The right sides of make's built-in rules for any file, and for the files on these."""

_DEEPEST: Final = 5
_MOST_LINES: Final = 20_000


@dataclass
class _Rule:
    """What a target has to be newer than, and what else is made for it."""

    needs: list[str] = field(default_factory=list)
    goals: set[str] = field(default_factory=set)


def goals_in(text: str) -> set[str]:
    """The words after each call of make in a text: its targets, and words that are none."""
    calls = _GOALS.findall(text.replace("\\\n", " "))
    return {word for call in calls for word in call.split() if _NAME.fullmatch(word) and word[0] != "-"}


def made_targets(
    texts: Iterable[str], goals: Collection[str], existing: Callable[[set[str]], set[str]]
) -> set[str]:
    """The targets that make runs commands for only while they do not exist.

    A target that needs one of these, or a phony one, is made each time anyway. A target that the rules
    compute from something else than plain variables is not found.

    Args:
        texts: the makefiles.
        goals: what make may be told to make; if no target is among them, it makes the first one.
        existing: picks the targets that are there already: a change cannot add them.
    """
    rules, phony, first = _read(texts)
    files = _wanted(rules, first, goals) - phony - {""}
    missing = files - existing(files)
    always = phony | missing
    return {name for name in missing if not always.intersection(rules[name].needs)}


def needed_files(texts: Iterable[str], goals: Collection[str]) -> set[str]:
    """What make makes sure of before its commands run: a file of these that is older than a source is made.

    Args:
        texts, goals: as for :func:`made_targets`.
    """
    rules, phony, first = _read(texts)
    return {name for target in _wanted(rules, first, goals) for name in rules[target].needs} - phony


def sources_of(file: str) -> tuple[str, ...]:
    """Patterns of the files from which make's built-in rules make any file, also a makefile.

    For example, ``Makefile.sh`` is copied to ``Makefile`` if it is newer.
    """
    directory, slash, name = file.rpartition("/")
    return tuple(directory + slash + source.replace("%", name) for source in _SOURCES)


def _wanted(rules: Mapping[str, _Rule], first: str, goals: Collection[str]) -> set[str]:
    """The targets that have rules and may be made."""
    chosen = {goal for goal in goals if goal in rules} or {first}
    wanted: set[str] = set()
    while chosen:
        wanted |= chosen
        further = {name for target in chosen for name in (*rules[target].needs, *rules[target].goals)}
        chosen = {name for name in further if name in rules} - wanted
    return wanted


def _read(texts: Iterable[str]) -> tuple[Mapping[str, _Rule], set[str], str]:
    """The rules by their targets, the phony targets, and the first target (empty if there is none)."""
    rules: dict[str, _Rule] = {"": _Rule()}
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()][:_MOST_LINES]
    settings = {found[1]: found[2].strip() for line in lines if (found := _SETTING.match(line))}
    phony: set[str] = set()
    first = ""
    current: list[_Rule] = []
    for line in lines:
        if line.startswith("\t"):
            for rule in current:
                rule.goals |= goals_in(line)
        elif found := _RULE.match(line):
            targets = list(_names(found[1], settings))
            before, _, order_only = found[2].rpartition(":")[2].partition("|")
            needs = list(_names(before, settings))
            if ".PHONY" in targets:
                phony.update(needs)
                continue
            current = [rules.setdefault(target, _Rule()) for target in targets]
            for rule in current:
                rule.needs += needs
                rule.goals |= {*_names(order_only, settings), *(goals_in(line) if found[3] else ())}
            first = first or next((target for target in targets if not target.startswith(".")), "")
    return rules, phony, first


def _names(text: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The plain names in a list of targets; those that a function or a pattern makes are left out."""
    for _ in range(_DEEPEST):
        text = _REFERENCE.sub(lambda found: settings.get(found[1] or found[2], "$"), text)[:100_000]
    return (name.removeprefix("./") for name in text.split() if _NAME.fullmatch(name))
