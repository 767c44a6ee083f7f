"""The kinds of values of keys: accepted values and results."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from pytest_cobbler.config import paths
from pytest_cobbler.config.faults import Wrong, shown
from pytest_cobbler.config.texts import branch, each, each_of, label, mapping, optional_text, text, word
from pytest_cobbler.globs import GlobError, compile_glob

LONGEST_WAIT = 30 * 24 * 3600.0
"""Seconds; the longest timeout that can be set."""

MOST_MONEY = 1_000_000
"""US dollars; the largest budget that can be set."""

_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smh]?)")
_SIZE = re.compile(r"([0-9]{1,15}) ?([kmgKMG]?)")
SIZE = f"^{_SIZE.pattern}$"
"""The pattern of a size in the schema."""

_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Allowed:
    """The accepted values of a key, in the words of an error."""

    words: str


def _money(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"{shown(value)} is not an amount in US dollars, such as 5 or 0.5")
    if not 0 < value <= MOST_MONEY:
        raise Wrong(f"{shown(value)} is not allowed; allowed: more than 0, at most {MOST_MONEY} US dollars")
    return float(value)


def whole_number(low: int, high: int) -> tuple[Any, Allowed]:
    """Annotations of a whole number from ``low`` to ``high``."""
    return Field(ge=low, le=high, strict=True), Allowed(f"a whole number from {low} to {high}")


def one_of(*words: str) -> Allowed:
    return Allowed(" or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0])


def _pattern(value: object, info: ValidationInfo) -> str:
    """A path or glob, as git writes paths; below the top of the repository, ``/`` in front is the top."""
    pattern = text(value)
    if not pattern.strip() or not pattern.isprintable():
        raise Wrong(f"{shown(pattern)} is not a path")
    root = paths.root_of(info)
    is_below = paths.repository_of(root) != root
    if pattern.startswith("~" if is_below else ("/", "~")) or ".." in pattern.split("/"):
        if is_below:
            raise Wrong(f"{shown(pattern)} leaves the project: begin it with / at the top of the repository")
        raise Wrong(f"{shown(pattern)} leaves the repository: write it relative to the configuration")
    try:
        compile_glob(pattern)
    except GlobError as error:
        raise Wrong(f"{shown(pattern)} {error}") from None
    return pattern


def _patterns(value: object, info: ValidationInfo) -> tuple[str, ...]:
    return each(value, lambda element: _pattern(element, info))


def _names(value: object) -> tuple[str, ...]:
    return each(value, _named)


def _named(value: object) -> str:
    name = word("a tool or model")(value)
    if not name:
        raise Wrong("an empty name")
    return name


def _nodes(value: object) -> tuple[str, ...]:
    return each(value, lambda element: word("the name of a node")(element) or "")


def _globs(value: object, info: ValidationInfo) -> dict[str, str]:
    return each_of(mapping(value, "label: glob"), lambda _name, glob: _pattern(glob, info))


# Commands and times


def _argument(value: object) -> str:
    if value is None:
        raise Wrong("an empty element")
    return text(value)


def _arguments(value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        return each(value, _argument)
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise Wrong(f"cannot be split into arguments: {str(error).lower()}") from None


def _program(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    words = each(value, _argument)
    if not words or not words[0].strip():
        raise Wrong("a command without a program")
    return words


def _step(value: object) -> tuple[str, ...] | Literal[False] | None:
    if value is None or value is False:
        return value
    if isinstance(value, str) and value.strip():
        return ("sh", "-c", value)
    if isinstance(value, list | tuple) and value:
        return _program(value)
    raise Wrong(
        f"{shown(value)} is not allowed; allowed: a text (run by sh -c), a list, or false (no such step)"
    )


def _duration(value: object) -> float | None:
    if value is None:
        return None
    written = "" if isinstance(value, bool) else str(value)
    match = _DURATION.fullmatch(written)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not 0 <= seconds <= LONGEST_WAIT:
        raise Wrong(
            f"{shown(value)} is not allowed; allowed: 90, 90s, 30m, 2h, "
            f"at most {LONGEST_WAIT / 3600:.0f}h; 0 for no limit"
        )
    return seconds or None


def _size(value: object) -> int | None:
    if value is None:
        return None
    written = "" if isinstance(value, bool) else str(value)
    match = _SIZE.fullmatch(written)
    if not match:
        raise Wrong(f"{shown(value)} is not allowed; allowed: 512m, 20g; 0 for no limit")
    return int(match[1]) << _SHIFTS[match[2].lower()] or None


_DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT},
        {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
    ]
}


def _plain(value: object) -> object:
    if isinstance(value, Path | PurePosixPath):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(element) for key, element in value.items()}
    return value


# pydantic 2.14 otherwise warns of the lists that JSON has for tuples.
PLAIN = PlainSerializer(_plain, when_used="json")

Text = Annotated[str, PlainValidator(text), PLAIN, WithJsonSchema(_STRING)]
OptionalText = Annotated[str | None, PlainValidator(optional_text), PLAIN, WithJsonSchema(_STRING)]
Label = Annotated[str, PlainValidator(label), PLAIN, WithJsonSchema(_STRING)]
Image = Annotated[str | None, PlainValidator(word("an image")), PLAIN, WithJsonSchema(_STRING)]
FileName = Annotated[str | None, PlainValidator(optional_text), PLAIN, WithJsonSchema(_STRING)]
Branch = Annotated[str | None, PlainValidator(branch), PLAIN, WithJsonSchema(_STRING)]
BranchPrefix = Annotated[str, PlainValidator(paths.generation_prefix), PLAIN, WithJsonSchema(_STRING)]
OwnDirectory = Annotated[Path, PlainValidator(paths.own_directory), PLAIN, WithJsonSchema(_STRING)]
RepositoryPath = Annotated[
    PurePosixPath, PlainValidator(paths.repository_path), PLAIN, WithJsonSchema(_STRING)
]
RepositoryPaths = Annotated[
    tuple[PurePosixPath, ...], PlainValidator(paths.repository_paths), PLAIN, WithJsonSchema(_STRINGS)
]
OptionalRepositoryPath = Annotated[
    PurePosixPath | None, PlainValidator(paths.optional_repository_path), PLAIN, WithJsonSchema(_STRING)
]
ProgramName = Annotated[str | None, PlainValidator(paths.program_name), PLAIN, WithJsonSchema(_STRING)]
OptionalDirectory = Annotated[
    Path | None, PlainValidator(paths.optional_directory), PLAIN, WithJsonSchema(_STRING)
]
Directories = Annotated[tuple[Path, ...], PlainValidator(paths.directories), PLAIN, WithJsonSchema(_STRINGS)]
OptionalFile = Annotated[Path | None, PlainValidator(paths.optional_file), PLAIN, WithJsonSchema(_STRING)]
WorkDirectory = Annotated[Path | None, PlainValidator(paths.work_directory), PLAIN, WithJsonSchema(_STRING)]
MeasurePrompt = Annotated[
    Path | None, PlainValidator(paths.prompt("measure")), PLAIN, WithJsonSchema(_STRING)
]
StitchPrompt = Annotated[Path | None, PlainValidator(paths.prompt("stitch")), PLAIN, WithJsonSchema(_STRING)]
Seeds = Annotated[
    Mapping[PurePosixPath, Path],
    PlainValidator(paths.seeds),
    PLAIN,
    WithJsonSchema({"type": "object", "additionalProperties": _STRING}),
]
Globs = Annotated[
    Mapping[str, str],
    PlainValidator(_globs),
    PLAIN,
    WithJsonSchema({"type": "object", "additionalProperties": _STRING}),
]
Names = Annotated[tuple[str, ...], PlainValidator(_names), PLAIN, WithJsonSchema(_STRINGS)]
Nodes = Annotated[tuple[str, ...], PlainValidator(_nodes), PLAIN, WithJsonSchema(_STRINGS)]
Patterns = Annotated[tuple[str, ...], PlainValidator(_patterns), PLAIN, WithJsonSchema(_STRINGS)]
Arguments = Annotated[
    tuple[str, ...], PlainValidator(_arguments), PLAIN, WithJsonSchema({"anyOf": [_STRING, _STRINGS]})
]
JobDirectories = Annotated[
    tuple[PurePosixPath, ...], PlainValidator(paths.job_directories), PLAIN, WithJsonSchema(_STRINGS)
]
Program = Annotated[
    tuple[str, ...] | None, PlainValidator(_program), PLAIN, WithJsonSchema({**_STRINGS, "minItems": 1})
]
StepCommand = Annotated[
    tuple[str, ...] | Literal[False] | None,
    PlainValidator(_step),
    PLAIN,
    WithJsonSchema({"anyOf": [{**_STRING, "minLength": 1}, {**_STRINGS, "minItems": 1}, {"const": False}]}),
]
Duration = Annotated[float | None, PlainValidator(_duration), PLAIN, WithJsonSchema(_DURATION_SCHEMA)]
Size = Annotated[
    int | None,
    PlainValidator(_size),
    PLAIN,
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE}]}),
]
Money = Annotated[
    float | None,
    PlainValidator(_money),
    Allowed("an amount in US dollars, more than 0"),
    PLAIN,
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_MONEY}),
]
Switch = Annotated[bool, Field(strict=True), Allowed("true or false")]
