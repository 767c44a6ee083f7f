"""The tests of a tree: what its files say, and what the gate ran."""

from __future__ import annotations

from functools import cached_property
from pathlib import PurePosixPath

from pytest_cobbler.landing.comparison import Tree
from pytest_cobbler.landing.tree_records import Failures, TestRun
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.functions import TestFunction
from pytest_cobbler.repository.repository import Repository

__all__ = ["TreeTests"]


class TreeTests:
    """A tree and its tests.

    Args:
        run: the tests that the gate ran on it; ``None`` if what ran is unknown.
        passed: whether the gate passed on it.
        failures: how the gate failed, if that is known.
    """

    def __init__(
        self,
        repository: Repository,
        language: Language,
        tree: str,
        run: TestRun | None,
        *,
        passed: bool,
        failures: Failures | None = None,
    ) -> None:
        self._repository = repository
        self._functions: dict[str, tuple[TestFunction, ...]] = {}
        self.language = language
        self.tree = tree
        self.run = run
        self.passed = passed
        self.failures = failures

    @cached_property
    def blobs(self) -> dict[str, str]:
        """Path -> object id of every regular file."""
        return self._repository.blobs(self.tree)

    def read(self, path: str) -> bytes:
        [(_, content)] = self._repository.read_blobs([self.blobs[path]])
        return content

    def functions(self, path: str) -> tuple[TestFunction, ...]:
        """The test functions of a file."""
        if path not in self._functions:
            is_source = self.language.is_source(PurePosixPath(path))
            self._functions[path] = (
                self.language.functions(PurePosixPath(path), self.read(path)) if is_source else ()
            )
        return self._functions[path]

    def is_test(self, path: str) -> bool:
        return self.language.is_test(PurePosixPath(path))

    @cached_property
    def holders(self) -> tuple[str, ...]:
        """The files that hold tests by the language's own rule."""
        paths = [path for path in self.blobs if self.is_test(path)]
        contents = dict(self._repository.read_blobs(sorted({self.blobs[path] for path in paths})))
        return tuple(
            path
            for path in paths
            if self.language.holds_tests(PurePosixPath(path), contents[self.blobs[path]])
        )

    @property
    def has_sources(self) -> bool:
        return any(self.language.is_source(PurePosixPath(path)) for path in self.blobs)

    @property
    def compared(self) -> Tree:
        return Tree(blobs=self.blobs, functions=self.functions, is_test=self.is_test, run=self.run)
