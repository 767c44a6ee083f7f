"""The language of a project."""

from __future__ import annotations

from pytest_cobbler.config import Config
from pytest_cobbler.config.rules import faults_for_go
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages import Go, Language, detect, get
from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_projects import Projects, find_projects
from pytest_cobbler.repository.repository import Repository


def language_of(config: Config, repository: Repository) -> Language:
    """The configured language; without one, the language of the base's files.

    Raises:
        UsageProblem: the files are a Go module, and the configuration lacks settings that Go needs.
    """
    language = _named(config, repository)
    if language.name == "python":
        return _python(config, repository)
    if language.name != "go":
        return language
    if faults := list(faults_for_go(config)):
        raise UsageProblem(
            f"go.mod: this is a Go module, but {config.path.name} is not set up for Go",
            "\n".join(f"{fault.where}: {fault.message}" for fault in faults)
            + "\nOr set another language: `language: python`, or `none` with your own gate.",
        )
    return Go(
        main=config.main_directory,
        binary=config.binary,
        kept=config.magefiles_dir,
        offline=config.gate_network == "none",
        module="" if config.gate_copies == "allow" else config.module_path or "",
    )


def _named(config: Config, repository: Repository) -> Language:
    if config.language or config.go_source_dirs:
        return get(config.language or "go")
    base = _base(config, repository)
    return detect(repository.files(base) if base else ())


def _python(config: Config, repository: Repository) -> Python:
    """Python, with the projects of the base: agents may change what a tree says of itself."""
    base = _base(config, repository)
    projects = Projects()
    if base:
        projects = find_projects(repository.files(base), lambda path: repository.read_file(base, path))
    return Python(projects=projects, accepts_copies=config.gate_copies == "allow")


def _base(config: Config, repository: Repository) -> str | None:
    branch = config.base_branch
    return repository.read_ref(f"refs/heads/{branch}") if branch else repository.head_commit()
