"""The numbers of attempts, and the directories that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

UNCOUNTED = "uncounted"
"""A file in the directory of an attempt whose number is free again."""


class AttemptNumbers:
    """Counts the attempts of each task, and of each measure, over all runs of a generation.

    A number is taken once a kept attempt or a directory has it. The attempts of one name are counted by one
    thread at a time.

    Args:
        directory: of the generation; the attempts are below it.
        kept: task id -> number of its last kept attempt.
    """

    def __init__(self, directory: Path, kept: Mapping[str, int]) -> None:
        self._directory = directory / "attempts"
        self._last = dict(kept)

    def next(self, name: str) -> int:
        """The number of the next attempt of a task or measure."""
        number = max(self._last.get(name, 0), self._last_directory(name)) + 1
        self._last[name] = number
        (self.directory(name, number) / UNCOUNTED).unlink(missing_ok=True)
        return number

    def forget(self, name: str, number: int) -> None:
        """Give the number to the next attempt, because no agent has worked in this one."""
        self._last[name] = number - 1
        directory = self.directory(name, number)
        directory.mkdir(parents=True, exist_ok=True)  # the history may have been deleted
        (directory / UNCOUNTED).touch()

    def directory(self, name: str, number: int) -> Path:
        """Where prompt, transcript, logs and result of an attempt lie."""
        return self._directory / name / str(number)

    def directories(self, name: str) -> Path:
        """The directory that holds those of all attempts."""
        return self._directory / name

    def _last_directory(self, name: str) -> int:
        counted = [path for path in self.directories(name).glob("*") if not (path / UNCOUNTED).exists()]
        return max((int(path.name) for path in counted if path.name.isdigit()), default=0)
