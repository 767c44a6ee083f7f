"""``--cobbler-clean``: list the directories of work whose repository is gone; remove them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.config import load
from pytest_cobbler.display import escaped, named, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.repository.forsaken import Forsaken, find_forsaken
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.worktrees import remove_tree


def run(config: pytest.Config) -> int:
    """List them; with ``--cobbler-force``, remove those without kept work, or the one that is named.

    Raises:
        CobblerError: no such directory has that name, or one could not be removed.
    """
    place, name = _work_dir(config), str(config.getoption("cobbler_clean"))
    found = find_forsaken(place)
    if name:
        found = [forsaken for forsaken in found if forsaken.path.name == name]
        if not found:
            raise UsageProblem(
                f"--cobbler-clean: {shown_path(place)} has no directory {escaped(name)} without a repository",
                "List them: pytest --cobbler-clean",
            )
    if not config.getoption("cobbler_force"):
        _say(_listed(place, found, name))
        return 0
    for forsaken in found:
        if forsaken.only_by_name and not name:
            _say([f"left {_line(forsaken)}"])
        else:
            remove_tree(forsaken.path)
            _say([f"removed {shown_path(forsaken.path)}"])
    if not found:
        _say(_listed(place, found, name))
    return 0


def _work_dir(config: pytest.Config) -> Path:
    try:
        path = configuration_path(config, "--cobbler-clean")
    except UsageProblem:  # not in a project
        return default_work_dir()
    return load(path).work_dir or default_work_dir()


def _listed(place: Path, found: Sequence[Forsaken], name: str) -> Iterator[str]:
    if not found:
        yield f"Every directory in {shown_path(place)} belongs to a repository that is there."
        return
    yield f"Directories in {shown_path(place)} whose repository is gone (or on a disk that is not mounted):"
    yield from (f"  {_line(forsaken)}" for forsaken in found)
    if name:
        yield f"Remove it: pytest --cobbler-clean {escaped(name)} --cobbler-force"
        return
    if not all(forsaken.only_by_name for forsaken in found):
        yield "Remove those without kept work: pytest --cobbler-clean --cobbler-force"
    if any(forsaken.only_by_name for forsaken in found):
        yield "Remove another one: pytest --cobbler-clean NAME --cobbler-force"


def _line(forsaken: Forsaken) -> str:
    of = f"of {forsaken.repository}" if forsaken.repository else "of an unknown repository"
    kept = f", with kept work: {named(forsaken.kept, 5)}" if forsaken.kept else ""
    return f"{shown_path(forsaken.path.name)} {of}{kept}"


def _say(lines: Sequence[str] | Iterator[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
