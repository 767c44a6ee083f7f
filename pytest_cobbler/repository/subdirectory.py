"""The directory of a project in its repository, and the paths of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_cobbler.display import escaped
from pytest_cobbler.errors import RepositoryError
from pytest_cobbler.globs import escape_glob


@dataclass(frozen=True)
class Subdirectory:
    """The directory with the configuration; ``path`` is empty at the top of the repository.

    Configuration, documents, languages and tests have paths of the *project*: they begin at its directory, or
    with a slash at the top of the repository. Trees and changes have paths of the *repository*, which begin
    at its top.
    """

    path: str = ""

    @property
    def name(self) -> str:
        """The path as a commit can name it."""
        return " ".join(escaped(self.path).split())

    def outward(self, path: str) -> str:
        """The path in the repository of a path of the project."""
        if path.startswith("/"):
            return path.lstrip("/")
        return f"{self.path}/{path}" if self.path else path

    def inward(self, path: str) -> str:
        """The path in the project of a path of the repository."""
        if not self.path:
            return path
        return path.removeprefix(f"{self.path}/") if self.holds(path) else f"/{path}"

    def holds(self, path: str) -> bool:
        """Whether a path of the repository lies in the directory."""
        return not self.path or path.startswith(f"{self.path}/")

    def is_replaced_by(self, path: str) -> bool:
        """Whether a file at a path of the repository would be in the place of the directory."""
        return bool(self.path) and f"{self.path}/".startswith(f"{path}/")

    def is_outer(self, pattern: str) -> bool:
        """Whether a pattern of the project begins at the top of the repository, and not at the directory."""
        return bool(self.path) and pattern.startswith("/")

    def pattern(self, pattern: str) -> str:
        """The pattern of the repository for a pattern of the project."""
        if not self.path or pattern.startswith("/"):
            return pattern
        return f"{escape_glob(self.path)}/{pattern}"

    def inward_pattern(self, pattern: str) -> str:
        """The pattern of the project for a pattern of the repository."""
        if not self.path or pattern.startswith("**/"):
            return pattern
        start = f"{escape_glob(self.path)}/"
        return pattern[len(start) :] if pattern.startswith(start) else f"/{pattern}"

    def everywhere(self, pattern: str) -> tuple[str, ...]:
        """A pattern of files that programs find by themselves: at any depth, else at the top and here."""
        if not self.path or pattern.startswith(("/", "**/")):
            return (pattern,)
        return pattern, self.pattern(pattern)

    def make_below(self, top: Path) -> list[Path]:
        """Make the directory in a checkout that may lack it; returns the directories that were made.

        Only before an agent works in the checkout: links are looked for, and could be made meanwhile.

        Raises:
            RepositoryError: a link or a file is in its place.
        """
        made = []
        place = top
        for name in PurePosixPath(self.path).parts:
            place /= name
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise RepositoryError(f"{self.path}, the directory of the project, is not a directory")
            if not place.is_dir():
                place.mkdir()
                made.append(place)
        return made
