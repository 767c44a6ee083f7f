"""Languages: their source files, how to count lines, and the default gate of a project."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from pytest_cobbler.languages.functions import TestFunction
from pytest_cobbler.languages.planted import PlantedTest

TESTED_COPY = "it tested a copy of the project"
"""Why a gate fails that could not see a fault in the tree."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the gate; it passes with exit status 0.

    ``name`` is build, test, or a name from a hook of the project; ``shown`` is the command as a person would
    write it, for headers and reports. ``reasons`` are the meanings of exit statuses, where they have one.
    ``notes`` is a command that prints, a line each, notes for people on a step that passed. ``report`` is the
    file in which it leaves the results of its tests, as in ``Job.collect``; ``holds_report``: it keeps other
    processes from the file, as in ``Job.held``. ``prints_events``: its output is that of ``go test -json``.
    """

    name: str
    argv: tuple[str, ...]
    shown: str
    reasons: tuple[tuple[int, str], ...] = ()
    notes: tuple[str, ...] = ()
    report: str = ""
    holds_report: bool = False
    prints_events: bool = False


@dataclass(frozen=True, kw_only=True)
class LineCount:
    """Lines of source files, including blank lines and comments."""

    production: int = 0
    test: int = 0

    def __add__(self, other: LineCount) -> LineCount:
        return LineCount(production=self.production + other.production, test=self.test + other.test)


class Language(Protocol):
    """A language. Paths are git's: relative to the repository, with slashes."""

    @property
    def name(self) -> str:
        """The value of the key ``language``."""
        ...

    @property
    def source_patterns(self) -> tuple[str, ...]:
        """Globs that the names of source files match."""
        ...

    @property
    def module_files(self) -> tuple[str, ...]:
        """Files at the root that describe the module to the language's tools."""
        ...

    @property
    def resets_sources(self) -> bool:
        """Whether a generation starts without the sources if ``reset_sources`` is not set."""
        ...

    def is_source(self, path: PurePosixPath) -> bool:
        """Whether ``path`` is a source file of the project itself."""
        ...

    def is_test(self, path: PurePosixPath) -> bool:
        """Whether ``path`` is a source file that belongs to tests."""
        ...

    def functions(self, path: PurePosixPath, content: bytes) -> tuple[TestFunction, ...]:
        """The test functions of a file, and what is outside of them (an empty name); of others, nothing."""
        ...

    def holds_tests(self, path: PurePosixPath, content: bytes) -> bool:
        """Whether the language's own test runner finds tests in the file, if nothing tells it otherwise."""
        ...

    def planted(
        self, path: str, content: bytes, functions: Collection[str], token: str, inside: bool = False
    ) -> PlantedTest | None:
        """A failing test that is found where the tests ``functions`` of the file ``path`` are found.

        Args:
            token: hexadecimal digits, for names that no file and no test has.
            inside: whether it is at the end of the file, if that is possible, and not in a new one beside it.
        """
        ...

    def count(self, files: Iterable[tuple[PurePosixPath, bytes]]) -> LineCount:
        """Lines in the source files among ``files`` (path, content)."""
        ...

    def default_build(self) -> Step | None:
        """The first step of the gate if ``build_command`` is not set; passes on an empty project."""
        ...

    def default_test(self) -> Step | None:
        """The second step of the gate if ``test_command`` is not set; passes if there are no tests."""
        ...

    def gate(self) -> tuple[Step, ...]:
        """The default steps of the language, in order."""
        ...

    def notes_on_commands(self) -> tuple[str, ...]:
        """A command that prints, a line each, notes on tests by the project's own command; empty if none."""
        ...

    @property
    def lists_modules(self) -> tuple[str, ...]:
        """A command that prints, a line each, the modules that the gate's tools load under a fixed name."""
        ...

    def module_file(self, content: bytes | None, module_path: str) -> tuple[str, bytes] | None:
        """Path and new content of the file that names the module; ``content`` is its present content."""
        ...


class NamedSources:
    """A language whose source files are recognized by name, and whose tests by ``is_test``."""

    source_patterns: tuple[str, ...] = ()
    resets_sources = False
    lists_modules: tuple[str, ...] = ()

    def is_source(self, path: PurePosixPath) -> bool:
        return any(path.match(pattern) for pattern in self.source_patterns)

    def is_test(self, _path: PurePosixPath) -> bool:
        return False

    def functions(self, _path: PurePosixPath, _content: bytes) -> tuple[TestFunction, ...]:
        return ()

    def holds_tests(self, _path: PurePosixPath, _content: bytes) -> bool:
        return False

    def planted(
        self, _path: str, _content: bytes, _functions: Collection[str], _token: str, _inside: bool = False
    ) -> PlantedTest | None:
        return None

    def count(self, files: Iterable[tuple[PurePosixPath, bytes]]) -> LineCount:
        production = test = 0
        for path, content in files:
            if self.is_test(path):
                test += lines(content)
            elif self.is_source(path):
                production += lines(content)
        return LineCount(production=production, test=test)

    def default_build(self) -> Step | None:
        return None

    def default_test(self) -> Step | None:
        return None

    def notes_on_commands(self) -> tuple[str, ...]:
        return ()

    def gate(self) -> tuple[Step, ...]:
        return tuple(step for step in (self.default_build(), self.default_test()) if step is not None)

    def module_file(self, _content: bytes | None, _module_path: str) -> tuple[str, bytes] | None:
        return None


def lines(content: bytes) -> int:
    """Lines in ``content``; a last line without a newline counts."""
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
