"""A configuration, its repository and the active generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_cobbler.config import Config
from pytest_cobbler.errors import UsageProblem
from pytest_cobbler.repository.generations import Generation, current_tip
from pytest_cobbler.repository.identity import Identity
from pytest_cobbler.repository.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Project:
    """The project that a run, a stop or a reset works on. ``identity`` signs our commits."""

    config: Config
    repository: Repository
    identity: Identity
    generation: Generation

    @classmethod
    def of(cls, config: Config, repository: Repository, generation: Generation) -> Project:
        """The project, with the identity that git would use.

        Raises:
            RepositoryError: git has none.
        """
        return cls(
            config=config, repository=repository, identity=repository.identity(), generation=generation
        )

    @property
    def directory(self) -> Path:
        """The directory of the generation's journal, prompts, transcripts and logs."""
        return self.config.cobbler_dir / self.generation.name

    def tip(self) -> str:
        """The commit at the head of the generation branch.

        Raises:
            RepositoryError: the branch is gone.
        """
        return current_tip(self.repository, self.generation)


def open_repository(config: Config, work_dir: Path | None = None) -> Repository:
    """The repository of a configuration.

    Args:
        work_dir: replaces the configured directory.

    Raises:
        UsageProblem: the configuration is not among the repository's files, or the repository has no commit.
    """
    repository = Repository(config.root, work_dir or config.work_dir)
    if not config.root.resolve().is_relative_to(repository.root.resolve()):
        raise UsageProblem(
            f"{config.path} is not among the files of its repository",
            f"Move it to {repository.root / config.path.name}",
        )
    refuse_empty(repository)
    return repository


def refuse_empty(repository: Repository) -> None:
    """Check that the repository has a commit.

    Raises:
        UsageProblem: it has none.
    """
    if repository.head_commit() is None and not repository.list_refs("refs/heads"):
        raise UsageProblem(
            f"{repository.root} has no commit yet", "Commit something: git add -A && git commit"
        )
