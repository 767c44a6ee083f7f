"""Planted tests: whether a gate still fails if a test fails, in every directory of which it runs tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from pytest_cobbler.landing.tests_of_trees import TreeTests
from pytest_cobbler.landing.tree_records import TestRun
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.planted import PlantedTest

__all__ = [
    "below",
    "examples",
    "may_switch_tests_off",
    "nearest",
    "packages_above",
    "plant",
    "unprinted",
    "unreported",
]

_DOCUMENTS: Final = frozenset({".adoc", ".markdown", ".md", ".org", ".rst"})
_DOCUMENT_NAMES: Final = re.compile(
    r"(?:AUTHORS|CHANGELOG|CHANGES|COPYING|LICEN[CS]E|NOTICE|README)(?:\.txt)?"
)


def may_switch_tests_off(path: str, language: Language) -> bool:
    """Whether a file may switch tests off: a conftest.py, or neither source, test nor document."""
    place = PurePosixPath(path)
    if place.name == "conftest.py":
        return True
    is_document = place.suffix in _DOCUMENTS or _DOCUMENT_NAMES.fullmatch(place.name)
    return not (is_document or language.is_source(place) or language.is_test(place))


def packages_above(tests: Mapping[str, object], paths: Iterable[str]) -> tuple[str, ...]:
    """Those of ``paths`` that make a package of a directory with some of the files ``tests``, or above one.

    unittest finds tests in packages alone, and a package can name its tests itself (``load_tests``).
    """
    packages = (path for path in paths if PurePosixPath(path).name == "__init__.py")
    return tuple(path for path in packages if below((path,), tests))


def below(packages: Iterable[str], tests: Mapping[str, object]) -> set[str]:
    """Those of the files ``tests`` that lie in one of the packages with these ``__init__.py``, or below."""
    above = {PurePosixPath(path).parent for path in packages}
    return {test for test in tests if above.intersection(PurePosixPath(test).parents)}


def examples(tests: TreeTests) -> Mapping[str, tuple[str, ...]]:
    """File -> functions: an example for each directory and kind of test that the gate runs.

    If what ran is unknown, the language's own rule decides.
    """
    chosen: dict[tuple[str, bool], tuple[bool, str, tuple[str, ...]]] = {}
    for path, functions in _found(tests):
        names = tuple(sorted(functions))
        key = (str(PurePosixPath(path).parent), bool(names))
        # A file with a function outside of classes is the better example: its name can be imitated.
        rated = (all("::" in name for name in names), path, names)
        chosen[key] = min(rated, chosen.get(key, rated))
    return {path: names for _, path, names in chosen.values()}


def plant(
    tests: TreeTests,
    wanted: Mapping[str, tuple[str, ...]],
    make_token: Callable[[], str],
    *,
    inside: bool = False,
) -> tuple[PlantedTest, ...]:
    """A failing test for each example that the tree has, in a new file or ``inside`` that of the example."""
    planted = (
        tests.language.planted(path, tests.read(path), functions, make_token(), inside)
        for path, functions in sorted(wanted.items())
        if path in tests.blobs
    )
    return tuple(test for test in planted if test is not None)


def unreported(planted: Iterable[PlantedTest], run: TestRun) -> tuple[PlantedTest, ...]:
    """The planted tests that a gate did not report as failed."""
    failed = {(result.file, result.function) for result in run.results if result.failed}
    files = {file for file, _ in failed}
    return tuple(
        test
        for test in planted
        if not ((test.path, test.function) in failed if test.function else test.path in files)
    )


def unprinted(planted: Iterable[PlantedTest], output: bytes) -> tuple[PlantedTest, ...]:
    """The planted tests of whose failure the output of a gate says nothing."""
    return tuple(test for test in planted if test.proof.encode() not in output)


def nearest(planted: Iterable[PlantedTest], near: Iterable[str]) -> tuple[PlantedTest, ...]:
    """The planted tests, first those in directories that are close to one of the paths.

    Chance decides between those that are equally close: a change cannot choose those that come last.
    """
    places = [PurePosixPath(path) for path in near]

    def distance(test: PlantedTest) -> tuple[int, str]:
        around = PurePosixPath(test.path).parents
        common = (len({place, *place.parents}.intersection(around)) for place in places)
        return -max(common, default=0), test.proof

    return tuple(sorted(planted, key=distance))


def _found(tests: TreeTests) -> Iterator[tuple[str, set[str]]]:
    """The files with tests, with their functions; none if they are doctests."""
    if tests.run is None:
        for path in tests.holders:
            yield path, {function.name for function in tests.functions(path) if function.is_test}
        return
    ran: dict[str, set[str]] = {}
    for result in tests.run.results:
        if result.ran and result.file in tests.blobs:
            ran.setdefault(result.file, set()).add(result.function)
    for path, names in ran.items():
        written = {function.name for function in tests.functions(path)}
        functions = {name for name in names if name in written or _last(name).startswith("test")} - {""}
        if functions:
            yield path, functions
        if any(_is_doctest(path, name) for name in names - functions):
            yield path, set()


def _is_doctest(path: str, name: str) -> bool:
    """Whether pytest names a doctest of a module so: ``package.module.function``, or the module alone."""
    place = PurePosixPath(path)
    module = place.parent.name if place.stem == "__init__" else place.stem
    return place.suffix == ".py" and f".{module}." in f".{_last(name)}."


def _last(name: str) -> str:
    return name.rpartition("::")[2]
