"""What the files of a gate are, by their names and by the table of paths."""

from __future__ import annotations

import functools
import re

from pytest_cobbler.globs import escape_glob, matches_any
from pytest_cobbler.repository.path_table import commands, path_table, run_commands

__all__ = ["CODE", "DOCUMENT", "MAKEFILE", "SHELL", "covers", "plain_path", "test_runners", "with_keys"]

DOCUMENT = re.compile(r"\.(?:md|rst|adoc|html?)\Z", re.IGNORECASE)
SHELL = re.compile(r"\.(?:sh|bash|zsh|ksh|fish|mk)\Z")
CODE = re.compile(
    r"\.(?:pyi?|go|rs|c|h|cc|cpp|cxx|hpp|hh|m|swift|java|kt|kts|scala|groovy|cs|fs|rb|php|pl|pm|lua|[cm]?[jt]sx?"
    r"|vue|svelte|hs|ml|mli|ex|exs|erl|clj|el|jl|r|R|nim|zig|d|dart|sql|proto|css|scss)\Z"
)
MAKEFILE = re.compile(r"(?:.*/)?(?:gnu)?makefile|.*\.(?:mk|make|mak)", re.IGNORECASE)


@functools.cache
def test_runners() -> frozenset[str]:
    """The programs whose arguments decide what runs. The files that a linter is given are what it judges."""
    programs = {"pytest", "coverage", "javascript_tests", *run_commands()} - {"make"}
    return frozenset(word for program in programs for word in commands()[program])


def covers(pattern: str, path: str) -> bool:
    return matches_any(path, (pattern,), fold_case=True)


def with_keys() -> tuple[str, ...]:
    """Patterns of files of which single keys decide in a gate; the table protects those."""
    return tuple(dict.fromkeys(row.pattern for row in path_table() if row.key))


def plain_path(pattern: str) -> str:
    """The path that a pattern without wildcards names; empty for others."""
    path = re.sub(r"\[([*?\[])\]", r"\1", pattern)
    return path if escape_glob(path) == pattern else ""
