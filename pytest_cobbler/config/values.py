"""The kinds of values that keys have: what each accepts, and what it becomes."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from pytest_cobbler.config.faults import Part, Wrong, printable, shown
from pytest_cobbler.config.templates import Phase, TemplateProblem, translate
from pytest_cobbler.globs import GlobError, compile_glob

T = TypeVar("T")

LONGEST_WAIT = 30 * 24 * 3600.0
"""Seconds; the longest timeout that can be set."""

_LONGEST_PATH = 1024
_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Allowed:
    """In an error's words, what a key accepts."""

    words: str


def whole_number(low: int, high: int) -> tuple[Any, Allowed]:
    """Annotations of a whole number from ``low`` to ``high``."""
    return Field(ge=low, le=high, strict=True), Allowed(f"a whole number from {low} to {high}")


def one_of(*words: str) -> Allowed:
    return Allowed(" or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0])


# Texts


def text(value: object) -> str:
    """A text; a number is taken as it was written."""
    if isinstance(value, bool):
        raise Wrong("a yes or no (true, off, ...) where a text belongs; if it is one, put it in quotes")
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} where a text belongs")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else text(value) or None


def _word(what: str) -> Callable[[object], str | None]:
    def check(value: object) -> str | None:
        name = _optional_text(value)
        if name is not None and (name.startswith("-") or not name.isprintable() or " " in name):
            raise Wrong(f'{shown(name)} is not the name of {what}: no blanks, no "-" in front')
        return name

    return check


def _label(value: object) -> str:
    label = text(value)
    if not label.isprintable() or "," in label or label != label.strip() or label.startswith("-"):
        raise Wrong(f'{shown(label)} is not a label: no commas, no blanks around it, no "-" in front')
    return label


# Names in git


def _reference_fault(name: str) -> str:
    """Why git takes no branch called ``name`` (git-check-ref-format(1)); empty if it does."""
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


def _branch(value: object) -> str | None:
    name = _optional_text(value)
    if name is not None and (fault := _reference_fault(name)):
        raise Wrong(f"{shown(name)} is no branch name for git: {fault}")
    return name


def _branch_prefix(value: object) -> str:
    prefix = text(value)
    fault = _reference_fault(prefix + "2000-01-01-00-00-00") if prefix else "it may not be empty"
    if not fault and "/" in prefix:
        fault = '"/" cannot be part of it'
    if fault:
        raise Wrong(f"{shown(prefix)} cannot start a branch name: {fault}")
    return prefix


# Paths


def root_of(info: ValidationInfo) -> Path:
    """The directory that paths are relative to."""
    return info.context.parent if isinstance(info.context, Path) else Path.cwd()


def kind(path: Path) -> Literal["file", "directory", "missing", "other"]:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError:
        return "other"
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "other"


def real(path: Path) -> Path:
    """``path`` without symbolic links; a loop of them stays as it is."""
    return Path(os.path.realpath(path))


def inside(written: object, root: Path) -> Path:
    """The path ``written``, absolute, which lies below ``root`` however its links lead.

    Raises:
        Wrong: it does not, or is not a path.
    """
    if isinstance(written, Path):
        written = os.fspath(written)
    name = text(written)
    _check_path_text(name)
    if name.startswith("~"):
        raise Wrong(f"{shown(name)}: ~ is not expanded here; paths are relative to {root} and stay in it")
    path = Path(os.path.normpath(root / name))
    if not path.is_relative_to(root):
        raise Wrong(f"{shown(name)} leaves {root}")
    if not real(path).is_relative_to(real(root)):
        raise Wrong(f"{shown(name)} is a symbolic link out of {root}, to {real(path)}")
    return path


def _check_path_text(name: str) -> None:
    if not name.strip():
        raise Wrong("an empty path")
    if not name.isprintable():
        raise Wrong(f"{shown(name)}: a path with control characters")
    too_long = len(name.encode()) > _LONGEST_PATH or any(len(part.encode()) > 255 for part in name.split("/"))
    if too_long:
        raise Wrong(f"{shown(name)}: a path that is too long")


def _directory(value: object, info: ValidationInfo) -> Path:
    path = inside(value, root_of(info))
    if kind(path) in ("file", "other"):
        raise Wrong(f"{shown(str(value))} is not a directory: name another one, or move that away")
    return path


def _repository_path(value: object, info: ValidationInfo) -> PurePosixPath:
    """A place in the tree, whatever lies there in the checkout."""
    name = text(str(value) if isinstance(value, PurePosixPath) else value)
    _check_path_text(name)
    path = PurePosixPath(os.path.normpath(name))
    if path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise Wrong(f"{shown(name)} leaves {root_of(info)}")
    if path == PurePosixPath(".") or _is_git(path):
        raise Wrong(f"{shown(name)}: name a path of its own below {root_of(info)}")
    return path


def _repository_paths(value: object, info: ValidationInfo) -> tuple[PurePosixPath, ...]:
    return each(value, lambda element: _repository_path(element, info))


def _optional_repository_path(value: object, info: ValidationInfo) -> PurePosixPath | None:
    return None if value is None or value == "" else _repository_path(value, info)


def _program_name(value: object) -> str | None:
    name = _optional_text(value)
    if name is not None and ("/" in name or name in (".", "..") or not name.isprintable()):
        raise Wrong(f"{shown(name)} is not the name of a file")
    return name


def _own_directory(value: object, info: ValidationInfo) -> Path:
    root = root_of(info)
    path = _directory(value, info)
    if path == root or _is_git(PurePosixPath(path.relative_to(root))):
        raise Wrong(f"{shown(str(value))}: name a directory of its own below {root}")
    return path


def _is_git(path: PurePosixPath) -> bool:
    return any(part.lower() == ".git" for part in path.parts)


def _optional_directory(value: object, info: ValidationInfo) -> Path | None:
    return None if value is None or value == "" else _own_directory(value, info)


def _directories(value: object, info: ValidationInfo) -> tuple[Path, ...]:
    return each(value, lambda element: _directory(element, info))


def _existing_file(value: object, info: ValidationInfo) -> Path:
    path = inside(value, root_of(info))
    found = kind(path)
    if found == "missing":
        raise Wrong(f"{shown(str(value))}: there is no such file in {root_of(info)}")
    if found != "file":
        raise Wrong(f"{shown(str(value))} is not a file")
    return path


def read_text(path: Path) -> str:
    """The file's text.

    Raises:
        Wrong: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Wrong(f"{shown(path.name)} is not UTF-8 text") from None
    except OSError as error:
        raise Wrong(f"{shown(path.name)} cannot be read: {error.strerror}") from None


def _prompt(phase: Phase) -> Callable[[object, ValidationInfo], Path | None]:
    """The path of a template that can be used in ``phase``."""

    def check(value: object, info: ValidationInfo) -> Path | None:
        if value is None or value == "":
            return None
        path = _existing_file(value, info)
        try:
            translate(read_text(path), phase)
        except TemplateProblem as problem:
            where = str(value) if problem.line is None else f"{value}:{problem.line}"
            raise Wrong(f"{printable(where)}: {problem.what}. {problem.remedy}") from None
        return path

    return check


def _seeds(value: object, info: ValidationInfo) -> dict[PurePosixPath, Path]:
    root = root_of(info)
    seeds: dict[PurePosixPath, Path] = {}
    wrong: list[Part] = []
    for name, template in _mapping(value, "destination: template").items():
        try:
            destination = PurePosixPath(inside(name, root).relative_to(root))
            if destination == PurePosixPath(".") or _is_git(destination):
                raise Wrong(f"{shown(name)} is no place for a file")
            if destination in seeds:
                raise Wrong(f"{destination} is named twice")
            seeds[destination] = _existing_file(template, info)
            read_text(seeds[destination])
        except Wrong as fault:
            wrong.extend(((name, *at), message) for at, message in fault.parts)
    if wrong:
        raise Wrong.together(wrong)
    return seeds


def _work_directory(value: object, info: ValidationInfo) -> Path | None:
    name = _optional_text(value)
    if name is None:
        return None
    _check_path_text(name)
    try:
        path = Path(os.path.normpath(root_of(info) / Path(name).expanduser()))
    except RuntimeError:
        raise Wrong(f"{shown(name)}: there is no such home directory") from None
    repository = repository_of(root_of(info))
    if real(path).is_relative_to(real(repository)):
        raise Wrong(f"{shown(name)} lies in {repository}: worktrees must lie outside the repository")
    if kind(path) in ("file", "other"):
        raise Wrong(f"{shown(name)} is not a directory")
    return path


def repository_of(root: Path) -> Path:
    """The nearest directory from ``root`` upwards that holds ``.git``, else ``root``."""
    for directory in (root, *root.parents):
        if kind(directory / ".git") != "missing":
            return directory
    return root


# Lists and mappings


def each(value: object, check: Callable[[object], T]) -> tuple[T, ...]:
    """``check`` of every element; the errors of all of them together."""
    if not isinstance(value, list | tuple):
        raise Wrong(f"{shown(value)} where a list belongs")
    good: list[T] = []
    wrong: list[Part] = []
    for index, element in enumerate(value):
        try:
            good.append(check(element))
        except Wrong as fault:
            wrong.extend(((index, *at), message) for at, message in fault.parts)
    if wrong:
        raise Wrong.together(wrong)
    return tuple(good)


def _mapping(value: object, of: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise Wrong(f'{shown(value)} where "{of}" lines belong')
    return value


def _pattern(value: object) -> str:
    """A path or glob of the repository, as git writes paths."""
    pattern = text(value)
    if not pattern.strip() or not pattern.isprintable():
        raise Wrong(f"{shown(pattern)} is not a path")
    if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
        raise Wrong(f"{shown(pattern)} leaves the repository: write it relative to the configuration")
    try:
        compile_glob(pattern)
    except GlobError as error:
        raise Wrong(f"{shown(pattern)} {error}") from None
    return pattern


def _patterns(value: object) -> tuple[str, ...]:
    return each(value, _pattern)


def _globs(value: object) -> dict[str, str]:
    globs: dict[str, str] = {}
    wrong: list[Part] = []
    for label, glob in _mapping(value, "label: glob").items():
        try:
            globs[label] = _pattern(glob)
        except Wrong as fault:
            wrong.extend(((label, *at), message) for at, message in fault.parts)
    if wrong:
        raise Wrong.together(wrong)
    return globs


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
_PLAIN = PlainSerializer(_plain, when_used="json")

Text = Annotated[str, PlainValidator(text), _PLAIN, WithJsonSchema(_STRING)]
OptionalText = Annotated[str | None, PlainValidator(_optional_text), _PLAIN, WithJsonSchema(_STRING)]
Label = Annotated[str, PlainValidator(_label), _PLAIN, WithJsonSchema(_STRING)]
Image = Annotated[str | None, PlainValidator(_word("an image")), _PLAIN, WithJsonSchema(_STRING)]
ModelName = Annotated[str | None, PlainValidator(_word("a model")), _PLAIN, WithJsonSchema(_STRING)]
FileName = Annotated[str | None, PlainValidator(_optional_text), _PLAIN, WithJsonSchema(_STRING)]
Branch = Annotated[str | None, PlainValidator(_branch), _PLAIN, WithJsonSchema(_STRING)]
BranchPrefix = Annotated[str, PlainValidator(_branch_prefix), _PLAIN, WithJsonSchema(_STRING)]
OwnDirectory = Annotated[Path, PlainValidator(_own_directory), _PLAIN, WithJsonSchema(_STRING)]
RepositoryPath = Annotated[PurePosixPath, PlainValidator(_repository_path), _PLAIN, WithJsonSchema(_STRING)]
RepositoryPaths = Annotated[
    tuple[PurePosixPath, ...], PlainValidator(_repository_paths), _PLAIN, WithJsonSchema(_STRINGS)
]
OptionalRepositoryPath = Annotated[
    PurePosixPath | None, PlainValidator(_optional_repository_path), _PLAIN, WithJsonSchema(_STRING)
]
ProgramName = Annotated[str | None, PlainValidator(_program_name), _PLAIN, WithJsonSchema(_STRING)]
OptionalDirectory = Annotated[
    Path | None, PlainValidator(_optional_directory), _PLAIN, WithJsonSchema(_STRING)
]
Directories = Annotated[tuple[Path, ...], PlainValidator(_directories), _PLAIN, WithJsonSchema(_STRINGS)]
WorkDirectory = Annotated[Path | None, PlainValidator(_work_directory), _PLAIN, WithJsonSchema(_STRING)]
MeasurePrompt = Annotated[Path | None, PlainValidator(_prompt("measure")), _PLAIN, WithJsonSchema(_STRING)]
StitchPrompt = Annotated[Path | None, PlainValidator(_prompt("stitch")), _PLAIN, WithJsonSchema(_STRING)]
Seeds = Annotated[
    Mapping[PurePosixPath, Path],
    PlainValidator(_seeds),
    _PLAIN,
    WithJsonSchema({"type": "object", "additionalProperties": _STRING}),
]
Globs = Annotated[
    Mapping[str, str],
    PlainValidator(_globs),
    _PLAIN,
    WithJsonSchema({"type": "object", "additionalProperties": _STRING}),
]
Patterns = Annotated[tuple[str, ...], PlainValidator(_patterns), _PLAIN, WithJsonSchema(_STRINGS)]
Arguments = Annotated[
    tuple[str, ...], PlainValidator(_arguments), _PLAIN, WithJsonSchema({"anyOf": [_STRING, _STRINGS]})
]
Program = Annotated[
    tuple[str, ...] | None, PlainValidator(_program), _PLAIN, WithJsonSchema({**_STRINGS, "minItems": 1})
]
StepCommand = Annotated[
    tuple[str, ...] | Literal[False] | None,
    PlainValidator(_step),
    _PLAIN,
    WithJsonSchema({"anyOf": [{**_STRING, "minLength": 1}, {**_STRINGS, "minItems": 1}, {"const": False}]}),
]
Duration = Annotated[float | None, PlainValidator(_duration), _PLAIN, WithJsonSchema(_DURATION_SCHEMA)]
Switch = Annotated[bool, Field(strict=True), Allowed("true or false")]
