"""Errors in values, and their report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.display import escaped
from pytest_cobbler.errors import ConfigurationProblem

_LONGEST_SHOWN = 50


def place(spot: Sequence[int | str]) -> str:
    """A key and the path below it, like ``podman_args[2]`` or ``seed_files["a/b"]``."""
    key, *rest = spot
    return printable(str(key)) + "".join(
        f"[{part}]" if isinstance(part, int) else f'["{printable(part)}"]' for part in rest
    )


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An error in ``key``, or in the part of its value that ``at`` leads to."""

    key: str
    message: str
    at: tuple[int | str, ...] = ()

    @property
    def where(self) -> str:
        return place((self.key, *self.at))


Part = tuple[tuple[int | str, ...], str]
"""Place in a value -> the error there."""


class Wrong(ValueError):
    """A value is not what its key allows; raised by the validators of single keys."""

    def __init__(self, message: str, *parts: Part) -> None:
        super().__init__(message)
        self.parts = parts or (((), message),)

    @classmethod
    def together(cls, parts: Sequence[Part]) -> Wrong:
        return cls("; ".join(message for _, message in parts), *parts)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the report: the place and the error."""

    number: int | None
    """Line of the file, from 1; ``None``: no line in particular."""
    text: str
    option: bool = False
    """Whether it concerns the command line, not the file."""


def printable(text: str) -> str:
    """``text`` escaped, and not longer than a part of a line."""
    whole = escaped(text)
    return whole if len(whole) <= _LONGEST_SHOWN else whole[: _LONGEST_SHOWN - 3] + "..."


def shown(value: object) -> str:
    """``value`` as the user wrote it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{printable(value)}"' if value else "an empty text"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "a mapping"
    if value is None:
        return "nothing"
    return printable(str(value))


def problem(path: Path, lines: Iterable[Line]) -> ConfigurationProblem:
    """The error with all ``lines``, in the order of the file."""
    name = _shown_path(path)
    ordered = sorted(lines, key=lambda line: (line.option, line.number is None, line.number or 0))
    told = [_told(name, line) for line in ordered]
    if len(told) == 1:
        return ConfigurationProblem(told[0])
    return ConfigurationProblem(f"{name}: {len(told)} errors", "\n".join(told))


def _told(name: str, line: Line) -> str:
    if line.option:
        return escaped(line.text)
    return escaped(f"{name}: {line.text}" if line.number is None else f"{name}:{line.number}: {line.text}")


def _shown_path(path: Path) -> str:
    """``path`` relative to the current directory if it is below; else absolute."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
