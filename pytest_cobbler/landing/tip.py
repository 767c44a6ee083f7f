"""The gate on the tree that agents start from, before any of them is paid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.tests_of_trees import TreeTests
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import TreeRecord
from pytest_cobbler.languages import Language
from pytest_cobbler.process import Cancellation
from pytest_cobbler.report.evidence import failing_line, informative
from pytest_cobbler.repository.repository import Repository

__all__ = ["Red", "Tip", "check_tip"]

NO_TESTS: Final = 5
"""The exit status of pytest and unittest if there is no test."""

_LAST_LINES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Red:
    """What fails on a tip that may be red: the ids of tests, or lines of output if the tests are unknown."""

    lines: tuple[str, ...]
    are_tests: bool

    @classmethod
    def of(cls, record: TreeRecord | None) -> Red | None:
        """The known failures of a record; ``None`` if it has none."""
        failures = record.failures if record else None
        return cls(lines=tuple(sorted(failures.tests)), are_tests=True) if failures else None


@dataclass(frozen=True, kw_only=True)
class Tip:
    """What the gate says of the tree that agents start from.

    ``record`` is ``None`` if there was nothing to test, ``result`` if a kept record was enough.
    """

    record: TreeRecord | None = None
    result: GateResult | None = None
    is_red: bool = False

    @property
    def red(self) -> Red | None:
        """What fails; ``None`` if the tip is not red."""
        if not self.is_red or self.result is None:
            return None
        return Red.of(self.record) or Red(lines=self.evidence, are_tests=False)

    @property
    def why(self) -> str:
        """Why the gate failed, in a line."""
        return (failing_line(self.result.output) or self.result.summary) if self.result else ""

    @property
    def evidence(self) -> tuple[str, ...]:
        """How the gate ended, and the last lines that it printed."""
        if self.result is None:
            return ()
        return (self.result.summary, *informative(self.result.output).splitlines()[-_LAST_LINES:])


def check_tip(
    gate: TreeGate,
    repository: Repository,
    language: Language,
    tree: str,
    log: Path,
    cancellation: Cancellation,
    announce: Callable[[], object] = lambda: None,
    *,
    again: bool = False,
) -> Tip:
    """Run the gate on ``tree``, unless it is known to pass, or there is nothing to test.

    A kept record of a failure is not enough: the cause may be gone, or may have been chance.

    Args:
        announce: called before the gate runs.
        again: also if the tree is known to pass.

    Raises:
        SandboxError: the job could not be run at all.
    """
    if not gate.gate.steps:
        return Tip()
    if not again and (record := gate.passed(tree)):
        return Tip(record=record)
    tests = TreeTests(repository, language, tree, None, passed=True)
    if language.source_patterns and not tests.has_sources:
        return Tip()
    announce()
    result, record = gate.record(tree, log, cancellation)
    has_no_tests = result.status == NO_TESTS and not result.failures and not tests.holders
    return Tip(record=record, result=result, is_red=not result.passed and not has_no_tests)
