"""The table of paths that run code, or instruct a program, elsewhere: ``data/paths.toml``."""

from __future__ import annotations

import contextlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from pytest_cobbler.config.source import read
from pytest_cobbler.errors import ConfigurationProblem

Kind = Literal["protected", "gate", "named"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table.

    ``key``: only the values of this key of the TOML, JSON or YAML file count (names with dots between, the
    last one may have wildcards); the rest of the file is free.
    """

    program: str
    kind: Kind
    pattern: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.pattern}: {self.key}" if self.key else self.pattern


@cache
def path_table() -> tuple[Row, ...]:
    """Every row, in the order of the file."""
    return tuple(
        Row(program=program, kind=kind, pattern=pattern, key=key)
        for program, table in _tables().items()
        for kind in get_args(Kind)
        for pattern, _, key in (row.partition(": ") for row in table.get(kind, ()))
    )


@cache
def commands() -> Mapping[str, tuple[str, ...]]:
    """Program -> words of a command that show its use; they may have wildcards."""
    return {program: tuple(table.get("commands", ())) for program, table in _tables().items()}


@cache
def run_commands() -> frozenset[str]:
    """The programs whose files hold commands."""
    return frozenset(program for program, table in _tables().items() if table.get("runs"))


@cache
def also_read() -> Mapping[str, tuple[str, ...]]:
    """Program -> patterns of files in which it finds commands, beside those of its rows."""
    return {program: tuple(table.get("reads", ())) for program, table in _tables().items()}


def rows(kind: Kind) -> tuple[Row, ...]:
    return tuple(row for row in path_table() if row.kind == kind)


def patterns(table: Sequence[Row]) -> tuple[str, ...]:
    """The patterns of the rows that count as whole files."""
    return tuple(row.pattern for row in table if not row.key)


def built_in_patterns() -> tuple[str, ...]:
    """Patterns of the paths that are protected in every project."""
    return patterns(rows("protected"))


def built_in_keys() -> tuple[Row, ...]:
    """The rows of which a key is protected in every project."""
    return tuple(row for row in rows("protected") if row.key)


def named_patterns() -> tuple[str, ...]:
    """Patterns of the paths that a change's notes name in every project."""
    return patterns((*rows("named"), *rows("gate")))


def changed_keys(path: str, old: bytes | None, new: bytes | None, keys: Sequence[Row]) -> list[Row]:
    """Those of ``keys``, rows that match ``path``, whose values differ between two contents of the file.

    A file that cannot be read differs where its bytes do.
    """
    try:
        before, after = (_parsed(path, content) for content in (old, new))
        return [row for row in keys if _values(before, row.key) != _values(after, row.key)]
    except (ValueError, RecursionError):
        return list(keys) if old != new else []


def values_of(path: str, content: bytes, key: str) -> Any:
    """What a key of a TOML, JSON or YAML file is, below its names; nothing where the file cannot be read."""
    try:
        return _values(_parsed(path, content), key)
    except (ValueError, RecursionError):
        return {}


def _parsed(path: str, content: bytes | None) -> Any:
    if content is None:
        return {}
    if path.lower().endswith(".yaml"):
        # As our own configuration is read; what cannot be read so cannot be one.
        with contextlib.suppress(ConfigurationProblem):
            return read(Path(path), content).values
        return {}
    return tomllib.loads(content.decode()) if path.lower().endswith(".toml") else json.loads(content.decode())


def _values(document: Any, key: str) -> Any:
    name, _, rest = key.partition(".")
    if not isinstance(document, Mapping):
        return {}
    found = {given: value for given, value in document.items() if fnmatchcase(given, name)}
    below = {given: _values(value, rest) for given, value in found.items()} if rest else {}
    return {given: values for given, values in below.items() if values} if rest else found


@cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files("pytest_cobbler").joinpath("data/paths.toml").read_text("utf-8")
    return tomllib.loads(text)
