"""Paths as values of keys: the places they may lead to, and the kind of file there."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import ValidationInfo

from pytest_cobbler.config.faults import Part, Wrong, printable, shown
from pytest_cobbler.config.go_templates import Phase, TemplateProblem, translate
from pytest_cobbler.config.texts import branch_prefix, each, mapping, optional_text, text

_LONGEST_PATH = 1024


def root_of(info: ValidationInfo) -> Path:
    """The directory to which paths are relative."""
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
    """The absolute path ``written``, which is below ``root`` even after its links are followed.

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


def directory(value: object, info: ValidationInfo) -> Path:
    path = inside(value, root_of(info))
    if kind(path) in ("file", "other"):
        raise Wrong(f"{shown(str(value))} is not a directory: choose another, or move that file")
    return path


def repository_path(value: object, info: ValidationInfo) -> PurePosixPath:
    """A place in the tree; the checkout may have anything there."""
    name = text(str(value) if isinstance(value, PurePosixPath) else value)
    _check_path_text(name)
    path = PurePosixPath(os.path.normpath(name))
    if path.is_absolute() or ".." in path.parts or name.startswith("~"):
        raise Wrong(f"{shown(name)} leaves {root_of(info)}")
    if path == PurePosixPath(".") or _is_git(path):
        raise Wrong(f"{shown(name)}: name a path inside {root_of(info)}")
    return path


def repository_paths(value: object, info: ValidationInfo) -> tuple[PurePosixPath, ...]:
    return each(value, lambda element: repository_path(element, info))


def optional_repository_path(value: object, info: ValidationInfo) -> PurePosixPath | None:
    return None if value is None or value == "" else repository_path(value, info)


def job_directories(value: object) -> tuple[PurePosixPath, ...]:
    """Directories of a job that do not overlap, and that no other mount of a job is in."""
    found = each(value, _job_directory)
    wrong: list[Part] = [
        ((index,), f"{path} overlaps {other}")
        for index, path in enumerate(found)
        for other in found[:index]
        if path.is_relative_to(other) or other.is_relative_to(path)
    ]
    if wrong:
        raise Wrong.together(wrong)
    return found


def _job_directory(value: object) -> PurePosixPath:
    name = os.fspath(value) if isinstance(value, PurePosixPath) else text(value)
    _check_path_text(name)
    path = PurePosixPath(name)
    if not path.is_absolute() or ".." in path.parts or ":" in name:
        raise Wrong(f"{shown(name)} is not an absolute path of a job, such as /var/cache/go")
    if len(path.parts) < 2 or path.parts[1] in _OF_JOBS or path == PurePosixPath("/var/tmp"):
        raise Wrong(f"{shown(name)} cannot be a cache: {_WHY_NOT}")
    return path


_OF_JOBS = ("cobbler", "dev", "proc", "run", "sys", "tmp")
_WHY_NOT = f"/, /{', /'.join(_OF_JOBS)} and /var/tmp belong to each job alone"


def program_name(value: object) -> str | None:
    name = optional_text(value)
    if name is not None and ("/" in name or name in (".", "..") or not name.isprintable()):
        raise Wrong(f"{shown(name)} is not the name of a file")
    return name


def own_directory(value: object, info: ValidationInfo) -> Path:
    root = root_of(info)
    path = directory(value, info)
    if path == root or _is_git(PurePosixPath(path.relative_to(root))):
        raise Wrong(f"{shown(str(value))}: name a directory inside {root}")
    return path


def _is_git(path: PurePosixPath) -> bool:
    return any(part.lower() == ".git" for part in path.parts)


def optional_directory(value: object, info: ValidationInfo) -> Path | None:
    return None if value is None or value == "" else own_directory(value, info)


def directories(value: object, info: ValidationInfo) -> tuple[Path, ...]:
    return each(value, lambda element: directory(element, info))


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


def optional_file(value: object, info: ValidationInfo) -> Path | None:
    return None if value is None or value == "" else _existing_file(value, info)


def prompt(phase: Phase) -> Callable[[object, ValidationInfo], Path | None]:
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


def seeds(value: object, info: ValidationInfo) -> dict[PurePosixPath, Path]:
    root = root_of(info)
    files: dict[PurePosixPath, Path] = {}
    wrong: list[Part] = []
    for name, template in mapping(value, "destination: template").items():
        try:
            destination = PurePosixPath(inside(name, root).relative_to(root))
            if destination == PurePosixPath(".") or _is_git(destination):
                raise Wrong(f"{shown(name)} is not a place for a file")
            if destination in files:
                raise Wrong(f"{destination} is named twice")
            files[destination] = _existing_file(template, info)
            read_text(files[destination])
        except Wrong as fault:
            wrong.extend(((name, *at), message) for at, message in fault.parts)
    if wrong:
        raise Wrong.together(wrong)
    return files


def work_directory(value: object, info: ValidationInfo) -> Path | None:
    name = optional_text(value)
    if name is None:
        return None
    _check_path_text(name)
    try:
        path = Path(os.path.normpath(root_of(info) / Path(name).expanduser()))
    except RuntimeError:
        raise Wrong(f"{shown(name)}: there is no such home directory") from None
    repository = repository_of(root_of(info))
    if real(path).is_relative_to(real(repository)):
        raise Wrong(f"{shown(name)} is in {repository}: worktrees must be outside the repository")
    if kind(path) in ("file", "other"):
        raise Wrong(f"{shown(name)} is not a directory")
    return path


def generation_prefix(value: object, info: ValidationInfo) -> str:
    """The written prefix; else one for the directory, so that two projects take no generation for theirs."""
    return prefix_of(root_of(info)) if value is None else branch_prefix(value)


def prefix_of(root: Path) -> str:
    """The default prefix of generation branches for a configuration in the directory ``root``."""
    below = root.relative_to(repository_of(root)).as_posix()
    words = re.findall(r"[A-Za-z0-9_]+", below)
    return "-".join([*words, "generation-"])[-80:].lstrip("-")


def repository_of(root: Path) -> Path:
    """The nearest directory from ``root`` upwards that holds ``.git``, else ``root``."""
    for directory in (root, *root.parents):
        if kind(directory / ".git") != "missing":
            return directory
    return root
