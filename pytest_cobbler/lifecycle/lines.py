"""The lines of the sources at a commit, for the records of items and for statistics."""

from __future__ import annotations

import threading
from pathlib import PurePosixPath

from pytest_cobbler.languages import Language, LineCount
from pytest_cobbler.languages.base import lines
from pytest_cobbler.repository.repository import Repository


class SourceLines:
    """Counts the lines of a language's sources. Reads each blob once. Thread-safe."""

    def __init__(self, repository: Repository, language: Language) -> None:
        self._repository = repository
        self._language = language
        self._lines: dict[str, int] = {}
        self._lock = threading.Lock()

    def at(self, revision: str) -> LineCount:
        """The lines at ``revision``."""
        blobs = {
            path: blob
            for name, blob in self._repository.blobs(revision).items()
            if self._language.is_source(path := PurePosixPath(name))
        }
        with self._lock:
            unread = sorted(set(blobs.values()) - self._lines.keys())
            for blob, content in self._repository.read_blobs(unread):
                self._lines[blob] = lines(content)
            production = test = 0
            for path, blob in blobs.items():
                if self._language.is_test(path):
                    test += self._lines[blob]
                else:
                    production += self._lines[blob]
        return LineCount(production=production, test=test)
