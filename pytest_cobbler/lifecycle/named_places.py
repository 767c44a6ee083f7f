"""Branches and directories that the configuration names: a misspelt one is an error, not an empty place.

Also the places that are empty for agents for another reason: submodules.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from pytest_cobbler.config import Config
from pytest_cobbler.display import escaped, named, shown_path
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.globs import matches_glob
from pytest_cobbler.languages import Language
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.wiring.languages import language_of

_MOST = 5


def checked_language(config: Config, repository: Repository, revisions: Sequence[str]) -> Language:
    """The language of the project, if what the configuration names is in the repository.

    Args:
        revisions: the commit that the generation starts from, and its tip if there is one.

    Raises:
        CobblerError: a branch or directory is unknown, or the settings do not fit the language.
    """
    branch = config.base_branch
    if branch and not repository.list_refs(f"refs/heads/{branch}", f"refs/remotes/*/{branch}"):
        branches = (
            name
            for ref in repository.list_refs("refs/heads")
            if not (name := ref.removeprefix("refs/heads/")).startswith((config.gen_prefix, "task/"))
        )
        raise UsageProblem(
            f"base_branch: there is no branch {escaped(branch)}",
            f"Set it to one of {named(map(escaped, branches), _MOST)}.",
        )
    language = language_of(config, repository)
    if config.reset_sources and language.name == "none":
        raise UsageProblem(
            "reset_sources: true, but no file is a source with language: none",
            "Set language, or reset_sources: false.",
        )
    _Places(config, repository, language, revisions).check()
    return language


def empty_submodules(repository: Repository, revision: str) -> str:
    """Which directories of ``revision`` are submodules, for display; empty if none is."""
    paths = sorted(shown_path(path) for path in repository.submodules(revision))
    return f"submodules are empty directories for agents and the gate: {named(paths)}" if paths else ""


def missing_documents(config: Config, repository: Repository, revision: str) -> str:
    """Which patterns of ``spec_globs`` match no file of ``revision``, for display; empty if each has one."""
    directory, patterns = repository.directory, dict.fromkeys(config.spec_globs.values())
    own = repository.files(revision) if patterns else []
    everything = list(repository.all_blobs(revision)) if any(map(directory.is_outer, patterns)) else []
    none = [
        pattern
        for pattern in patterns
        if not any(
            matches_glob(name, pattern) for name in (everything if directory.is_outer(pattern) else own)
        )
    ]
    return f"spec_globs: no committed file matches {named(map(escaped, none), _MOST)}" if none else ""


class _Places:
    """The files and directories that the project has, or that its configuration is about to write."""

    def __init__(
        self, config: Config, repository: Repository, language: Language, revisions: Sequence[str]
    ) -> None:
        self._config = config
        begins, *later = [list(map(PurePosixPath, repository.files(revision))) for revision in revisions]
        self._has_sources = any(
            language.is_source(path) and not language.is_test(path) and path.name not in language.module_files
            for path in begins
        )
        self._files = {*begins, *(path for files in later for path in files), *config.seed_files}
        self._directories = {parent for path in self._files for parent in path.parents}
        self._is_go = language.name == "go"
        self._knows_sources = bool(language.source_patterns)

    def check(self) -> None:
        """Check the directories. A project without sources is about to get them: any may be missing.

        Of a language whose sources are not known, all may be, unless one has nearly the name of another.
        """
        sources = [
            PurePosixPath(directory.relative_to(self._config.root)) for directory in self._config.sources
        ]
        missing = [path for path in sources if path not in self._directories | self._files]
        if not self._has_sources and not self._look_misspelt(sources, missing):
            return
        # mage-claude-orchestrator made the directories of its older key, and had removed them all at times.
        if missing and (self._config.source_dirs or len(missing) == len(sources)):
            key = "source_dirs" if self._config.source_dirs else "go_source_dirs"
            raise self._unknown(key, f"there is no directory {missing[0]}", missing[0], self._directories)
        main = self._config.main_directory
        programs = {path.parent for path in self._files if path.suffix == ".go"}
        if self._is_go and main is not None and main not in programs:
            raise self._unknown("main_package", f"there is no Go file in {main}", main, programs)

    def _look_misspelt(self, sources: Sequence[PurePosixPath], missing: Sequence[PurePosixPath]) -> bool:
        """Whether some are there, or one has nearly the name of another, if that is all to go by."""
        if self._knows_sources:
            return False
        return len(missing) < len(sources) or any(_nearest(path, self._directories) for path in missing)

    def _unknown(
        self, key: str, cause: str, path: PurePosixPath, there: Collection[PurePosixPath]
    ) -> UsageProblem:
        near = _nearest(path, there)
        guess = f"Did you mean {escaped(near)}? " if near else ""
        return UsageProblem(
            f"{key}: {escaped(cause)} in the commits of this project",
            f"{guess}Correct it, or leave it out until the directory is committed.",
        )


def _nearest(path: PurePosixPath, there: Collection[PurePosixPath]) -> str:
    """The most similar of the paths; empty if none is similar."""
    return next(iter(difflib.get_close_matches(str(path), sorted(map(str, there)), n=1)), "")
