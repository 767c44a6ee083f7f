"""The repository of a configuration."""

from __future__ import annotations

from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.repository.repository import Repository


def open_repository(config: Config, work_dir: Path | None = None) -> Repository:
    """The repository of a configuration.

    Args:
        work_dir: instead of the configured one.

    Raises:
        UsageProblem: the configuration is not at its top, or nothing was ever committed.
    """
    repository = Repository(config.root, work_dir or config.work_dir)
    if repository.root.resolve() != config.root.resolve():
        raise UsageProblem(
            f"{config.path} is not at the top of its repository",
            f"Move it to {repository.root / config.path.name}",
        )
    refuse_empty(repository)
    return repository


def refuse_empty(repository: Repository) -> None:
    """See that something was committed.

    Raises:
        UsageProblem: nothing was.
    """
    if repository.head_commit() is None and not repository.list_refs("refs/heads"):
        raise UsageProblem(
            f"{repository.root} has no commit yet", "Commit something: git add -A && git commit"
        )
