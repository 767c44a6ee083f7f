"""``--cobbler-clean``: list directories of work whose repository is gone, and kept work; remove them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_cobbler.actions.clean_nodes import NODES, clean_nodes, named_nodes
from pytest_cobbler.actions.locked import locked
from pytest_cobbler.config import Config, load
from pytest_cobbler.display import escaped, escaped_lines, named, one_line, shown_path
from pytest_cobbler.errors import RepositoryError, UsageProblem
from pytest_cobbler.invocation import configuration_path
from pytest_cobbler.repository.directories import remove_tree
from pytest_cobbler.repository.forsaken import Forsaken, find_forsaken
from pytest_cobbler.repository.kept_refs import kept_below, kept_by_generation
from pytest_cobbler.repository.lock import is_locked, run_lock
from pytest_cobbler.repository.moved import take_over_work
from pytest_cobbler.repository.names import ATTEMPTS, LEFT
from pytest_cobbler.repository.objects import default_work_dir
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.sessions import Sessions, sessions_by_generation
from pytest_cobbler.wiring.project import open_repository


def run(config: pytest.Config) -> int:
    """List them; with ``--cobbler-force``, remove the directories without kept work, or what is named.

    Raises:
        CobblerError: nothing has that name, or it could not be removed.
    """
    settings, name = _settings(config), str(config.getoption("cobbler_clean"))
    if name.startswith("refs/"):
        _say(_clean_refs(config, name))
        return 0
    if name == NODES or name.startswith(f"{NODES}/"):
        path = configuration_path(config, "--cobbler-clean")
        return clean_nodes(load(path), name.partition("/")[2], remove=config.getoption("cobbler_force"))
    place = (settings.work_dir if settings else None) or default_work_dir()
    repository = _repository(settings) if settings else None
    if repository and config.getoption("cobbler_force"):
        _say(_taken_over(repository))
    found = find_forsaken(place)
    if name:
        found = [forsaken for forsaken in found if forsaken.path.name == name]
        if not found:
            raise UsageProblem(
                f"--cobbler-clean: {shown_path(place)} has no directory {escaped(name)} without a repository",
                "List them: pytest --cobbler-clean",
            )
    if not config.getoption("cobbler_force"):
        kept = _kept(settings, repository) if settings and repository and not name else ()
        _say([*_listed(place, found, name), *kept])
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


def _settings(config: pytest.Config) -> Config | None:
    """The configuration; ``None`` outside of a project."""
    try:
        path = configuration_path(config, "--cobbler-clean")
    except UsageProblem:
        return None
    return load(path)


def _repository(settings: Config) -> Repository | None:
    """The repository of the project, which may have no commit yet; ``None`` if it is in none."""
    try:
        return Repository(settings.root, settings.work_dir)
    except RepositoryError:
        return None


def _taken_over(repository: Repository) -> list[str]:
    """Take over the work directory of an earlier place of this repository, as a run does: it is not gone.

    It has the log of what was spent, which the budget of a generation needs.
    """
    if is_locked(repository.common_dir):  # that run has done it
        return []
    with run_lock(repository.common_dir, "pytest --cobbler-clean"):
        return [escaped(line) for line in take_over_work(repository)]


def _kept(settings: Config, repository: Repository) -> Iterator[str]:
    """The kept work of this project's generations."""
    counts = kept_by_generation(repository, settings.gen_prefix)
    if counts:
        yield "Work of agents that did not land, in this repository:"
        yield from (f"  {escaped(place)}: {count}" for place, count in counts.items())
        yield "List or remove some of it: pytest --cobbler-clean REF, and with --cobbler-force"
    sessions = sessions_by_generation(repository)
    if sessions:
        yield "Conversations of agents, kept until their tasks land or the generation ends:"
        yield from (f"  {escaped(place)}: {count}" for place, count in sessions.items())
    yield from named_nodes(repository)


def _clean_refs(config: pytest.Config, name: str) -> Iterator[str]:
    """List the kept work that is named, or remove it."""
    settings = load(configuration_path(config, "--cobbler-clean"))
    repository = open_repository(settings)
    if not config.getoption("cobbler_force"):
        for ref, commit in _named_refs(repository, name).items():
            subject = repository.objects.text("show", "--no-patch", "--format=%s", commit)
            yield f"{escaped(ref)}: {one_line(subject)}"
        yield f"Remove it: pytest --cobbler-clean {escaped(name)} --cobbler-force"
        return
    with locked(settings, repository, "--cobbler-clean"):  # a run may add to it
        refs = _named_refs(repository, name)
        moved = repository.delete_refs(refs)
        for ref in refs.keys() - {*moved}:
            _drop_session(repository, ref)
    yield from (f"removed {escaped(ref)}, which was {refs[ref]}" for ref in refs if ref not in moved)


def _drop_session(repository: Repository, ref: str) -> None:
    """Remove the conversation that belongs to a kept attempt."""
    if ref.startswith(ATTEMPTS):
        generation, task_id, number = ref.removeprefix(ATTEMPTS).rsplit("/", 2)
        sessions = Sessions(repository, generation)
        if (kept := sessions.find(task_id)) and str(kept.number) == number:
            sessions.drop(task_id)


def _named_refs(repository: Repository, name: str) -> Mapping[str, str]:
    refs = kept_below(repository, name)
    if not refs:
        raise UsageProblem(
            f"--cobbler-clean: there is no kept work {escaped(name)}",
            f"Name some below {ATTEMPTS} or {LEFT}: pytest --cobbler-clean lists it.",
        )
    return refs


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
    sys.stdout.write("".join(f"{escaped_lines(line)}\n" for line in lines))
    sys.stdout.flush()
