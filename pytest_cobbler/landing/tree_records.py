"""The record of a tree: what the gate ran on it, under which conditions, and with which verdict.

Records are kept on the host, outside of the repository, where no job can write. A record that is missing or
cannot be read only means that the gate has to run.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import escaped, named
from pytest_cobbler.files import lock, write_atomically

__all__ = [
    "FAILED",
    "PASSED",
    "UNKNOWN",
    "CaseResult",
    "Conditions",
    "Counts",
    "Failures",
    "TestRun",
    "TreeRecord",
    "TreeRecords",
    "digests",
    "failing",
    "summary_of",
    "verdict_of",
]

PASSED: Final = "passed"
FAILED: Final = "failed"
UNKNOWN: Final = "what ran is unknown"
"""Shown instead of counts if the gate left no report."""

MOST: Final = 500
"""Records in a store. The oldest are removed, as their trees can be tested again."""

_PATIENCE: Final = 30.0
"""Seconds to wait for another process that keeps a record."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How often tests passed, failed, were skipped, and failed as a mark of theirs expects (``xfailed``)."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    xfailed: int = 0

    def __post_init__(self) -> None:
        if min(self.passed, self.failed, self.skipped, self.xfailed) < 0:
            raise ValueError("a count of tests is negative")

    @property
    def ran(self) -> int:
        return self.passed + self.failed + self.xfailed

    @property
    def summary(self) -> str:
        """The counts for people: ``12 passed, 1 skipped``, or ``no tests``."""
        numbers = {
            "failed": self.failed,
            "passed": self.passed,
            "skipped": self.skipped,
            "xfailed": self.xfailed,
        }
        words = [f"{number} {word}" for word, number in numbers.items() if number]
        return ", ".join(words) or "no tests"


@dataclass(frozen=True, kw_only=True)
class CaseResult(Counts):
    """The results of one test; a test that ran several times has several.

    ``id`` is the test as its runner names it, ``file`` its path in the tree, ``function`` its name in the
    file, without parameters and subtests: ``TestA::test_b``. ``file`` and ``function`` are empty if the
    report does not tell them.
    """

    id: str
    file: str = ""
    function: str = ""


@dataclass(frozen=True)
class TestRun:
    """The tests that a gate reported: one result for each id, in the order of the report."""

    __test__ = False

    results: tuple[CaseResult, ...] = ()

    @classmethod
    def of(cls, results: Iterable[CaseResult]) -> TestRun:
        """The run with these results; those of the same id are added up."""
        by_id: dict[str, CaseResult] = {}
        for result in results:
            earlier = by_id.get(result.id)
            by_id[result.id] = result if earlier is None else _sum(earlier, result)
        return cls(tuple(by_id.values()))

    def __add__(self, other: TestRun) -> TestRun:
        return TestRun.of((*self.results, *other.results))

    @functools.cached_property
    def counts(self) -> Counts:
        return _total(self.results)

    @functools.cached_property
    def by_file(self) -> Mapping[str, Counts]:
        """Path in the tree -> the counts of its tests; tests whose file is unknown are under ``""``."""
        files: dict[str, list[CaseResult]] = {}
        for result in self.results:
            files.setdefault(result.file, []).append(result)
        return {file: _total(results) for file, results in files.items()}

    @functools.cached_property
    def functions_that_ran(self) -> frozenset[tuple[str, str]]:
        """File and function of every test that ran."""
        return frozenset((result.file, result.function) for result in self.results if result.ran)

    @property
    def summary(self) -> str:
        return self.counts.summary


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How a gate failed that reported its tests: the step, its status, and the ids of the failed tests."""

    step: str
    status: int
    tests: frozenset[str]

    @classmethod
    def of(cls, step: str, status: int, run: TestRun | None) -> Failures | None:
        """``None`` if no failed test was reported: what failed is unknown."""
        failed = frozenset(result.id for result in run.results if result.failed) if run else frozenset()
        return cls(step=step, status=status, tests=failed) if failed else None

    @property
    def summary(self) -> str:
        """The failed tests, for people. The tested code may have chosen their names."""
        return named(map(escaped, sorted(self.tests)))


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Everything besides the tree that decides what a gate runs and with which result.

    ``commands`` are the steps in order. ``environment`` holds digests and not values. ``image`` is the id of
    the image (``Engine.image``), ``runtime`` the programs that run a job, with their versions; without a
    sandbox ``image`` is empty. ``limits`` are those of the job, ``arguments`` the user's own of podman.
    """

    commands: tuple[tuple[str, ...], ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    runtime: str = ""
    arguments: tuple[str, ...] = ()
    limits: Mapping[str, float | None] = field(default_factory=dict)
    network: str = "none"
    directory: str = ""
    """Where in the tree the commands run; empty at its top."""
    report: str = ""
    """The file of the job with the results of its tests; empty if there is none."""
    keeps_services: bool = False
    """Whether processes that a step leaves running stay for the next one."""
    caches: str = ""
    """A digest of what filled the caches (``cache_command``); empty without any."""
    image_digests: tuple[str, ...] = field(default=(), compare=False)
    """The references by which registries give the image. They decide nothing: a push or a tag adds one."""

    @property
    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = _conditions().dump_python(self, mode="json")
        for late in ("directory", "caches"):
            if not document[late]:  # as in records from before there was one
                del document[late]
        return document

    @property
    def digest(self) -> str:
        """sha256 of what decides, the same on every machine."""
        deciding = self.as_json
        del deciding["image_digests"]
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class TreeRecord:
    """The gate's result for one tree under some conditions.

    ``verdict`` is passed, failed or how else the job ended (timeout, idle, killed); ``failed_step`` the step
    that did not pass, ``status`` its exit status. ``tests`` is ``None`` if what ran is unknown. ``made`` is
    in UTC.
    """

    tree: str
    conditions: Conditions
    verdict: str
    failed_step: str = ""
    status: int = 0
    seconds: float
    made: datetime
    tests: TestRun | None = None
    node: str = ""
    """The node on which the gate ran; empty for the machine of the run."""
    flaky: tuple[str, ...] = ()
    """What failed in one recorded run and passed in another, named as by :func:`failing`."""

    @property
    def passed(self) -> bool:
        return self.verdict == PASSED

    @property
    def failures(self) -> Failures | None:
        """How the gate failed; ``None`` if it passed, or if what failed is unknown."""
        return Failures.of(self.failed_step, self.status, self.tests) if self.verdict == FAILED else None

    @property
    def summary(self) -> str:
        """The tests that ran, for people."""
        return summary_of(self.tests)

    @property
    def flaky_tests(self) -> str:
        """The flaky tests for people; empty if none is known."""
        return named(map(escaped, self.flaky)) if self.flaky else ""

    def after(self, earlier: TreeRecord | None) -> TreeRecord:
        """This record, with what is flaky by an ``earlier`` one of the same tree and conditions."""
        if earlier is None:
            return self
        found = {*earlier.flaky, *_passes_in(self, earlier), *_passes_in(earlier, self)}
        return replace(self, flaky=tuple(sorted(found)))

    @property
    def as_json(self) -> dict[str, Any]:
        document: dict[str, Any] = _record().dump_python(self, mode="json")
        return document


class TreeRecords:
    """The records of one repository, a file for each tree and conditions.

    Args:
        directory: is made when the first record is kept; other users cannot enter it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def of(cls, work_dir: Path) -> TreeRecords:
        """The records below the directory of a repository's worktrees."""
        return cls(work_dir / "records")

    def find(self, tree: str, conditions: Conditions) -> TreeRecord | None:
        """The record of ``tree`` under ``conditions``; ``None`` if there is none that can be read."""
        try:
            record = _record().validate_json(self._path(tree, conditions).read_bytes(), strict=True)
        except (OSError, ValidationError):
            return None
        return record if (record.tree, record.conditions) == (tree, conditions) else None

    def keep(self, record: TreeRecord) -> None:
        """Write ``record``, in place of an earlier one of the same tree and conditions.

        Raises:
            OSError: it cannot be written.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        with (self._directory / "lock").open("ab") as file:
            lock(file, patience=_PATIENCE)
            path = self._path(record.tree, record.conditions)
            write_atomically(path, _record().dump_json(record), mode=0o600)
            self._remove_oldest(path)

    def _path(self, tree: str, conditions: Conditions) -> Path:
        # The name of a tree is hashed with the rest: whatever it is, the path stays in the directory.
        name = hashlib.sha256(f"{tree} {conditions.digest}".encode("utf-8", "surrogateescape")).hexdigest()
        return self._directory / f"{name}.json"

    def _remove_oldest(self, kept: Path) -> None:
        others = [path for path in self._directory.glob("*.json") if path != kept]
        excess = len(others) + 1 - MOST
        if excess > 0:
            others.sort(key=lambda path: path.stat().st_mtime_ns)
            for path in others[:excess]:
                path.unlink()


def failing(step: str, tests: TestRun | None) -> frozenset[str]:
    """The ids of the tests that failed; if none is known, the step, as ``step NAME``; nothing if none did."""
    if not step:
        return frozenset()
    ids = frozenset(result.id for result in tests.results if result.failed) if tests else frozenset()
    return ids or frozenset({f"step {step}"})


def _passes_in(one: TreeRecord, other: TreeRecord) -> frozenset[str]:
    """What fails in ``other`` and passes in ``one``: a test that ran, or a step if all steps passed."""
    results = one.tests.results if one.tests else ()
    ids = {result.id for result in results if result.passed and not result.failed}
    steps = {f"step {other.failed_step}"} if one.passed else set()
    return failing(other.failed_step, other.tests) & (ids | steps)


def digests(environment: Mapping[str, str]) -> dict[str, str]:
    """Name of each variable -> the sha256 of its value."""
    return {
        name: hashlib.sha256(os.fsencode(value)).hexdigest() for name, value in sorted(environment.items())
    }


def verdict_of(cause: Ending, *, passed: bool) -> str:
    """The word for the end of a gate: passed, failed, or what ended it."""
    if cause != Ending.EXITED:
        return str(cause)
    return PASSED if passed else FAILED


def summary_of(tests: TestRun | None) -> str:
    """The tests that ran, for people; ``None`` means that no report tells."""
    return UNKNOWN if tests is None else tests.summary


def _total(results: Iterable[Counts]) -> Counts:
    passed = failed = skipped = xfailed = 0
    for result in results:
        passed += result.passed
        failed += result.failed
        skipped += result.skipped
        xfailed += result.xfailed
    return Counts(passed=passed, failed=failed, skipped=skipped, xfailed=xfailed)


def _sum(one: CaseResult, other: CaseResult) -> CaseResult:
    total = _total((one, other))
    return CaseResult(
        id=one.id,
        file=one.file or other.file,
        function=one.function or other.function,
        passed=total.passed,
        failed=total.failed,
        skipped=total.skipped,
        xfailed=total.xfailed,
    )


@functools.cache
def _conditions() -> TypeAdapter[Conditions]:
    return TypeAdapter(Conditions)


@functools.cache
def _record() -> TypeAdapter[TreeRecord]:
    return TypeAdapter(TreeRecord)
