"""``--cobbler-init``: write ``configuration.yaml``, filled in from the files of the repository."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.actions.survey import PROJECT_FILES, Survey, survey
from pytest_cobbler.config import load
from pytest_cobbler.config.paths import prefix_of, repository_of
from pytest_cobbler.config.template import configuration_text
from pytest_cobbler.display import escaped, escaped_lines, named
from pytest_cobbler.errors import ConfigurationProblem, UsageProblem
from pytest_cobbler.files import temporary_directory
from pytest_cobbler.invocation import FILE, announcer, project_directory
from pytest_cobbler.landing.gate_files import find_gate_files
from pytest_cobbler.languages import Step, language_names
from pytest_cobbler.repository.ownership import given_back
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.wiring.images import ImageSearch, find_image
from pytest_cobbler.wiring.suggesting import Suggested

_GATE = ("build_command", "test_command")


def run(config: pytest.Config) -> int:
    """Write the file into the directory of the project.

    Raises:
        CobblerError: the file already exists, or there is no commit to read.
    """
    with temporary_directory() as work_dir:
        # The configuration says where to work, and is not written yet.
        repository = Repository(_place(config), work_dir)
        path = repository.root / repository.directory.path / FILE
        if path.exists() or path.is_symlink():
            raise _exists(path)
        if (other := path.with_suffix(".yml")).exists():
            raise UsageProblem(
                f"{other} exists, but only {FILE} is read; nothing was changed",
                f"Rename it (git mv {other.name} {FILE}), or move it away if it belongs to another program.",
            )
        commit = repository.head_commit()
        if commit is None:
            raise UsageProblem(
                f"{repository.root} has no commit yet, and --cobbler-init reads committed files",
                "Commit at least one file, such as a README: git add -A && git commit",
            )
        seen = survey(repository, commit)
        values = seen.found
        if branch := repository.head_branch():
            values["base_branch"] = branch
        required, remarks = [*seen.required], dict[str, str]()
        search = find_image(repository, seen.language, _programs(seen), announcer(config))
        if search.image:
            values["podman_image"] = search.image
            if search.suggested:
                values.update(search.suggested.values)
                remarks["agent"] = f"Its page: {search.suggested.page} of pytest-cobbler."
        else:
            required.append("podman_image")
        if files := named(_gate_files(repository, commit, seen)):
            remarks["protected_paths"] = f"Protected, because the gate may use them: {files}."
        with given_back(repository.common_dir, [path]):
            written = {**values, "gen_prefix": prefix_of(path.parent)}
            _write(path, configuration_text(written, required, remarks))
    report = "\n".join(_report(path, seen, required, remarks, search))
    sys.stdout.write(f"{escaped_lines(report)}\n")
    return 0


def _place(config: pytest.Config) -> Path:
    """The directory of the named file, else the nearest one of a project, else the top.

    Raises:
        UsageProblem: there is no such directory.
    """
    if config.args_source is config.ArgsSource.ARGS and config.args:
        place = (config.invocation_params.dir / config.args[0]).parent
        if not place.is_dir():
            raise UsageProblem(f"there is no directory {place}", "Make it first, or correct its name.")
        return place
    here = project_directory(config)
    top = repository_of(here)
    for place in (here, *here.parents):
        if place == top or any((place / name).is_file() for name in PROJECT_FILES):
            return place
    return here


def _programs(seen: Survey) -> tuple[str, ...]:
    """The programs with which the suggested commands of the gate begin."""
    words = (str(seen.found[key]).split()[0] for key in _GATE if seen.found.get(key))
    return tuple(word for word in words if re.fullmatch(r"[a-z][\w.+-]*", word))


def _gate_files(repository: Repository, commit: str, seen: Survey) -> tuple[str, ...]:
    """The files that the gate uses, which no task may change unless ``allow_paths`` names them."""
    own = [
        Step(name=key, argv=("sh", "-c", seen.found[key]), shown=seen.found[key])
        for key in _GATE
        if key in seen.found
    ]
    found = find_gate_files(repository, [commit], own or seen.language.gate(), seen.language)
    keys: dict[str, list[str]] = {}
    for path, _, key in (file.partition(": ") for file in found.files if file.isprintable()):
        keys.setdefault(path, []).extend([key] if key else [])
    return tuple(f"{path} ({named(names)})" if names else path for path, names in keys.items())


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}") from error


def _exists(path: Path) -> UsageProblem:
    return UsageProblem(
        f"{path} already exists; nothing was changed", "To create a new one, move this one away first."
    )


def _report(
    path: Path, seen: Survey, required: list[str], remarks: Mapping[str, str], search: ImageSearch
) -> Iterator[str]:
    yield f"Wrote {path}"
    yield from (f"  {key}: {_shown(value)}" for key, value in seen.found.items())
    yield from (f"  {note}" for note in (*seen.notes, *(remarks[key] for key in remarks if key != "agent")))
    if search.suggested:
        yield f"  {_agent(search.suggested)}"
    remaining = list(_remaining(path, required, search))
    if remaining:
        yield "Fill in before the first run:"
        yield from (f"  {line}" for line in remaining)
    yield f"Then: git add {FILE} && git commit, and pytest --cobbler-doctor"


def _agent(suggested: Suggested) -> str:
    key = f"its key is from {suggested.found}" if suggested.found else f"it needs {suggested.key}"
    return f"{suggested.agent} is in the image; {key}; its page is {suggested.page}"


def _remaining(path: Path, required: list[str], search: ImageSearch) -> Iterator[str]:
    if "language" in required:
        *others, last = language_names()
        choice = f"{', '.join(others)} or {last}"
        yield f"language: {choice} (with build_command and test_command); the files do not show it"
    if missing := [key for key in _GATE if key in required]:
        yield f"{', '.join(missing)}: the commands that build and test this project (false: none)"
    if "podman_image" in required:
        which = "none of the newest images" if search.untried else "no image"
        yield (
            f"podman_image: {which} on this machine has what agents and the gate need; "
            "the README shows how to make one"
        )
        yield from (f"  {escaped(reason)}" for reason in search.reasons)
        yield from (f"    {escaped_lines(line)}" for line in search.evidence.splitlines())
    if search.suggested and not search.suggested.found:
        yield f"{search.suggested.key}: the key of {search.suggested.agent}, in the environment of pytest"
    try:
        load(path)
    except ConfigurationProblem as error:
        problems = (error.remedy or error.cause).splitlines()
        yield from (line for line in problems if ": podman_image: required" not in line)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(value.values())
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)
