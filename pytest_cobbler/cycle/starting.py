"""How a generation starts: its base, and the first commit that removes sources and writes seed files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pytest_cobbler.config import Config
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.languages import Language, detect, get
from pytest_cobbler.repository.generations import Changes, Generation, create_generation
from pytest_cobbler.repository.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Base:
    """The branch that a generation starts from, and its commit."""

    branch: str
    commit: str


def find_base(config: Config, repository: Repository) -> Base:
    """The branch to start from: the configured one, else the one checked out.

    Raises:
        RepositoryError: there is none.
    """
    branch = config.base_branch or repository.head_branch()
    if branch is None:
        raise RepositoryError(
            "HEAD is detached, so there is no branch to start from", "Check a branch out, or set base_branch."
        )
    commit = repository.read_ref(f"refs/heads/{branch}")
    if commit is None:
        raise RepositoryError(
            f"there is no branch {branch} to start from", "Set base_branch to an existing one."
        )
    return Base(branch=branch, commit=commit)


def start_generation(config: Config, repository: Repository, language: Language, base: Base) -> Generation:
    """Tag the base and make the generation branch."""
    return create_generation(
        repository,
        prefix=config.gen_prefix,
        base=base.branch,
        start=base.commit,
        identity=repository.identity(),
        now=datetime.now(),
        changes=starting_files(config, repository, language, base.commit),
    )


def language_of(config: Config, repository: Repository) -> Language:
    """The language that is configured, else the one that the base's files show."""
    if config.language:
        return get(config.language)
    base = config.base_branch
    commit = repository.read_ref(f"refs/heads/{base}") if base else repository.head_commit()
    return detect(repository.files(commit) if commit else ())


def starting_files(config: Config, repository: Repository, language: Language, start: str) -> Changes:
    """What ``Start generation`` changes: sources, if they are to be reset, and seed files."""
    remove: tuple[str, ...] = ()
    if config.reset_sources:
        tracked = repository.files(repository.tree_of(start))
        remove = tuple(path for path in tracked if _is_reset(config, language, PurePosixPath(path)))
    return Changes(reset=bool(config.reset_sources), remove=remove, write=lambda name: _seeds(config, name))


def _is_reset(config: Config, language: Language, path: PurePosixPath) -> bool:
    inside = not config.source_dirs or any(
        path.is_relative_to(PurePosixPath(directory)) for directory in _relative(config)
    )
    return inside and language.is_source(path)


def _relative(config: Config) -> list[str]:
    return [directory.relative_to(config.root).as_posix() for directory in config.source_dirs]


def _seeds(config: Config, generation: str) -> dict[str, bytes]:
    """Destination -> content, with the ancestor's placeholders filled in."""
    found = {}
    for destination, template in config.seed_files.items():
        text = template.read_text(encoding="utf-8")
        for name, value in (("Version", generation), ("ModulePath", config.module_path or "")):
            for written in (f"{{{{.{name}}}}}", f"{{{{ .{name} }}}}"):
                text = text.replace(written, value)
        found[_path(config, destination)] = text.encode()
    return found


def _path(config: Config, destination: object) -> str:
    path = PurePosixPath(str(destination))
    return path.relative_to(config.root).as_posix() if path.is_absolute() else path.as_posix()
