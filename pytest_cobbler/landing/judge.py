"""The judge of a gate: whether the tests of the tip still run, and still decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pytest_cobbler.causes import Ending
from pytest_cobbler.display import escaped, named
from pytest_cobbler.landing.comparison import Comparison, compare
from pytest_cobbler.landing.gate import GateResult
from pytest_cobbler.landing.planted_runs import PlantedRuns
from pytest_cobbler.landing.planting import below, examples, may_switch_tests_off, packages_above
from pytest_cobbler.landing.tests_of_trees import TreeTests
from pytest_cobbler.landing.tree_gate import TreeGate
from pytest_cobbler.landing.tree_records import CaseResult, Failures, TestRun, TreeRecord
from pytest_cobbler.languages import Language
from pytest_cobbler.languages.functions import TestFunction
from pytest_cobbler.process import Cancellation
from pytest_cobbler.repository.landing import Merge
from pytest_cobbler.repository.repository import Repository
from pytest_cobbler.repository.trees import edited_tree

__all__ = ["Judgement", "Passed", "TestJudge"]

_KEPT: Final = 8
"""Trees whose tests are kept in memory: the tip, and candidates that may become the tip."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the judge says of a change that passed the gate.

    ``hidden`` names tests that no longer run or decide: reasons not to land. ``weakened`` has a line for each
    file whose tests check less, ``notes`` other lines for a person. ``gate`` is a further run of the gate
    that did not pass; ``seconds`` of all further runs.
    """

    hidden: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gate: GateResult | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Passed:
    """A change whose gate passed, or left the failures of the tip as they are.

    ``before`` is the tree before the change, ``base`` the commit of the base that it merges, if that is the
    task. ``log`` is the file of the gate's output; those of further runs are beside it. ``between`` are the
    trees between several changes, on which no gate has run.
    """

    merged: Merge
    before: str
    base: str
    paths: tuple[str, ...]
    result: GateResult
    log: Path
    between: tuple[str, ...] = ()


class _Ended(Exception):
    """A further run of the gate ended the judgement."""

    def __init__(self, result: GateResult) -> None:
        super().__init__()
        self.result = result


class TestJudge:
    """Compares each merged tree with the tip. Called from one thread at a time.

    The tip's tests are those of the last landing; before the first landing, those of its kept record, or of a
    run of the gate.

    Args:
        allows_red: whether a change may leave the failures of the tip as they are.
    """

    __test__ = False

    def __init__(
        self,
        repository: Repository,
        gate: TreeGate,
        language: Language,
        cancellation: Cancellation,
        *,
        allows_red: bool = False,
    ) -> None:
        self._repository = repository
        self._gate = gate
        self._allows_red = allows_red
        self._collects = bool(gate.gate.collect)
        self._language = language
        self._cancellation = cancellation
        self._known: dict[str, TreeTests] = {}
        self._seconds = 0.0

    def learn(self, record: TreeRecord) -> None:
        """Take the record of a tree, so that the gate need not run on it again."""
        tests, failures = record.tests, record.failures
        self._keep(self._tests(record.tree, tests, passed=record.passed, failures=failures))

    def leaves_failures(self, merged: Merge, result: GateResult, log: Path) -> bool:
        """Whether a change whose gate failed leaves exactly the failures of the tip, and may do so.

        Args:
            log: the file of the gate's output; that of a further run is beside it.
        """
        if not self._allows_red or not self._collects or result.failures is None:
            return False
        tree = self._repository.tree_of(merged.tip)
        try:
            tip = self._tests_of(tree, log.with_name("gate-tip.log"), self._cancellation)
        except _Ended:
            return False
        return tip.failures == result.failures

    def judge(self, passed: Passed) -> Judgement:
        """Judge a change. Paths and names in the result are the agent's, and escaped."""
        self._seconds = 0.0
        try:
            found = self._judge(passed)
        except _Ended as ended:
            return Judgement(gate=ended.result, seconds=self._seconds)
        hidden, weakened, notes = (
            tuple(map(escaped, lines)) for lines in (found.hidden, found.weakened, found.notes)
        )
        return replace(found, hidden=hidden, weakened=weakened, notes=notes)

    def _judge(self, passed: Passed) -> Judgement:
        merged = self._keep(self._tests_in(passed.merged.tree, passed.result, passed.result.tests))
        tip = self._tip(passed)
        if merged.run is None and tip.run is not None:
            # The gate leaves a report on the tip: without one, nothing ran.
            merged = self._keep(self._tests(merged.tree, TestRun()))
        found = compare(tip.compared, merged.compared)
        if found.hidden and merged.run and (merged.run.counts.skipped or merged.run.counts.xfailed):
            # Some tests skip themselves now and then, or expect to fail. A test that hides always does.
            again = self._run(merged.tree, passed.log.with_name("gate-again.log"))
            as_before = again.failures is not None and again.failures == merged.failures
            if not again.passed and not as_before:
                raise _Ended(again)
            both = merged.run + (again.tests or TestRun())
            merged = self._keep(self._tests_in(merged.tree, passed.result, both))
            found = compare(tip.compared, merged.compared)
        hidden = [*self._none_ran(tip, merged), *self._without_those_of_base(passed, tip, found.hidden)]
        hidden += self._hidden_between(passed, tip, merged)
        notes: list[str] = []
        if not hidden:
            hidden, notes = self._plant(passed, tip, merged)
        weakened = self._weakened(passed, merged, found)
        return Judgement(hidden=tuple(hidden), weakened=weakened, notes=tuple(notes), seconds=self._seconds)

    # -- runs of the gate

    def _tip(self, passed: Passed) -> TreeTests:
        tree = self._repository.tree_of(passed.merged.tip)
        if self._collects:
            return self._tests_of(tree, passed.log.with_name("gate-tip.log"), self._cancellation)
        return TreeTests(self._repository, self._language, tree, None, passed=True)

    def _tests_of(self, tree: str, log: Path, cancellation: Cancellation) -> TreeTests:
        if tree in self._known:
            return self._keep(self._known[tree])
        nothing = self._tests(tree, TestRun())
        if self._language.source_patterns and not nothing.has_sources:
            return self._keep(nothing)
        if record := self._gate.passed(tree):
            return self._keep(self._tests(tree, record.tests))
        result = self._counted(self._gate.record(tree, log, cancellation)[0])
        return self._keep(self._tests_in(tree, result, result.tests))

    def _tests_in(self, tree: str, result: GateResult, run: TestRun | None) -> TreeTests:
        return self._tests(tree, run, passed=result.passed, failures=result.failures)

    def _tests(
        self, tree: str, run: TestRun | None, *, passed: bool = True, failures: Failures | None = None
    ) -> TreeTests:
        return TreeTests(self._repository, self._language, tree, run, passed=passed, failures=failures)

    def _keep(self, tests: TreeTests) -> TreeTests:
        self._known.pop(tests.tree, None)
        self._known[tests.tree] = tests
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]
        return tests

    def _run(self, tree: str, log: Path) -> GateResult:
        return self._counted(self._gate.run(tree, log, self._cancellation))

    def _counted(self, result: GateResult) -> GateResult:
        self._seconds += result.seconds
        if result.cause == Ending.CANCELLED:
            raise _Ended(result)
        return result

    # -- the comparison

    def _none_ran(self, tip: TreeTests, merged: TreeTests) -> Iterable[str]:
        """Why it is not right that no test ran, if none did."""
        if merged.run is None or merged.run.results:
            return
        was_so = tip.passed and tip.run is not None and not tip.run.results
        old = {tip.blobs[path] for path in tip.holders}
        holders = [path for path in merged.holders if not (was_so and merged.blobs[path] in old)]
        if not holders and not was_so:
            holders = list(tip.holders)
        if holders:
            yield f"no test ran, and these files hold tests: {named(holders)}"

    def _without_those_of_base(
        self, passed: Passed, tip: TreeTests, hidden: tuple[str, ...]
    ) -> Iterable[str]:
        """The hidden tests that are not hidden by the base itself, which is trusted."""
        if not passed.base or not hidden:
            return hidden
        tree, log = self._repository.tree_of(passed.base), passed.log.with_name("gate-base.log")
        base = self._tests_of(tree, log, self._cancellation)
        own = compare(tip.compared, base.compared).hidden
        return [reason for reason in hidden if reason not in own]

    def _hidden_between(self, passed: Passed, tip: TreeTests, merged: TreeTests) -> Iterable[str]:
        """Tests that one of several changes brings, and that do not run with all of them."""
        for tree in passed.between:
            there = self._tests(tree, None)
            new = [
                CaseResult(id=f"{path}::{function.name}", file=path, function=function.name, passed=1)
                for path, blob in there.blobs.items()
                if tip.blobs.get(path) != blob and there.is_test(path)
                for function in there.functions(path)
                if function.is_test and function.name not in {one.name for one in _functions(tip, path)}
            ]
            yield from compare(replace(there.compared, run=TestRun(tuple(new))), merged.compared).hidden

    def weakened(self, before: str, tree: str) -> tuple[str, ...]:
        """What a change weakens by the files alone, a line for each; the gate may have run on neither."""
        old, new = (self._tests(self._repository.tree_of(one), None) for one in (before, tree))
        return tuple(map(escaped, compare(old.compared, new.compared).weakened))

    def _weakened(self, passed: Passed, merged: TreeTests, found: Comparison) -> tuple[str, ...]:
        if not passed.base:
            return found.weakened
        before = self._repository.tree_of(passed.before)
        trusted = TreeTests(self._repository, self._language, before, None, passed=True)
        return compare(trusted.compared, merged.compared).weakened

    # -- planted tests

    def _wanted(
        self, paths: Iterable[str], merged: TreeTests
    ) -> tuple[Mapping[str, tuple[str, ...]], tuple[str, ...]]:
        """The examples for planted tests, and the changed paths that may keep these from running."""
        if not self._language.source_patterns:
            return {}, ()
        paths = [self._repository.directory.inward(path) for path in paths]
        if causes := tuple(path for path in paths if may_switch_tests_off(path, self._language)):
            return examples(merged), causes
        if merged.run is not None:  # then tests that no longer run were found by their names
            return {}, ()
        wanted = examples(merged)
        causes = packages_above(wanted, paths)
        return {path: wanted[path] for path in below(causes, wanted)}, causes

    def _plant(self, passed: Passed, tip: TreeTests, merged: TreeTests) -> tuple[list[str], list[str]]:
        """Reasons why a failing test does not fail, and notes; the tip is asked if one does not."""
        wanted, causes = self._wanted(passed.paths, merged)
        runs = PlantedRuns(run=self._run_edited, reports=merged.run is not None)
        here = runs.show(merged, wanted, passed.log.with_name("gate-planted.log"), causes)
        cause = f"cause: {named(causes)}"
        untried = [_untried(here.untried, cause)] if here.untried else []
        notes: list[str] = []
        doubtful = here.off | here.unclear
        if not doubtful:
            return untried, notes
        # A change may have moved all tests.
        log = passed.log.with_name("gate-planted-tip.log")
        tip_wanted = wanted if not tip.blobs.keys().isdisjoint(wanted) else examples(tip)
        there = runs.show(tip, tip_wanted, log, doubtful)
        new = doubtful - there.planted
        lost = here.off - there.off - new
        if there.planted and not there.off:
            lost |= here.off & new
        dulled = here.unclear - there.doubtful - new
        if lost:
            return [f"failing tests were added, and did not fail: {named(_shown(lost))}; {cause}"], []
        if dulled:
            return [f"the gate fails whether {_added(dulled)} fail or pass; {cause}"], []
        if here.off:
            notes.append(f"the gate does not run {_added(here.off)}, as before the change")
        if here.unclear:
            notes.append(f"the gate fails whether {_added(here.unclear)} fail or pass, as before the change")
        return untried, notes

    def _run_edited(self, tests: TreeTests, files: Mapping[str, bytes], log: Path) -> GateResult:
        return self._run(edited_tree(self._repository, tests.tree, (), files), log)


def _functions(tests: TreeTests, path: str) -> Iterable[TestFunction]:
    return tests.functions(path) if path in tests.blobs else ()


def _untried(directories: Iterable[str], cause: str) -> str:
    """The reason if a gate says nothing of failing tests in more directories than there can be runs."""
    return (
        f"it was not shown that the gate still runs {_added(directories)}: it leaves no report (gate_report),"
        f" and its output did not name those that failed; {cause}"
    )


def _added(directories: Iterable[str]) -> str:
    return f"tests that are added to {named(_shown(directories))}"


def _shown(directories: Iterable[str]) -> list[str]:
    return sorted("the top directory" if name == "." else f"{name}/" for name in directories)
