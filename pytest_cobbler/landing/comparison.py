"""What a change does to the tests of the tip: what it hides is refused, what it weakens is noted.

Two gate runs are compared by file and function, and two trees by their test functions. A test that was
renamed, moved or removed is a change that a person can see. A test that is there as it was, and does not run,
is hidden.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_cobbler.display import counted, named
from pytest_cobbler.landing.tree_records import CaseResult, TestRun
from pytest_cobbler.languages.functions import TestFunction

__all__ = ["Comparison", "Tree", "compare"]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A tree and the tests that the gate ran on it.

    ``blobs`` is path -> object id of every file. ``functions`` reads the test functions of one of them, if it
    is of the language. ``is_test`` tells files of tests by their names. ``run`` is ``None`` if what ran is
    unknown.
    """

    blobs: Mapping[str, str]
    functions: Callable[[str], Sequence[TestFunction]]
    is_test: Callable[[str], bool]
    run: TestRun | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``hidden`` are the reasons to refuse, ``weakened`` the notes, one for each file."""

    hidden: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()


def compare(tip: Tree, merged: Tree) -> Comparison:
    """Compare the tests of a merged tree with those of the tip that it was merged with."""
    return _Comparing(tip, merged).result()


class _Comparing:
    def __init__(self, tip: Tree, merged: Tree) -> None:
        self._tip = tip
        self._merged = merged
        self._before = _ran(tip.run)
        self._after = _ran(merged.run)

    def result(self) -> Comparison:
        hidden: dict[str, str] = {}
        if self._tip.run is not None and self._merged.run is not None:
            hidden = {path: reason for path in self._before if (reason := self._hidden(path))}
        notes = [
            f"tests changed in {path}: {'; '.join(parts)}"
            for path in self._changed()
            if path not in hidden and (parts := list(self._weakened(path)))
        ]
        return Comparison(hidden=tuple(hidden.values()), weakened=tuple(notes))

    def _changed(self) -> list[str]:
        """The files of the tip with tests that the change touches or removes, or of which less runs now."""
        after = self._merged.blobs
        differ = {path for path, blob in self._tip.blobs.items() if after.get(path) != blob}
        changed = {path for path in differ if self._tip.is_test(path) or path in self._before}
        if self._merged.run is not None:
            changed |= {path for path, ran in self._before.items() if ran - self._after.get(path, Counter())}
        return sorted(changed)

    # -- hidden

    def _hidden(self, path: str) -> str:
        """Why tests of ``path`` are there and do not run; empty if it is not so."""
        before, after = self._before[path], self._after.get(path, Counter())
        is_there = path in self._merged.blobs
        is_same = is_there and self._tip.blobs.get(path) == self._merged.blobs[path]
        if is_there and not after and (is_same or self._tip.is_test(path)):
            ran = counted(sum(before.values()), "test")
            return f"{path}: {ran} of this file ran on the tip, and none runs now"
        functions = _by_name(self._tip.functions(path))
        left = _by_name(self._merged.functions(path)) if is_there else {}
        may_fail = [
            name
            for name in self._may_fail.get(path, ())
            if name in functions and functions[name].digest == _digest(left, name)
        ]
        if may_fail:
            return (
                f"{path}: as it was on the tip, where it passed, and may fail now: {named(sorted(may_fail))}"
            )
        missing = [name for name in before if name and name not in after]
        if not missing:
            return ""
        kept = [
            name for name in missing if name in functions and functions[name].digest == _digest(left, name)
        ]
        if kept:
            return f"{path}: as it was on the tip, where it ran, and does not run now: {named(sorted(kept))}"
        for name in missing:
            places = self._places(functions[name], path) if name in functions else []
            if places and not any(moved in self._after.get(place, ()) for place, moved in places):
                return f"{path}: {name} was moved to {places[0][0]} and does not run there"
        return ""

    def _places(self, function: TestFunction, path: str) -> list[tuple[str, str]]:
        """Where else the change put the function as it was: files and names."""
        return [place for place in self._put.get(function.digest, ()) if place[0] != path]

    @cached_property
    def _may_fail(self) -> Mapping[str, set[str]]:
        """File -> functions of which a case passed on the tip, and fails now as a mark expects.

        A fixture with parameters gives every case another id. So it is also enough that fewer cases pass and
        more fail so.
        """
        before = self._tip.run.results if self._tip.run else ()
        after = self._merged.run.results if self._merged.run else ()
        passed = {result.id for result in before if result.passed and not result.xfailed}
        found = {
            (result.file, result.function) for result in after if _failed_so(result) and result.id in passed
        }
        fewer = _cases(before, _passed) - _cases(after, _passed)
        found |= fewer.keys() & (_cases(after, _failed_so) - _cases(before, _failed_so)).keys()
        functions: dict[str, set[str]] = {}
        for file, function in found:
            functions.setdefault(file, set()).add(function)
        return functions

    @cached_property
    def _put(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Digest -> file and name of each function in the files of tests that the change writes."""
        put: dict[str, list[tuple[str, str]]] = {}
        for path, blob in self._merged.blobs.items():
            if self._tip.blobs.get(path) != blob and self._merged.is_test(path):
                for function in self._merged.functions(path):
                    put.setdefault(function.digest, []).append((path, function.name))
        return put

    # -- weakened

    def _weakened(self, path: str) -> Iterator[str]:
        """What a changed file checks less than before."""
        is_there = path in self._merged.blobs
        before = _by_name(self._tip.functions(path))
        after = _by_name(self._merged.functions(path)) if is_there else {}
        removed = [
            name
            for name, function in before.items()
            if function.is_test and name not in after and not self._places(function, path)
        ]
        if removed:
            where = "" if is_there else ", with the file"
            yield f"{counted(len(removed), 'test')} removed{where} ({named(removed)})"
        both = [name for name in after if name in before]
        if fewer := [name for name in both if after[name].asserts < before[name].asserts]:
            yield f"fewer asserts in {_shown(fewer)}"
        if skips := [name for name in both if after[name].skips > before[name].skips]:
            yield f"new skip or xfail in {_shown(skips)}"
        if is_there and self._merged.run is not None:
            yield from self._ran_less(path, after, skips)

    def _ran_less(
        self, path: str, functions: Mapping[str, TestFunction], skips: Collection[str]
    ) -> Iterator[str]:
        """The functions of which less ran than before; those with a new skip are named for that."""
        ran = self._after.get(path, Counter())
        for name, count in self._before.get(path, Counter()).items():
            if name and 0 < ran[name] < count:
                yield f"{name} ran with {ran[name]} of {counted(count, 'case')}"
            elif not ran[name] and name in functions and name not in skips:
                yield f"{name} does not run now"


def _ran(run: TestRun | None) -> Mapping[str, Counter[str]]:
    """File -> function -> how many of its ids ran; tests whose file is unknown are left out."""
    ran: dict[str, Counter[str]] = {}
    for result in run.results if run else ():
        if result.file and result.ran:
            ran.setdefault(result.file, Counter())[result.function] += 1
    return ran


def _cases(results: Iterable[CaseResult], which: Callable[[CaseResult], bool]) -> Counter[tuple[str, str]]:
    """File and function -> how many of its ids have such a result."""
    return Counter((result.file, result.function) for result in results if which(result))


def _passed(result: CaseResult) -> bool:
    return result.passed > 0


def _failed_so(result: CaseResult) -> bool:
    """Whether it failed as a mark expects."""
    return result.xfailed > 0 and not result.passed


def _by_name(functions: Iterable[TestFunction]) -> dict[str, TestFunction]:
    """Of functions with the same name the last one counts, as it does for Python."""
    return {function.name: function for function in functions}


def _digest(functions: Mapping[str, TestFunction], name: str) -> str:
    return functions[name].digest if name in functions else ""


def _shown(names: Iterable[str]) -> str:
    return named(name or "the file itself" for name in names)
