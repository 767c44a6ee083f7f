"""What a language knows: its sources, how they are counted, and the gate that a project has by default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of the gate; it passes with exit status 0.

    ``name`` is build, test, or what a hook of the project calls it; ``shown`` is the command in a person's
    words, for headers and reports.
    """

    name: str
    argv: tuple[str, ...]
    shown: str


@dataclass(frozen=True, kw_only=True)
class LineCount:
    """Lines of source files, blank ones and comments too."""

    production: int = 0
    test: int = 0

    def __add__(self, other: LineCount) -> LineCount:
        return LineCount(production=self.production + other.production, test=self.test + other.test)


class Language(Protocol):
    """Paths are those of git: relative to the repository, with slashes."""

    @property
    def name(self) -> str:
        """As the key ``language`` spells it."""
        ...

    @property
    def source_patterns(self) -> tuple[str, ...]:
        """Globs for the names of source files."""
        ...

    @property
    def module_files(self) -> tuple[str, ...]:
        """Files at the root that describe the module to the language's tools."""
        ...

    @property
    def resets_sources(self) -> bool:
        """Whether a generation begins without the sources where ``reset_sources`` says nothing."""
        ...

    def is_source(self, path: PurePosixPath) -> bool:
        """Whether ``path`` is a source file of the project's own."""
        ...

    def is_test(self, path: PurePosixPath) -> bool:
        """Whether ``path`` is a source file that belongs to tests."""
        ...

    def count(self, files: Iterable[tuple[PurePosixPath, bytes]]) -> LineCount:
        """Lines in those of ``files`` (path, content) that are sources."""
        ...

    def default_build(self) -> Step | None:
        """The gate's first step where ``build_command`` says nothing; passes on an empty project."""
        ...

    def default_test(self) -> Step | None:
        """The gate's second step where ``test_command`` says nothing; passes while there are no tests."""
        ...

    def gate(self) -> tuple[Step, ...]:
        """The default steps that there are, in order."""
        ...

    @property
    def lists_modules(self) -> tuple[str, ...]:
        """A command that prints, a line each, the modules that the gate's tools load under a fixed name."""
        ...

    def module_file(self, found: bytes | None, module_path: str) -> tuple[str, bytes] | None:
        """Path and content of the file that names the module, made from what was ``found`` there."""
        ...


class NamedSources:
    """A language whose sources are told by their names, and whose tests are told by ``is_test``."""

    source_patterns: tuple[str, ...] = ()
    resets_sources = False
    lists_modules: tuple[str, ...] = ()

    def is_source(self, path: PurePosixPath) -> bool:
        return any(path.match(pattern) for pattern in self.source_patterns)

    def is_test(self, _path: PurePosixPath) -> bool:
        return False

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

    def gate(self) -> tuple[Step, ...]:
        return tuple(step for step in (self.default_build(), self.default_test()) if step is not None)

    def module_file(self, _found: bytes | None, _module_path: str) -> tuple[str, bytes] | None:
        return None


def lines(content: bytes) -> int:
    """Lines in ``content``; a last one without its newline counts too."""
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
