"""Files by which a change would decide what make does: results that exist, and sources of its own files."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from pytest_cobbler.landing.make_functions import expanded, found_files, stem_of

__all__ = ["goals_in", "made_targets", "needed_files", "sources_of"]

_GOALS: Final = re.compile(r"(?:\bg?make\b|\$[({]MAKE[)}])([^\n;&|#)\"'`]*)")
_RULE: Final = re.compile(r"([^\t#=:\s][^#=:\n]*?)\s*::?(?![=:])([^;\n#]*)(;?)")
_SETTING: Final = re.compile(r"(?:export\s+|override\s+)?([\w.-]+)\s*(?:::?:?|\?|\+)?=\s*([^#\n]*)")
_NAME: Final = re.compile(r"[\w.+@/*?%-]+")
_SOURCES: Final = (
    *("%.[cflmoprswy]", "%.sh", "%.cc", "%.cpp", "%.mod"),
    *("%,v", "RCS/%", "RCS/%,v", "s.%", "SCCS/s.%"),
)
"""The right sides of make's built-in rules for any file, and for the files on these."""

_MOST_LINES: Final = 20_000
_MOST_TARGETS: Final = 5000


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

    A target that needs one of these, or a phony one, is made each time anyway. A target that a makefile
    computes from files that it looks for is a pattern: ``out/*.o``. One that it computes from the output of
    a program, or with ``foreach``, ``call`` or ``eval``, is not found.

    Args:
        texts: the makefiles.
        goals: what make may be told to make; if no target is among them, it makes the first one.
        existing: picks the targets that are there already: a change cannot add them.
    """
    makefiles = _read(texts)
    files = makefiles.wanted(goals) - makefiles.phony - {""}
    missing = files - existing(files)
    always = makefiles.phony | missing
    return {name for name in missing if not always.intersection(makefiles.rules[name].needs)}


def needed_files(texts: Iterable[str], goals: Collection[str]) -> set[str]:
    """What make makes sure of before its commands run: a file of these that is older than a source is made.

    Args:
        texts, goals: as for :func:`made_targets`.
    """
    makefiles = _read(texts)
    needs = {name for target in makefiles.wanted(goals) for name in makefiles.rules[target].needs}
    return {name for name in needs if not re.search(r"[*?%]", name)} - makefiles.phony


def sources_of(file: str) -> tuple[str, ...]:
    """Patterns of the files from which make's built-in rules make any file, also a makefile.

    For example, ``Makefile.sh`` is copied to ``Makefile`` if it is newer.
    """
    directory, slash, name = file.rpartition("/")
    return tuple(directory + slash + source.replace("%", name) for source in _SOURCES)


@dataclass
class _Makefiles:
    """The rules by their targets, the phony targets, the first target, and patterns of files that are there.

    The first target is empty if there is none.
    """

    rules: dict[str, _Rule] = field(default_factory=lambda: {"": _Rule()})
    phony: set[str] = field(default_factory=set)
    first: str = ""
    there: set[str] = field(default_factory=set)

    def wanted(self, goals: Collection[str]) -> set[str]:
        """The targets that have rules and may be made; those of rules with ``%`` get rules of their own."""
        chosen = {goal for goal in goals if self._has_rule(goal)} or {self.first}
        wanted: set[str] = set()
        while chosen and len(wanted) < _MOST_TARGETS:
            wanted |= chosen
            rules = [self.rules[target] for target in chosen]
            further = {name for rule in rules for name in (*rule.needs, *rule.goals)} - wanted
            chosen = {name for name in further if self._has_rule(name)}
        return wanted

    def _has_rule(self, name: str) -> bool:
        if name in self.rules:
            return "%" not in name
        for target, rule in self.rules.items():
            # A rule for any file, `%`, would say nothing. One for names without an ending makes programs.
            stem = stem_of(name, target) if "%" in target and target != "%" else None
            is_program = target.endswith("%") and "." not in (stem or ".")
            if stem is not None and (is_program or not target.endswith("%")) and name not in self.there:
                needs = [need.replace("%", stem, 1) for need in rule.needs]
                self.rules[name] = _Rule(needs, set(rule.goals))
                return True
        return False


def _read(texts: Iterable[str]) -> _Makefiles:
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()][:_MOST_LINES]
    settings = {found[1]: found[2].strip() for line in lines if (found := _SETTING.match(line))}
    read = _Makefiles(there=found_files("\n".join(lines), settings))
    current: list[_Rule] = []
    for line in lines:
        if line.startswith("\t"):
            for rule in current:
                rule.goals |= goals_in(line)
        elif not _SETTING.match(line) and (found := _RULE.match(expanded(line, settings))):
            targets = list(_names(found[1]))
            before, _, order_only = found[2].rpartition(":")[2].partition("|")
            needs = list(_names(before))
            if ".PHONY" in targets:
                read.phony.update(needs)
                continue
            current = [read.rules.setdefault(target, _Rule()) for target in targets]
            for rule in current:
                rule.needs += needs
                rule.goals |= {*_names(order_only), *(goals_in(line) if found[3] else ())}
            plain = (target for target in targets if not target.startswith(".") and "%" not in target)
            read.first = read.first or next(plain, "")
    return read


def _names(text: str) -> Iterator[str]:
    """The names in a list of targets; unknown ones are left out."""
    return (name.removeprefix("./") for name in text.split() if _NAME.fullmatch(name))
