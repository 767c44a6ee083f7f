"""How a generation starts: its base, and the first commit that removes sources and writes seed files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pytest_cobbler.config import Config
from pytest_cobbler.display import counted, named, shown_path
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.base import lines
from pytest_cobbler.repository.generations import (
    Changes,
    Draft,
    Generation,
    create_generation,
    draft_generation,
)
from pytest_cobbler.repository.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Base:
    """The branch that a generation starts from, and its commit."""

    branch: str
    commit: str


def find_base(config: Config, repository: Repository) -> Base:
    """The branch to start from: the configured one, else the one that is checked out.

    Raises:
        RepositoryError: there is none.
    """
    branch = config.base_branch or repository.head_branch()
    if branch is None:
        raise RepositoryError(
            "HEAD is detached, so there is no branch to start from", "Check out a branch, or set base_branch."
        )
    commit = repository.read_ref(f"refs/heads/{branch}")
    if commit is None:
        raise RepositoryError(
            f"there is no branch {branch} to start from", "Set base_branch to an existing branch."
        )
    return Base(branch=branch, commit=commit)


def draft(config: Config, repository: Repository, language: Language, base: Base) -> Draft:
    """The generation that would be started now."""
    return draft_generation(
        repository,
        prefix=config.gen_prefix,
        base=base.branch,
        start=base.commit,
        now=datetime.now(),
        changes=starting_files(config, repository, language, base.commit),
    )


def start_generation(config: Config, repository: Repository, language: Language, base: Base) -> Generation:
    """Tag the base and make the generation branch."""
    return create_generation(repository, draft(config, repository, language, base), repository.identity())


def uncommitted(config: Config, repository: Repository) -> str:
    """A line with the uncommitted paths of the checkout, which agents do not see; empty if there are none."""
    paths = _not_seen(config, repository)
    return f"Not committed, so agents do not see it: {named(paths)}" if paths else ""


def unseen_paths(config: Config, repository: Repository, generation: Generation | None) -> list[str]:
    """The uncommitted paths of the checkout that a run concerns and its agents do not see, for display.

    Those of a generation that goes on have its files; of the checkout, only the configuration is used.
    """
    if generation is None:
        return _not_seen(config, repository)
    own = repository.directory.outward(config.path.relative_to(config.root).as_posix())
    return [shown_path(path) for path in repository.uncommitted(only=own)]


def _not_seen(config: Config, repository: Repository) -> list[str]:
    """The uncommitted paths, without the directory of the credential, which has to stay uncommitted."""
    own = config.secrets_dir.relative_to(config.root).as_posix()
    secret = shown_path(repository.directory.outward(own))
    paths = changed_paths(config, repository)
    return [path for path in paths if path.rstrip("/") != secret and not path.startswith(f"{secret}/")]


def changed_paths(config: Config, repository: Repository, *, new: bool = True) -> list[str]:
    """The paths of the checkout that differ from HEAD, for display.

    Those of the tracker and of pytest-cobbler itself are left out.

    Args:
        new: whether to include untracked files.
    """
    own = [path.relative_to(config.root).as_posix() for path in (config.beads_dir, config.cobbler_dir)]
    excluded = [os.fsencode(repository.directory.outward(path)) for path in own]
    return [
        shown_path(path)
        for path in repository.uncommitted(new=new)
        if not any(path.rstrip(b"/") == place or path.startswith(place + b"/") for place in excluded)
    ]


def removed_sources(repository: Repository, generation: Generation) -> str:
    """The text on the sources that the generation's first commit removed; empty if it removed none."""
    if not generation.reset:
        return ""
    gone = set(repository.files(generation.start)) - set(repository.files(generation.first))
    return _without(repository, generation.start, gone)


def sources_to_remove(config: Config, repository: Repository, language: Language, base: Base) -> str:
    """As ``removed_sources``, for a generation that a run would start.

    Raises:
        CobblerError: its first commit could not be made.
    """
    changes = starting_files(config, repository, language, base.commit)
    text = _without(repository, base.commit, set(changes.remove) - changes.write("").keys())
    return f"{text} (reset_sources: false keeps them)" if text and config.reset_sources is None else text


def _without(repository: Repository, commit: str, gone: Collection[str]) -> str:
    if not gone:
        return ""
    blobs = [blob for path, blob in repository.blobs(commit).items() if path in gone]
    length = {blob: lines(content) for blob, content in repository.read_blobs(sorted(set(blobs)))}
    total = sum(length[blob] for blob in blobs)
    return f"begins without its sources: {counted(len(gone), 'file')}, {counted(total, 'line')}"


def starting_files(config: Config, repository: Repository, language: Language, start: str) -> Changes:
    """The changes of the first commit: removed sources, the module file, seed files."""
    reset = language.resets_sources if config.reset_sources is None else config.reset_sources
    module = _module_file(config, repository, language, start, anew=reset)
    return Changes(
        reset=reset,
        remove=tuple(_reset_sources(config, repository, language, start)) if reset else (),
        write=lambda name: module | _seeds(config, name),
    )


def _reset_sources(config: Config, repository: Repository, language: Language, start: str) -> Iterator[str]:
    directories = [PurePosixPath(directory.relative_to(config.root)) for directory in config.sources]
    submodules = repository.submodules(start)
    for name in repository.files(repository.tree_of(start)):
        path = PurePosixPath(name)
        inside = not directories or any(path.is_relative_to(directory) for directory in directories)
        if inside and language.is_source(path) and path != config.version_file and name not in submodules:
            yield name


def _module_file(
    config: Config, repository: Repository, language: Language, start: str, *, anew: bool
) -> dict[str, bytes]:
    """The module file: rewritten if the sources are reset, else created if it is missing."""
    for name in language.module_files if config.module_path else ():
        content = repository.read_file(start, name)
        if (anew or content is None) and (file := language.module_file(content, config.module_path or "")):
            return dict([file])
    return {}


def _seeds(config: Config, generation: str) -> dict[str, bytes]:
    """Destination -> content, with the placeholders filled in."""
    contents = {}
    for destination, template in config.seed_files.items():
        text = template.read_text(encoding="utf-8")
        for name, value in (("Version", generation), ("ModulePath", config.module_path or "")):
            for placeholder in (f"{{{{.{name}}}}}", f"{{{{ .{name} }}}}"):
                text = text.replace(placeholder, value)
        contents[_path(config, destination)] = text.encode()
    return contents


def _path(config: Config, destination: object) -> str:
    path = PurePosixPath(str(destination))
    return path.relative_to(config.root).as_posix() if path.is_absolute() else path.as_posix()
