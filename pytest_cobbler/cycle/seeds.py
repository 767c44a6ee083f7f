"""What the first commit of a generation changes: sources that go, seed files that come."""

from __future__ import annotations

from pathlib import PurePosixPath

from pytest_cobbler.config import Config
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.generations import Changes
from pytest_cobbler.repository.repository import Repository


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
