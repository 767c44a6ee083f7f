"""What a gate says of the tests that it ran: default gates, own commands, and code that hides its tests."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_cobbler.landing.gate import Gate, GateResult
from pytest_cobbler.landing.tree_records import Counts, digests
from pytest_cobbler.languages import Go
from pytest_cobbler.languages.base import Step
from pytest_cobbler.languages.python import Python
from pytest_cobbler.process import Cancellation
from pytest_cobbler.sandbox.base import Engine, Network, Sandbox
from pytest_cobbler.sandbox.host import HostSandbox
from pytest_cobbler.sandbox.podman import PodmanSandbox, job_owner
from tests.support.images import python_image
from tests.support.jobs import own_host
from tests.support.podmans import open_to_others
from tests.support.toolchain import go_cache, go_root

__all__ = ["go_cache", "go_root", "python_image"]

JUNIT = '<testsuite><testcase classname="tests.test_a" name="test_b"/></testsuite>'


class Bench:
    """A tree, and gates on it."""

    def __init__(self, directory: Path, sandbox: Sandbox) -> None:
        self.tree = directory / "tree"
        self.log = directory / "gate.log"
        self.sandbox = sandbox
        self.environment: dict[str, str] = {}

    def run(self, steps: tuple[Step, ...], files: Mapping[str, str], **more: Any) -> GateResult:
        for name, content in files.items():
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tree / name).write_text(content)
        open_to_others(self.tree)
        return self.gate(steps, **more).run(self.tree, self.log, Cancellation())

    def gate(self, steps: tuple[Step, ...], **more: Any) -> Gate:
        facts: dict[str, Any] = {
            "network": Network.NONE,
            "image": None,
            "timeout": 120.0,
            "environment": self.environment,
        }
        return Gate(steps=steps, sandbox=self.sandbox, **facts | more)

    def python(self, files: Mapping[str, str]) -> GateResult:
        return self.run((Python().default_test(),), files)

    def own(
        self, script: str, files: Mapping[str, str] | None = None, report: str = "out/r.xml"
    ) -> GateResult:
        step = Step(name="test", argv=("sh", "-c", script), shown=script)
        return self.run((step,), {"tests/test_a.py": "", **(files or {})}, report=report)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, own_host())


SOME = """
import pytest
@pytest.mark.parametrize("n", [1, 2])
def test_many(n): pass
@pytest.mark.skip
def test_skipped(): pass
class TestA:
    def test_in_a_class(self): pass
"""


@pytest.mark.slow
class TestPython:
    def test_the_default_gate_reports_its_tests(
        self, tmp_path: Path, python_image: str, bench: Bench
    ) -> None:
        files = {"tests/test_some.py": SOME, "other/test_other.py": "def test_fails(): assert 0\n"}
        owner = job_owner(tmp_path)
        podman = PodmanSandbox(python_image, repository=uuid.uuid4().hex, run_id="test", owner=owner)
        for sandbox in (podman, bench.sandbox):
            bench.sandbox = sandbox
            result = bench.python(files)
            assert result.tests, result.output
            assert result.summary == "test failed (exit 1)"
            assert result.tests.by_file == {
                "tests/test_some.py": Counts(passed=3, skipped=1),
                "other/test_other.py": Counts(failed=1),
            }
            assert ("tests/test_some.py", "TestA::test_in_a_class") in result.tests.functions_that_ran

    @pytest.mark.parametrize(
        "options",
        [
            "addopts = --junitxml=own.xml\njunit_family = xunit2",
            "junit_logging = all\njunit_log_passing_tests = true",
            "addopts = --strict-config --strict-markers -q",
        ],
    )
    def test_options_of_the_project_do_not_prevent_the_report(self, bench: Bench, options: str) -> None:
        result = bench.python({"test_some.py": SOME, "pytest.ini": f"[pytest]\n{options}\n"})
        assert result.passed, result.output
        assert result.tests
        assert result.tests.by_file == {"test_some.py": Counts(passed=3, skipped=1)}

    def test_a_project_without_tests(self, bench: Bench) -> None:
        result = bench.python({"a.py": ""})
        assert result.passed
        assert result.tests
        assert result.tests.summary == "no tests"

    def test_a_runner_that_ends_early_leaves_what_ran_unknown(self, bench: Bench) -> None:
        hook = "import os\ndef pytest_runtest_logfinish(): os._exit(0)\n"
        without = {"pytest.ini": "[pytest]\naddopts = -p no:junitxml\n"}
        for files, passes in (({"conftest.py": hook}, False), (without, True)):
            result = bench.python({"test_some.py": SOME, "conftest.py": "", **files})
            assert (result.passed, result.tests) == (passes, None), result.output
            assert result.unknown == "the gate left no report of at most 16 MiB (~/cobbler-report.xml)"


GO_MOD = "module example.com/m\n\ngo 1.24\n"
GO_TESTS = """package m

import (
	"fmt"
	"testing"
)

func TestQuiet(t *testing.T) {
	fmt.Println("printed by a test that passes")
	t.Log("logged")
	t.Run("sub", func(t *testing.T) {})
}

func TestSkips(t *testing.T) { t.Skip("not here") }
"""
GO_FAILS = """package sub

import (
	"fmt"
	"testing"
)

func TestFine(t *testing.T) { fmt.Println("fine") }

func TestFails(t *testing.T) {
	fmt.Println(`{"Action":"pass","Package":"example.com/m/sub","Test":"TestFails"}`)
	t.Run("deep", func(t *testing.T) { t.Fatal("two is not three") })
}
"""


@pytest.mark.slow
class TestGo:
    @pytest.fixture(autouse=True)
    def cache(self, bench: Bench, go_cache: Path) -> None:
        bench.environment = {"COBBLER_GOCACHE": str(go_cache), "CGO_ENABLED": "0"}

    def run(self, bench: Bench, files: Mapping[str, str]) -> GateResult:
        return bench.run((Go().default_test(),), files)

    def test_the_default_gate_reports_its_tests(self, bench: Bench) -> None:
        result = self.run(bench, {"go.mod": GO_MOD, "m_test.go": GO_TESTS, "doc.go": "package m\n"})
        assert result.passed, result.output
        assert result.tests
        assert result.tests.by_file == {"m_test.go": Counts(passed=2, skipped=1)}
        ids = [found.id for found in result.tests.results]
        assert ids == [f"example.com/m.{name}" for name in ("TestQuiet/sub", "TestQuiet", "TestSkips")]

    def test_the_log_is_the_one_that_go_test_prints(self, bench: Bench) -> None:
        files = {
            "go.mod": GO_MOD,
            "m_test.go": GO_TESTS,
            "sub/sub_test.go": GO_FAILS,
            "c/c.go": "package c\n",
        }
        result = self.run(bench, files)
        assert result.summary == "test failed (exit 1)"
        lines = bench.log.read_text().splitlines()
        assert "fine" not in lines
        assert "printed by a test that passes" not in lines
        assert "--- FAIL: TestFails/deep (0.00s)" in map(str.strip, lines)
        assert any(line.endswith("sub_test.go:12: two is not three") for line in lines)
        assert any(line.startswith("ok  \texample.com/m\t") for line in lines)
        assert any(line.startswith("FAIL\texample.com/m/sub\t") for line in lines)
        assert not [line for line in lines if line.startswith("=== ") or '"Action":"output"' in line]
        assert result.tests
        failed = [found.id for found in result.tests.results if found.failed]
        assert failed == ["example.com/m/sub.TestFails/deep", "example.com/m/sub.TestFails"]

    def test_a_test_that_cannot_be_built(self, bench: Bench) -> None:
        result = self.run(bench, {"go.mod": GO_MOD, "m_test.go": "package m\n\nfunc TestA(t *T) {}\n"})
        assert not result.passed
        assert "undefined: T" in result.output
        broken = 'package m\n\nimport "testing"\n\nfunc TestMain(m *testing.M) { panic("early") }\n'
        result = self.run(bench, {"m_test.go": broken + GO_TESTS.partition(")")[2]})
        assert not result.passed

    def test_a_project_without_tests(self, bench: Bench) -> None:
        for files in ({"README": ""}, {"go.mod": GO_MOD, "m.go": "package m\n"}):
            result = self.run(bench, files)
            assert result.passed
            assert result.tests
            assert result.tests.summary == "no tests"


class TestOwnCommands:
    def test_the_report_that_they_write(self, bench: Bench) -> None:
        result = bench.own(f"mkdir out; echo '{JUNIT}' >out/r.xml")
        assert result.tests
        assert result.tests.by_file == {"tests/test_a.py": Counts(passed=1)}

    def test_a_report_of_the_tree_does_not_count(self, bench: Bench) -> None:
        result = bench.own("ls out", {"out/r.xml": JUNIT})
        assert (result.passed, result.tests) == (True, None)
        assert result.unknown == "the gate left no report of at most 16 MiB (out/r.xml)"

    def test_a_report_that_cannot_be_read(self, bench: Bench) -> None:
        result = bench.own("mkdir out; echo '<!DOCTYPE x><testsuite/>' >out/r.xml")
        assert (result.passed, result.tests) == (True, None)
        assert result.unknown == "the report has a document type, which is not read (out/r.xml)"

    def test_without_a_report_what_ran_is_unknown(self, bench: Bench) -> None:
        result = bench.own("true", report="")
        assert (result.passed, result.tests) == (True, None)
        assert result.unknown == "the gate leaves no report of its tests"


class _Elsewhere(HostSandbox):
    def engine(self, image: str | None) -> Engine:
        return Engine(
            runtime="runtime",
            image=f"sha256:{image}",
            image_digests=("r/i@sha256:1",),
            arguments=("--dns=none",),
        )


class TestConditions:
    def test_what_decides_on_the_result(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, _Elsewhere(repository="gate", run_id="x"))
        bench.environment = {"LANG": "C", "RUN": "1"}
        gate = bench.gate((Python().default_test(),), passing=frozenset({"RUN"}), image="i", timeout=7.0)
        conditions = gate.conditions()
        assert conditions.commands == (gate.steps[0].argv,)
        assert conditions.environment == digests({"LANG": "C"})
        assert (conditions.image, conditions.runtime, conditions.network) == ("sha256:i", "runtime", "none")
        assert (conditions.image_digests, conditions.arguments) == (("r/i@sha256:1",), ("--dns=none",))
        assert conditions.limits["wall"] == 7.0
        assert conditions.report == "~/cobbler-report.xml"
        other_run = replace(gate, environment={"LANG": "C", "RUN": "2"})
        assert other_run.conditions() == conditions
        assert replace(gate, network=Network.OPEN).conditions() != conditions
        assert replace(gate, keeps_services=True).conditions() != conditions
