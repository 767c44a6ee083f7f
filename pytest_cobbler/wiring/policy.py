"""The limits of agents and changes, from the configuration: network, limits, protected paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.globs import escape_glob, matches_any
from pytest_cobbler.landing.gate_files import GateFiles, find_gate_files
from pytest_cobbler.languages import Language, Step
from pytest_cobbler.repository.checks import Policy
from pytest_cobbler.repository.named_by_git import named_by_git
from pytest_cobbler.repository.path_table import built_in_keys, built_in_patterns, named_patterns
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.subdirectory import Subdirectory
from pytest_cobbler.sandbox.base import Limits, Network


@dataclass(frozen=True, kw_only=True)
class Protection:
    """Paths, values and modules that no change may contain.

    Paths and patterns are the project's; ``policy`` makes those of the repository out of them. ``keys`` are
    those of ``patterns`` that a key of the configuration asks for -> that key. Prompts name
    ``patterns`` and ``never``, which ``allowed`` does not open. They do not name ``hidden_directories``,
    which hold recordings, nor ``run_by_git``, what the user's own git runs, so that prompts are the same with
    and without a recording, and on every machine.
    The ``.gitignore`` files of the commits ``trusted`` count, beside those of the tip. A harvest ignores new
    files in the directories ``left_out``. pytest loads the modules ``reserved`` by their names; ``needs``
    are tool -> modules that it may import, of the tools that are installed where the gate runs.
    """

    patterns: tuple[str, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    gate: GateFiles = field(default_factory=GateFiles)
    never: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    reserved: frozenset[str] = frozenset()
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hidden_directories: tuple[str, ...] = ()
    run_by_git: tuple[str, ...] = ()
    directory: Subdirectory = field(default_factory=Subdirectory)

    @property
    def shown(self) -> tuple[str, ...]:
        """The protected paths as prompts name them."""
        own = (*self.never, *self.gate.patterns, *map(str, self.gate.keys))
        return tuple(dict.fromkeys((*own, *self.patterns, *map(str, built_in_keys()))))

    @property
    def opened(self) -> tuple[str, ...]:
        """The files of the gate that tasks may change, because ``allow_paths`` names them."""
        names = ((file, self.directory.outward(file.partition(": ")[0])) for file in self.gate.files)
        allowed = self.policy().allowed
        return tuple(shown for shown, path in names if matches_any(path, allowed, fold_case=True))

    @property
    def outside(self) -> tuple[str, ...]:
        """The patterns of paths that tasks may change outside of the project's directory."""
        return tuple(pattern for pattern in self.allowed if self.directory.is_outer(pattern))

    @property
    def _tools(self) -> Iterable[str]:
        """The tools in Python for which a module of the tree could be taken."""
        return self.gate.modules | (self.gate.programs & self.needs.keys())

    def policy(self, marked: Sequence[str] = ()) -> Policy:
        """The policy for one change.

        Args:
            marked: files in which we left conflict markers.
        """
        hidden = (_below(path) for path in (*self.hidden_directories, *self.run_by_git))
        protected = self._everywhere((*self.patterns, *hidden))
        gate = self._everywhere(self.gate.patterns)
        keys = tuple(
            replace(row, pattern=pattern)
            for row in (*built_in_keys(), *self.gate.keys)
            for pattern in self.directory.everywhere(row.pattern)
        )
        guarded = (*protected, *gate, *(row.pattern for row in keys))
        # One that opens a directory outside opens nothing protected there; it has to name that itself.
        allowed = [
            pattern
            for pattern in self.allowed
            if pattern not in self.outside or matches_any(pattern.lstrip("/"), guarded, fold_case=True)
        ]
        return Policy(
            protected=protected,
            asked={found: key for pattern, key in self.keys.items() for found in self._everywhere([pattern])},
            allowed=tuple(map(self.directory.pattern, allowed)),
            gate=gate,
            keys=keys,
            never=self._everywhere(self.never),
            trusted=self.trusted,
            named=self._everywhere(self.named),
            secrets=self.secrets,
            marked=tuple(marked),
            left_out=tuple(map(self.directory.outward, self.left_out)),
            reserved=self.reserved,
            run=self.gate.modules.union(*(self.needs.get(tool, ()) for tool in self._tools)),
            places=self.gate.places,
            directory=self.directory,
            outside=self.outside,
        )

    def _everywhere(self, patterns: Iterable[str]) -> tuple[str, ...]:
        return tuple(found for pattern in patterns for found in self.directory.everywhere(pattern))


def protection_of(
    config: Config,
    repository: Repository,
    language: Language,
    *,
    secrets: Iterable[str],
    reserved: frozenset[str],
    needs: Mapping[str, frozenset[str]],
    steps: Sequence[Step],
    trusted: Sequence[str],
    recordings: Iterable[Path] = (),
) -> Protection:
    """The protection of a project.

    Args:
        secrets: values that must not be committed.
        reserved, needs: as in :func:`~pytest_cobbler.wiring.preflight.loaded_modules`.
        steps: the gate.
        trusted: commits whose files say what the gate uses and what git ignores.
        recordings: directories that agents may not change and prompts do not name.
    """
    root, directory = repository.root.resolve(), repository.directory
    inside = [path.resolve().relative_to(root) for path in recordings if path.resolve().is_relative_to(root)]
    return Protection(
        patterns=protected_paths(config, language),
        keys=_protected_by_keys(config, language),
        allowed=tuple(config.allow_paths),
        gate=gate_files_of(config, repository, language, steps, trusted),
        never=never_landed(config),
        trusted=tuple(dict.fromkeys(trusted)),
        named=(*named_patterns(), *config.spec_globs.values()),
        secrets=tuple(secrets),
        left_out=never_committed(config, language),
        reserved=reserved,
        needs=needs,
        hidden_directories=tuple(directory.inward(path.as_posix()) for path in inside),
        run_by_git=tuple(map(directory.inward, named_by_git(repository))),
        directory=directory,
    )


def _below(directory: str) -> str:
    """The pattern of everything in a directory."""
    top, name = ("/", directory[1:]) if directory.startswith("/") else ("", directory)
    return f"{top}{escape_glob(name)}/**"


def agent_network(config: Config) -> Network:
    """What agents can reach besides the API, if the proxy serves the API to them."""
    return Network.OPEN if config.agent_network == "open" else Network.NONE


def agent_limits(config: Config) -> Limits:
    return Limits(wall=config.task_timeout, idle=config.idle_timeout, disk=config.job_disk)


def protected_paths(config: Config, language: Language) -> tuple[str, ...]:
    """Patterns of paths that no change may touch in this project."""
    return tuple(dict.fromkeys((*built_in_patterns(), *_protected_by_keys(config, language))))


def _protected_by_keys(config: Config, language: Language) -> dict[str, str]:
    """Pattern -> the key of the configuration by which no change may touch what it matches."""
    patterns = {escape_glob(path): key for path, key in _named_files(config)}
    patterns |= {f"{escape_glob(path)}/**": key for path, key in _own_directories(config, language)}
    return patterns | dict.fromkeys(config.protected_paths, "protected_paths")


def never_committed(config: Config, language: Language) -> tuple[str, ...]:
    """Directories whose new files a harvest ignores."""
    return (str(config.binary_dir),) if language.name == "go" else ()


def gate_files_of(
    config: Config, repository: Repository, language: Language, steps: Sequence[Step], trees: Iterable[str]
) -> GateFiles:
    """The files that decide in the gate, as ``trees`` have them."""
    sources = (path.relative_to(config.root) for path in config.sources if path.is_relative_to(config.root))
    return find_gate_files(repository, trees, steps, language, map(str, sources))


def never_landed(config: Config) -> tuple[str, ...]:
    """Patterns of paths that ``allow_paths`` does not open: a merge would replace the user's own files."""
    directories = (config.secrets_dir, config.cobbler_dir)
    inside = (path.relative_to(config.root) for path in directories if path.is_relative_to(config.root))
    return tuple(_below(path.as_posix()) for path in inside)


def _own_directories(config: Config, language: Language) -> Iterable[tuple[str, str]]:
    """Directories that no change may touch, and the keys that name them."""
    yield from ((path, "binary_dir") for path in never_committed(config, language))
    if config.beads_dir.is_relative_to(config.root):
        yield str(config.beads_dir.relative_to(config.root)), "beads_dir"


def _named_files(config: Config) -> Iterable[tuple[str, str]]:
    """Files of the project that the configuration reads, and the keys that name them."""
    root = config.root
    trusted = {
        "": config.path,
        "measure_prompt": config.measure_prompt,
        "stitch_prompt": config.stitch_prompt,
        "prices": config.prices,
    }
    for key, path in (*trusted.items(), *(("seed_files", path) for path in config.seed_files.values())):
        if path is not None and Path(path).is_relative_to(root):
            yield str(Path(path).relative_to(root)), key
    if config.version_file:
        yield str(config.version_file), "version_file"
