"""Where the tests of a report are in the tree: their files and functions."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_cobbler.languages.go_constraints import is_built

__all__ = ["Place", "Places"]

MOST_NAMESAKES: Final = 50
"""Files with the same name among which the end of a path is looked for."""

LARGEST_SOURCE: Final = 4 * 1024 * 1024
"""Bytes of a file in which functions are looked for."""

_GO_FUNCTION = re.compile(rb"^func[ \t]+((?:Test|Example|Fuzz|Benchmark)[^\s(]*)[ \t]*\(", re.MULTILINE)
_GO_MODULE = re.compile(rb'^module[ \t]+"?([^\s"/][^\s"]*)"?', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A test: its id, its file in the tree, and its function; empty as far as they are unknown."""

    id: str
    file: str = ""
    function: str = ""


class Places:
    """Finds the file and the function of a reported test by the paths of the tree.

    Args:
        paths: the files of the project, with slashes.
        read: the content of one of them; empty if it cannot be read.
        directory: that of the project, from where a runner may begin its paths too.
    """

    def __init__(self, paths: Iterable[str], read: Callable[[str], bytes], directory: str = "") -> None:
        self._paths = frozenset(path for path in paths if _is_text(path))
        self._read = read
        self._directory = directory
        self._go_files: dict[str, dict[str, str]] = {}

    @classmethod
    def below(cls, checkout: Path, directory: str = "") -> Places:
        """The places of the project in a checkout, which is not changed meanwhile. Links are not followed."""
        place = checkout / directory
        return cls(_files_below(place), lambda path: _read_regular(place / path), directory)

    def of_junit(self, group: str, name: str, file: str) -> Place:
        """The place of a test case with the attributes ``classname``, ``name`` and ``file``.

        pytest names the file in which a test is defined, which may be that of a base class; so the class name
        comes first. Its paths begin where its configuration is, which may be above the project.
        """
        if not group and name:  # pytest, of a file that it could not import, or that skips itself
            found, rest = self._by_group(name)
            if found and not rest:
                return Place(id=found, file=found)
        found, rest = self._by_group(group)
        if not found and (found := self._by_path(file)):
            rest = _after(group, _dotted(file))
        if found.endswith(".py"):
            function = "::".join([*rest, name.partition("[")[0]])
            return Place(id="::".join([found, *rest, name]), file=found, function=function)
        if found:
            return Place(id="::".join(part for part in (group, name) if part), file=found, function=name)
        if (place := self.of_go(group, name)).file:
            return place
        return Place(id="::".join(part for part in (group or file, name) if part))

    def of_go(self, package: str, test: str) -> Place:
        """The place of a test or subtest of a Go package."""
        function = test.partition("/")[0]
        file = self._go_functions(package).get(function, "")
        return Place(id=f"{package}.{test}", file=file, function=function if file else "")

    def _inside(self, name: str, start: str) -> str:
        """``name`` without ``start``, which names the project's directory; empty if it does not begin so."""
        return name[len(start) :] if self._directory and name.startswith(start) else ""

    def _by_group(self, group: str) -> tuple[str, list[str]]:
        """The file whose dotted path begins ``group``, and the words after it."""
        words = group.split(".")
        for count in range(min(len(words), self._deepest), 0, -1):
            found = self._by_dotted.get(".".join(words[:count]), [])
            if len(found) == 1:
                return found[0], words[count:]
        if inside := self._inside(group, f"{_dotted(self._directory)}."):
            return self._by_group(inside)
        found = self._namesakes(words[-1], group)
        return (found[0], []) if len(found) == 1 else ("", [])

    @cached_property
    def _by_dotted(self) -> dict[str, list[str]]:
        """Path with dots for slashes, as pytest prints it -> paths."""
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(_dotted(path), []).append(path)
        return found

    @cached_property
    def _deepest(self) -> int:
        return max((dotted.count(".") + 1 for dotted in self._by_dotted), default=0)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Name without its ending -> paths."""
        found: dict[str, list[str]] = {}
        for path in self._paths:
            found.setdefault(PurePosixPath(path).stem, []).append(path)
        return found

    def _namesakes(self, stem: str, group: str) -> list[str]:
        """The files for a class name such as ``com.example.FooTest``, wherever its sources begin."""
        candidates = self._by_stem.get(stem, [])
        if "." not in group or len(candidates) > MOST_NAMESAKES:
            return []
        end = "/" + group.replace(".", "/")
        return [path for path in candidates if f"/{path.rpartition('.')[0]}".endswith(end)]

    def _by_path(self, file: str) -> str:
        """The path in the tree for one that a runner printed: of another directory, or absolute."""
        if not file:
            return ""
        path = os.path.normpath(file.replace("\\", "/"))
        if path in self._paths:
            return path
        if inside := self._inside(path, f"{self._directory}/"):
            return self._by_path(inside)
        if path.startswith("/"):
            parts = path.split("/")
            ends = ("/".join(parts[begin:]) for begin in range(1, min(len(parts), 100)))
            return next((end for end in ends if end in self._paths), "")
        candidates = self._by_stem.get(PurePosixPath(path).stem, [])
        if len(candidates) > MOST_NAMESAKES:
            return ""
        found = [candidate for candidate in candidates if candidate.endswith(f"/{path}")]
        return found[0] if len(found) == 1 else ""

    def _go_functions(self, package: str) -> dict[str, str]:
        """Name of each test function of a package -> its file."""
        if package not in self._go_files:
            built: dict[str, list[str]] = {}
            others: dict[str, list[str]] = {}
            for file in self._go_tests.get(self._go_directory(package) or "", []):
                content = self._read(file)
                functions = built if is_built(file, content) else others
                for name in set(_GO_FUNCTION.findall(content)):
                    functions.setdefault(name.decode("utf-8", "replace"), []).append(file)
            # If two files have the function, the one that is built for Linux is the one that ran.
            found = others | built
            self._go_files[package] = {name: files[0] for name, files in found.items() if len(files) == 1}
        return self._go_files[package]

    def _go_directory(self, package: str) -> str | None:
        """The directory of a package, ``.`` for the root; ``None`` if its module is not in the tree."""
        found: list[str] = []
        prefix = package
        while prefix:
            if prefix in self._go_modules:
                rest = package[len(prefix) :].strip("/")
                found.append(os.path.normpath(f"{self._go_modules[prefix]}/{rest}"))
            prefix = prefix.rpartition("/")[0]
        # A module below may have the name of a package that is in the module above it.
        with_tests = [directory for directory in reversed(found) if directory in self._go_tests]
        return next(iter(with_tests or found), None)

    @cached_property
    def _go_modules(self) -> dict[str, str]:
        """Path of each module in the tree -> its directory."""
        found = {}
        # Of modules with the same name, such as those in testdata, the first is that of the project.
        for path in sorted(self._paths, key=lambda path: path.count("/"), reverse=True):
            if PurePosixPath(path).name == "go.mod" and (named := _GO_MODULE.search(self._read(path))):
                found[named[1].decode("utf-8", "replace")] = str(PurePosixPath(path).parent)
        return found

    @cached_property
    def _go_tests(self) -> dict[str, Sequence[str]]:
        """Directory -> its files with tests."""
        found: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            if path.endswith("_test.go"):
                found.setdefault(str(PurePosixPath(path).parent), []).append(path)
        return dict(found)


def _is_text(path: str) -> bool:
    """Whether a path is valid UTF-8: a report can name no other."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _dotted(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def _after(group: str, dotted: str) -> list[str]:
    """The words of ``group`` after those of ``dotted``, which may have others before it."""
    _, found, rest = f".{group}.".partition(f".{dotted}.")
    return [word for word in rest.split(".") if word] if found else []


def _files_below(directory: Path) -> Iterator[str]:
    for place, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != ".git"]
        relative = os.path.relpath(place, directory)
        for name in names:
            yield name if relative == "." else f"{relative}/{name}"


def _read_regular(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(LARGEST_SOURCE)
    return b""
