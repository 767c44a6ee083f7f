"""What the configuration lets an agent reach and a change touch: network, limits, protected paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.globs import escape_glob
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.checks import PROTECTED
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.sandbox.base import Limits, Network


def agent_network(config: Config) -> Network:
    """What agents can reach beside the API, if that is served to them."""
    return Network.OPEN if config.agent_network == "open" else Network.NONE


def agent_limits(config: Config) -> Limits:
    return Limits(wall=config.task_timeout, idle=config.idle_timeout)


def protected_paths(config: Config, repository: Repository, language: Language) -> tuple[str, ...]:
    """Patterns of paths that no change may touch in this project."""
    names = (escape_glob(path) for path in _named_files(config, repository))
    directories = (f"{escape_glob(path)}/**" for path in _own_directories(config, language))
    return tuple(dict.fromkeys((*PROTECTED, *names, *directories, *config.protected_paths)))


def never_committed(config: Config, language: Language) -> tuple[str, ...]:
    """Directories whose new files a harvest does not take."""
    return (str(config.binary_dir),) if language.name == "go" else ()


def _own_directories(config: Config, language: Language) -> Iterable[str]:
    yield from never_committed(config, language)
    if config.beads_dir.is_relative_to(config.root):
        yield str(config.beads_dir.relative_to(config.root))


def _named_files(config: Config, repository: Repository) -> Iterable[str]:
    """Files of the repository that the configuration takes its word from."""
    root = repository.root.resolve()
    trusted = [config.path, config.measure_prompt, config.stitch_prompt]
    for path in (*trusted, *config.seed_files.values()):
        if path is not None and Path(path).is_relative_to(root):
            yield str(Path(path).relative_to(root))
    if config.version_file:
        yield str(config.version_file)
