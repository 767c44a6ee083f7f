"""Runs of the gate with planted tests: of which directories it shows that their tests decide."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.planting import nearest, plant, unprinted, unreported
from pytest_cobbler.landing.tests_of_trees import TreeTests
from pytest_cobbler.landing.tree_records import TestRun
from pytest_cobbler.languages.planted import PlantedTest

__all__ = ["PlantedRuns", "Shown"]

_MOST_ALONE: Final = 10
"""Directories whose planted tests have a run of the gate to themselves."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The directories with planted tests, and those of them in which these do not decide.

    In ``off``, a failing test leaves the gate green, or is not in its report. In ``unclear`` the gate fails,
    and says nothing of the failing test; it fails with a passing one, too. ``untried`` were too many.
    """

    planted: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()
    untried: frozenset[str] = frozenset()

    @property
    def doubtful(self) -> frozenset[str]:
        return self.off | self.unclear | self.untried

    def with_others(self, others: Shown) -> Shown:
        """These, but for those that were unclear: they are among ``others``."""
        return replace(
            others, off=self.off | others.off, untried=(self.untried | others.untried) - others.off
        )


@dataclass(frozen=True, kw_only=True)
class PlantedRuns:
    """Plants tests in one tree after the other.

    ``run`` runs the gate on a tree in which files have other contents, with the file of its output.
    ``reports``: the gate reports what ran.
    """

    run: Callable[[TreeTests, Mapping[str, bytes], Path], GateResult]
    reports: bool

    def show(
        self, tests: TreeTests, wanted: Mapping[str, tuple[str, ...]], log: Path, near: Iterable[str]
    ) -> Shown:
        """Plant a test for each example in ``wanted``.

        Args:
            near: paths close to the directories in which tests most likely do not decide.
        """
        planted = plant(tests, wanted, _token)
        if not planted:
            return Shown()
        every = _directories(planted)
        result = self._failing(tests, planted, log)
        if result.passed:
            return Shown(planted=every, off=every)
        if self.reports:  # the gate left a report before: without one, none of them is in it
            return Shown(planted=every, off=_directories(unreported(planted, result.tests or TestRun())))
        found = self._alone(tests, planted, log, near)
        if found.unclear:
            # The gate may refuse a new file, for what its first lines do not say: one that is there says it.
            again = {path: names for path, names in wanted.items() if _directory(path) in found.unclear}
            found = found.with_others(self._inside(tests, again, log, near))
        return replace(found, planted=every)

    def _inside(
        self, tests: TreeTests, wanted: Mapping[str, tuple[str, ...]], log: Path, near: Iterable[str]
    ) -> Shown:
        """The same with tests in files that are there."""
        planted = plant(tests, wanted, _token, inside=True)
        if self._failing(tests, planted, log).passed:
            return Shown(off=_directories(planted))
        return self._alone(tests, planted, log, near)

    def _alone(
        self, tests: TreeTests, planted: tuple[PlantedTest, ...], log: Path, near: Iterable[str]
    ) -> Shown:
        """Run those planted tests alone of which the gate printed nothing when it failed with all of them.

        It may stop at the first failure, and it may print no failures. But it may also fail for another
        reason before it runs any test: then it fails with passing tests, too.
        """
        silent = nearest(unprinted(planted, log.read_bytes()), near)
        off: set[PlantedTest] = set()
        needs_proof = True
        for test in silent[:_MOST_ALONE]:
            if len(planted) > 1:
                if self._failing(tests, [test], log).passed:
                    off.add(test)
                    continue
                if not unprinted([test], log.read_bytes()):
                    continue
            if needs_proof and not self._passing(tests, silent, log).passed:
                return Shown(off=_directories(off), unclear=_directories(silent) - _directories(off))
            needs_proof = False
        return Shown(off=_directories(off), untried=_directories(silent[_MOST_ALONE:]))

    def _failing(self, tests: TreeTests, planted: Iterable[PlantedTest], log: Path) -> GateResult:
        return self.run(tests, {test.path: test.content for test in planted}, log)

    def _passing(self, tests: TreeTests, planted: Iterable[PlantedTest], log: Path) -> GateResult:
        return self.run(tests, {test.path: test.passing for test in planted}, log)


def _directories(planted: Iterable[PlantedTest]) -> frozenset[str]:
    return frozenset(_directory(test.path) for test in planted)


def _directory(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _token() -> str:
    # The first digit is a letter, so that a name may begin with it.
    return f"{secrets.choice('abcdef')}{secrets.token_hex(4)}"
