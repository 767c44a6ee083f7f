"""The language of a project."""

from __future__ import annotations

from functools import cache

from pytest_cobbler.config import Config
from pytest_cobbler.config.rules import faults_for_go
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.languages import Go, Language, detect, get
from pytest_cobbler.languages.python import Python
from pytest_cobbler.languages.python_projects import Projects, find_projects
from pytest_cobbler.repository.repository import Repository


def language_of(config: Config, repository: Repository, base: str | None = None) -> Language:
    """The configured language; without one, the language of the base's files.

    Args:
        base: a commit; by default the head of the configured base, or of the checkout.

    Raises:
        UsageProblem: the files are a Go module, and the configuration lacks settings that Go needs.
    """
    branch = config.base_branch
    if base is None:
        base = repository.read_ref(f"refs/heads/{branch}") if branch else repository.head_commit()
    paths = cache(lambda: repository.files(base) if base else [])
    name = config.language or ("go" if config.go_source_dirs else "")
    language = get(name) if name else detect(paths())
    if language.name == "python":
        projects = Projects()
        if base:  # and not of a tree that agents may change
            projects = find_projects(paths(), lambda path: repository.read_file(base, path))
        return Python(projects=projects, accepts_copies=config.gate_copies == "allow")
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
